"""Layers of the tasks on sequences against what can be counted out: all tag sequences, all paths, all texts."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from rekur.data.batching import pad
from rekur.layers.augmentation import random_affine
from rekur.layers.crf import CRFHead
from rekur.layers.ctc import CTCHead, collapse_path
from rekur.layers.encoders import FrameEncoder, NumberEncoder, TokenEncoder, WordEncoder
from rekur.layers.heads import LabelHead
from rekur.layers.pooling import concat_pool
from rekur.layers.seq2seq.attention import Attention
from rekur.layers.seq2seq.beam_search import beam_search, repeating_tokens
from rekur.layers.seq2seq.decoder import Decoder
from rekur.layers.seq2seq.net import coverage_loss
from rekur.layers.seq2seq.pointer_generator import Memory
from rekur.layers.speech.augmentation import SpectrumAugmentation, frequency_warp, random_response, spec_augment
from rekur.layers.speech.encoder import SpeechEncoder


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def crf(K: int = 3) -> CRFHead:
    """A field whose transitions are not zero."""
    head = CRFHead(4, K)
    with torch.no_grad():
        for p in (head.transitions, head.start, head.end):
            p.normal_()
    return head


def test_the_field_sums_over_all_tag_sequences_and_finds_the_best() -> None:
    head, raw, lengths = crf(), torch.randn(2, 4, 3), [4, 2]
    inside = torch.arange(4) < torch.tensor(lengths)[:, None]
    for row, T in enumerate(lengths):
        every = torch.tensor(list(itertools.product(range(3), repeat=T)))
        scores = head.score(raw[row, :T].expand(len(every), T, 3), every, torch.ones(len(every), T, dtype=torch.bool))
        torch.testing.assert_close(head.log_partition(raw, inside)[row], torch.logsumexp(scores, 0))
        best = head.decode(raw, torch.tensor(lengths))[row, :T]
        assert best.tolist() == every[scores.argmax()].tolist()


def test_the_field_learns_nothing_from_what_stands_beyond_the_length() -> None:
    head, weight = crf(), torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 0]])
    raw = torch.randn(2, 4, 3, requires_grad=True)
    head.loss(raw, torch.tensor([[0, 1, 2, 0], [1, 0, 0, 0]]), weight).backward()
    assert raw.grad is not None
    assert bool((raw.grad[1, 2:] == 0).all())
    assert bool((raw.grad[1, :2] != 0).any())
    alone = LabelHead(4, 3)
    other = raw.detach().clone()
    other[1, 2:] = 9.0
    target = torch.tensor([[0, 1, 2, 0], [1, 0, 0, 0]])
    torch.testing.assert_close(alone.loss(raw, target, weight), alone.loss(other, target, weight))


def test_without_transitions_the_field_judges_each_step_alone() -> None:
    head, raw = CRFHead(4, 3), torch.randn(2, 5, 3)
    assert head.decode(raw).tolist() == raw.argmax(-1).tolist()


def texts_of(head: CTCHead, raw: torch.Tensor) -> dict[tuple[int, ...], float]:
    """The probability of every label sequence, summed over all paths of raw (T, K)."""
    p, found = raw.softmax(-1).numpy(), {}
    for path in itertools.product(range(raw.shape[1]), repeat=len(raw)):
        labels = tuple(k for k, _ in collapse_path(path, head.blank))
        found[labels] = found.get(labels, 0.0) + float(np.prod([p[t, k] for t, k in enumerate(path)]))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_prefix_search_finds_the_most_probable_labels(seed: int) -> None:
    torch.manual_seed(seed)
    head, raw = CTCHead(4, 3), torch.randn(5, 3)
    found = texts_of(head, raw)
    best = max(found, key=found.__getitem__)
    assert tuple(head.search(raw, num_beams=100)) == best
    loss = head.loss(raw[None], torch.tensor([best]), torch.ones(1, len(best))) if best else None
    if loss is not None:
        assert float(loss) == pytest.approx(-np.log(found[best]) / len(best), rel=1e-4)


def test_a_rate_of_labels_changes_what_is_found() -> None:
    head, raw = CTCHead(4, 3), torch.zeros(4, 3)
    assert set(head.search(raw, 50, lambda prefix, k: 0.0 if k == 2 else -9.0)) == {2}
    assert head.search(raw, 50, length_bonus=-50.0) == []


def test_the_best_path_is_merged_and_tells_where_labels_begin() -> None:
    head = CTCHead(4, 3)
    raw = nn.functional.one_hot(torch.tensor([0, 1, 1, 0, 1, 2, 2]), 3).float() * 9
    assert head.decode(raw[None]) == [[1, 1, 2]]
    assert head.decode(raw[None], torch.tensor([4])) == [[1]]
    assert head.align(raw) == [(1, 1), (1, 4), (2, 5)]


def test_beam_search_with_enough_beams_finds_the_best_of_all() -> None:
    """A made-up language over 3 tokens, 2 of which is the end; each step depends on the token before."""
    table = torch.randn(3, 3).log_softmax(-1)

    def step(tokens: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return table[tokens], state

    for norm in (0.0, 1.0):
        scores = {}
        for n in range(6):
            for text in itertools.product(range(2), repeat=n):
                path = [0, *text, 2]
                total = sum(float(table[a, b]) for a, b in itertools.pairwise(path))
                scores[text] = total / ((5 + n + 1) / 6) ** norm
        best = max(scores, key=scores.__getitem__)
        found = beam_search(step, torch.zeros(2 * 64), 2, (0, 2), num_beams=64, max_length=6, length_penalty=norm)
        assert [tuple(row) for row in found] == [best, best]


@pytest.mark.parametrize("ngram", [0, 2])
def test_one_beam_is_greedy_decoding(ngram: int) -> None:
    """The most probable token at each step, however long a better sequence would be; rows end each by itself."""
    for seed in range(20):
        tables = torch.randn(5, 6, 6, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)

        def step(tokens: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return tables[rows, tokens], rows  # noqa: B023

        expected = []
        for table in tables:
            text, token = [], 0
            while len(text) < 7:
                p = table[token].clone()
                p[repeating_tokens(text, ngram) if ngram else []] = -torch.inf
                token = int(p.argmax())
                if token == 2:
                    break
                text.append(token)
            expected.append(text)
        assert beam_search(step, torch.arange(5), 5, (0, 2), 1, 7, no_repeat_ngram=ngram) == expected


def test_nothing_is_written_twice_where_that_is_asked_for() -> None:
    table = torch.tensor([[0.0, 2.0, -4.0], [2.0, 1.0, -4.0], [0.0, 0.0, 0.0]]).log_softmax(-1)

    def step(tokens: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return table[tokens], state

    def written(n: int) -> list[tuple[int, int]]:
        (text,) = beam_search(step, torch.zeros(3), 1, (0, 2), 3, 8, length_penalty=3.0, no_repeat_ngram=n)
        return list(itertools.pairwise(text))

    assert len(written(0)) > len(set(written(0)))
    assert len(written(2)) == len(set(written(2))) > 1


def decoder(copy: bool = False) -> tuple[Decoder, Memory]:
    """A small decoder and something to look at, the second row shorter."""
    inside = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    memory = Memory(torch.randn(2, 5, 6), inside, torch.randint(4, 9, (2, 5)) * inside)
    return Decoder("gru", 9, 8, Attention(7, 6), copy=copy).eval(), memory


@pytest.mark.parametrize("copy", [False, True])
def test_all_steps_at_once_equal_one_after_another(copy: bool) -> None:
    made, memory = decoder(copy)
    tokens = torch.randint(4, 9, (2, 6))
    whole, _ = made(tokens, memory)
    states, parts = None, []
    for u in range(6):
        one, states = made(tokens[:, u : u + 1], memory, states)
        parts.append(made.log_p(one, memory))
    torch.testing.assert_close(torch.cat(parts, 1), made.log_p(whole, memory))
    assert bool((whole.attention[1, :, 3:] == 0).all())
    torch.testing.assert_close(whole.attention.sum(-1), torch.ones(2, 6))


def test_a_copying_decoder_gives_probabilities_and_prefers_the_source() -> None:
    made, memory = decoder(copy=True)
    assert made.pointer is not None
    with torch.no_grad():
        made.pointer.gate.bias.fill_(9.0)
    p = made.log_p(made(torch.full((2, 1), 2), memory)[0], memory).detach().exp()
    torch.testing.assert_close(p.sum(-1), torch.ones(2, 1), atol=1e-4, rtol=0)
    assert memory.tokens is not None
    there = p[0, 0, memory.tokens[0].unique()].sum()
    assert float(there) > 0.99


@pytest.mark.parametrize("kind", ["dot", "additive"])
def test_attention_ignores_what_does_not_count(kind: str) -> None:
    attention, memory = Attention(4, 6, kind), torch.randn(2, 5, 6)
    inside = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    other = torch.where(inside[..., None], memory, torch.tensor(99.0))
    queries = torch.randn(2, 3, 4)
    torch.testing.assert_close(attention(queries, memory, inside)[0][1], attention(queries, other, inside)[0][1])


@pytest.mark.parametrize("copy", [False, True])
def test_losses_of_writing_equal_their_formulas(copy: bool) -> None:
    made, memory = decoder(copy)
    assert memory.tokens is not None
    target, weight, e = torch.randint(4, 9, (2, 4)), torch.tensor([[1.0, 1, 1, 1], [1, 0, 0, 0]]), 0.1
    target[0, 0] = memory.tokens[0, 0]  # one that can be copied
    written, _ = made(torch.randint(4, 9, (2, 4)), memory)
    chosen = made.log_p(written, memory).gather(2, target[..., None])[..., 0]
    own = made.log_p(written._replace(gate=None), memory)
    each = -(1 - e) * chosen - e * own.mean(-1)
    wanted = (each * weight).sum() / 5
    if made.pointer is not None:  # which tokens of the source occur in the target
        there = torch.tensor([[int(token) in target[0].tolist() for token in memory.tokens[0]], [False] * 5])
        there[1, :3] = memory.tokens[1, :3] == target[1, 0]
        r = torch.sigmoid(made.pointer.relevance(memory.vectors))[..., 0]
        wanted = wanted - torch.where(there, r, 1 - r).log()[memory.mask].mean()
    torch.testing.assert_close(made.loss(written, memory, target, weight, e), wanted)


def test_the_loss_of_looking_twice_equals_its_formula() -> None:
    looked = torch.tensor([[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]])
    assert float(coverage_loss(looked, torch.ones(1, 3))) == pytest.approx((0 + 0.5 + 0.5) / 3)


def test_pooling_counts_the_steps_within_the_length_alone() -> None:
    y, lengths = torch.randn(2, 4, 3), torch.tensor([4, 2])
    found = concat_pool(y, y[:, 0], lengths)
    torch.testing.assert_close(found[1, 3:6], y[1, :2].mean(0))
    torch.testing.assert_close(found[1, 6:], y[1, :2].amax(0))
    torch.testing.assert_close(concat_pool(y, y[:, 0], torch.tensor([4, 4])), concat_pool(y, y[:, 0], None))


def words() -> torch.Tensor:
    """Two sentences of words with their letters; the second is one word shorter."""
    x = torch.randint(4, 9, (2, 3, 1 + 5))
    x[..., 4:] = 0
    x[1, 2] = 0
    return x


ENCODERS = {
    "tokens": (TokenEncoder(9, 6), torch.randint(1, 9, (2, 3))),
    "words": (WordEncoder(9, 9, 6), words()),
    "numbers": (NumberEncoder(torch.tensor([[1.0, 2.0], [3.0, 4.0]])), torch.randn(2, 3, 2)),
    "frames": (FrameEncoder(8), torch.randint(0, 255, (2, 3, 3, 16, 16), dtype=torch.uint8)),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_read_each_row_by_itself(name: str) -> None:
    """A row gives the same beside others and alone; its size is what the encoder says."""
    made, x = ENCODERS[name]
    made.eval()
    whole, _ = made(x)
    alone, _ = made(x[:1])
    assert whole.shape == (2, 3, made.size)
    torch.testing.assert_close(whole[:1], alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("reduction", [2, 4])
@pytest.mark.parametrize("centre", ["whole", "past", "none"])
def test_speech_is_heard_without_looking_beyond_the_length(reduction: int, centre: str) -> None:
    made = SpeechEncoder(torch.tensor([[0.5] * 4, [2.0] * 4]), 6, reduction=reduction, centre=centre).eval()
    x, lengths = torch.randn(2, 11, 4), torch.tensor([11, 6])
    whole, steps = made(x, lengths)
    assert steps is not None
    assert steps.tolist() == [-(-11 // reduction), -(-6 // reduction)]
    assert whole.shape == (2, -(-11 // reduction), 6)
    other = x.clone()
    other[1, 6:] = torch.nan
    changed, _ = made(other, lengths)
    torch.testing.assert_close(changed[0], whole[0])
    torch.testing.assert_close(changed[1, : steps[1]], whole[1, : steps[1]])
    torch.testing.assert_close(made(x[1:, :6])[0][0], whole[1, : steps[1]])


@pytest.mark.parametrize("reduction", [2, 4])
def test_speech_is_heard_as_it_comes_in_without_looking_ahead(reduction: int) -> None:
    made = SpeechEncoder(torch.tensor([[0.5] * 4, [2.0] * 4]), 6, reduction=reduction, centre="past").eval()
    x = torch.randn(1, 11, 4)
    whole, _ = made(x)
    other = x.clone()
    other[0, 7:] = 9.0
    same = -(-7 // reduction)  # those at the steps 0, r, 2·r … before 7
    torch.testing.assert_close(made(other)[0][0, :same], whole[0, :same])
    state, parts = None, []
    for piece in x.split([1, 2, 1, 4, 3], dim=1):
        more, state = made.advance(piece, state)
        parts.append(more)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


def test_a_whole_recording_sounds_the_same_however_loud_it_is() -> None:
    made = SpeechEncoder(torch.tensor([[0.0] * 4, [1.0] * 4]), 6).eval()
    x = torch.randn(2, 11, 4)
    shift = torch.tensor([3.0, -1.0, 0.0, 2.0])
    torch.testing.assert_close(made(x + shift)[0], made(x)[0], atol=1e-5, rtol=1e-5)


def test_bands_are_stretched_along_their_axis_alone() -> None:
    bands = torch.arange(8.0)[None, :, None].expand(3, 8, 5)  # each holds its own place
    made = frequency_warp(bands, 0.25)
    factors = made[:, 4, 0] / 4
    assert bool((factors >= 0.75).all() and (factors <= 1.25).all() and factors.std() > 0)
    places = (torch.arange(8.0) * factors[:, None]).clamp_max(7.0)
    torch.testing.assert_close(made, places[..., None].expand(3, 8, 5))


def test_videos_sway_a_little_and_alike_in_all_frames() -> None:
    bright = torch.linspace(-1, 1, 32).expand(64, 2, 3, 32, 32)  # brighter to the right
    torch.testing.assert_close(random_affine(bright, 0.0), bright, atol=1e-5, rtol=0)
    made = random_affine(bright, 0.1)
    torch.testing.assert_close(made[:, 0], made[:, 1])  # both frames
    moved = (made - bright).abs().flatten(1).amax(1)
    assert bool((moved > 0).all())
    # x moves by at most 0.1·(|x| + |y|) ≤ 0.2 of the half width and light by 0.1 of 1 + brightness ≤ 2 + what moved
    assert float(moved.max()) <= 0.2 + 0.1 * 2.2 + 1e-5, moved.max()


def test_training_hides_tokens_bands_and_entries_and_prediction_does_not() -> None:
    tokens = TokenEncoder(50, 4, dropout=0.0, token_dropout=0.5)
    x = torch.randint(4, 50, (4, 25))
    hidden = (tokens.train()(x)[0] == tokens.embedding.weight[1]).all(-1).float().mean()
    assert 0.3 < float(hidden) < 0.7
    torch.testing.assert_close(tokens.eval()(x)[0], tokens.embedding(x))
    speech = SpeechEncoder(
        torch.tensor([[0.0] * 4, [1.0] * 4]), 6, augmentation=SpectrumAugmentation(mask=0.5, response=0.5)
    )
    made = SimpleNamespace(a=speech.train()(torch.ones(2, 40, 4))[0], b=speech.train()(torch.ones(2, 40, 4))[0])
    assert not torch.equal(made.a, made.b)


def test_only_bands_are_stretched_and_tilted_other_features_are_hidden_or_stay() -> None:
    x = torch.randn(2, 40, 8)
    for bands in (True, False):
        speech = SpeechEncoder(
            torch.tensor([[0.0] * 8, [1.0] * 8]), 8, augmentation=SpectrumAugmentation(0.2, None, 0.2, 0.1), bands=bands
        )
        speech.layers = nn.ModuleList()  # what the convolutions would read
        plain, varied = speech.eval()(x)[0], speech.train()(x)[0]
        stays = ((varied == plain) | (varied == 0)).float().mean()
        assert float(stays) == 1 if not bands else float(stays) < 0.5, (bands, stays)
        assert not torch.equal(varied, plain)


def test_sequences_are_padded_with_zeros() -> None:
    whole, lengths = pad([torch.ones(2, 3), torch.ones(1, 3)])
    assert lengths.tolist() == [2, 1]
    assert whole[1, 1].tolist() == [0, 0, 0]


def test_a_path_that_continues_another_one_merges_the_label_at_the_seam() -> None:
    path = [0, 1, 1, 0, 1, 2, 2, 0, 0, 2]
    whole = [label for label, _ in collapse_path(path, 0)]
    for cut in range(1, len(path)):
        first, second = collapse_path(path[:cut], 0), collapse_path(path[cut:], 0, path[cut - 1])
        assert [label for label, _ in first + second] == whole == [1, 1, 2, 2]


def test_a_random_response_is_alike_in_all_steps_and_bends_at_few_bands() -> None:
    x = torch.randn(5, 41, 3)
    change = random_response(x, 0.2) - x
    torch.testing.assert_close(change, change[..., :1].expand_as(change), atol=1e-5, rtol=0)
    bends = (change[..., 0].diff(n=2, dim=1).abs() > 1e-4).sum(1)
    assert bends.tolist() == [4] * 5  # between the six points
    assert bool((change[:, 0, 0] != 0).all())


def test_masks_of_spectra_cover_at_most_their_share() -> None:
    x, lengths = torch.ones(64, 20, 40), torch.tensor([40, 20] * 32)
    masked = spec_augment(x, lengths, 0.25) == 0
    bands, steps = masked.all(2), masked.all(1)
    assert 0 < int(bands.sum(1).max()) <= 2 * (0.25 * 20 + 1)
    assert 0 < int(steps[1::2].sum(1).max()) <= 2 * (0.25 * 20 + 1)
    assert not bool(steps[1::2, 20:].any())
    torch.testing.assert_close(masked, bands[:, :, None] | steps[:, None])
