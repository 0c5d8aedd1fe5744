"""Speech from few recordings: augmentation of spectra, units of transcripts, defaults by the number of rows."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

import rekur
from rekur.core import DataError, OptionError
from rekur.data.batching import Batcher, LazySequences, unpad_targets
from rekur.inputs.audio import DECIBELS, Audio
from rekur.inputs.text import Text
from rekur.layers.ctc import CTCHead, collapse_path, forced_alignment
from rekur.layers.speech.augmentation import (
    FLUCTUATION,
    SpectrumAugmentation,
    add_noise,
    spec_augment,
    speed_and_silence,
)
from rekur.layers.speech.encoder import SpeechEncoder
from rekur.layers.speech.splicing import SplicedBatches
from rekur.sequence.defaults import DEFAULTS, FEW_ROWS, task_defaults
from rekur.sequence.language_model import CharLMScorer
from rekur.sequence.transcriber import closed_vocabulary
from rekur.training.config import Training

LENGTHS = torch.tensor([40, 25, 7])
STRONG = SpectrumAugmentation(0.3, 8, 0.2, 0.2, 0.2, 12, 1e-3)


def spectra() -> torch.Tensor:
    """Random log-mel spectra (3, 40, 6) with zeros beyond `LENGTHS`."""
    torch.manual_seed(1)
    x = 2 * torch.randn(3, 40, 6) - 3
    return x.masked_fill((torch.arange(40) >= LENGTHS[:, None])[..., None], 0)


def test_a_dynamic_range_makes_spectra_independent_of_loudness_and_of_faint_noise() -> None:
    t = np.arange(4000) / 8000
    wave = np.sin(2 * np.pi * 700 * t) * (t > 0.2)
    noise = np.random.default_rng(0).normal(0, 1e-5, 4000)
    reader = Audio(n_mels=20, dynamic_range=30.0).learn([(wave, 8000)])
    loud, quiet, noisy = (reader.items([(w, 8000)])[0] for w in (wave, wave / 10, wave + noise))
    torch.testing.assert_close(loud, quiet, atol=1e-2, rtol=0)
    torch.testing.assert_close(loud, noisy, atol=1e-2, rtol=0)
    assert float(loud.min()) >= -30 / DECIBELS - 1e-5
    assert 0 <= float(loud.max()) < 1e-2
    assert not torch.allclose(
        *(Audio(n_mels=20).learn([(wave, 8000)]).items([(w, 8000)])[0] for w in (wave, wave / 10))
    )
    with pytest.raises(OptionError, match="dynamic_range"):
        Audio(dynamic_range=-3.0).learn([(wave, 8000)])
    model = rekur.Transcriber(hidden_size=4, num_layers=1, bidirectional=False, input=Audio(dynamic_range=30.0))
    with pytest.raises(OptionError, match="dynamic_range"):
        model.fit([(wave, 8000), (wave, 8000)], ["a", "b"], epochs=1).stream()


def test_silence_surrounds_the_recording_and_is_no_louder_than_its_quietest_step() -> None:
    x = spectra()
    padded, lengths = speed_and_silence(x, LENGTHS, 0.0, 10)
    assert bool((lengths >= LENGTHS).all() and (lengths <= LENGTHS + 20).all() and (lengths > LENGTHS).any())
    for row, whole, n, total in zip(x, padded, LENGTHS.tolist(), lengths.tolist(), strict=True):
        starts = [k for k in range(total - n + 1) if torch.equal(whole[k : k + n], row[:n])]
        assert len(starts) == 1, "the recording itself is unchanged"
        silence = torch.cat([whole[: starts[0]], whole[starts[0] + n : total]])
        assert bool((silence <= row[:n].amin(0)).all() and (silence >= x.amin()).all())


def test_a_change_of_speed_leaves_a_transcript_its_steps() -> None:
    ramp = torch.arange(40.0)[None, :, None].expand(64, 40, 2)
    changed, lengths = speed_and_silence(ramp, torch.full((64,), 40), 0.2, 0)
    assert int(lengths.min()) == 40, "a faster recording is followed by silence"
    assert 44 < int(lengths.max()) <= 50
    steps = changed[:, 1:30].diff(dim=1)[..., 0]  # all of them within the recording
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=1e-4, rtol=0)
    assert bool((steps[:, 0] > 0.79).all() and (steps[:, 0] < 1.21).all() and steps[:, 0].std() > 0.05)


def test_noise_adds_energy_up_to_its_share_of_the_loudest_band() -> None:
    x = spectra()
    x[:, 3, 2] = 9.0  # a loud band
    added = add_noise(x, LENGTHS, 1e-4)
    assert bool((added >= x).all() and (added > x).any())
    assert float((added - x)[:, 3, 2].abs().max()) < 1e-2, "the loudest band hardly changes"
    assert float(add_noise(x - 99, LENGTHS, 1e-4).mean()) < float(added.mean()) - 50, "noise follows the loudness"
    assert 0 < FLUCTUATION < 1


def test_masks_in_time_are_no_longer_than_their_limit() -> None:
    x, lengths = torch.ones(200, 10, 100), torch.full((200,), 100)
    masked = (spec_augment(x, lengths, 0.3, max_steps=5) == 0).all(1)
    assert 5 < int(masked.sum(1).max()) <= 2 * 6


@pytest.mark.parametrize("centre", ["whole", "past", "none"])
def test_augmentation_is_seeded_and_ends_with_the_training(centre: str) -> None:
    x, statistics = spectra(), torch.tensor([[0.0] * 6, [1.0] * 6])
    varied = SpeechEncoder(statistics, 8, augmentation=STRONG, centre=centre)
    plain = SpeechEncoder(statistics, 8, centre=centre)
    torch.testing.assert_close(varied.eval()(x, LENGTHS), plain.eval()(x, LENGTHS))
    runs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        runs.append(varied.train()(x, LENGTHS))
    (first, lengths), (again, _), (other, _) = runs
    torch.testing.assert_close(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)
    assert first.shape[1] == int(lengths.max())
    assert bool((lengths >= plain(x, LENGTHS)[1]).all()), "every transcript keeps its steps"


def test_features_other_than_bands_are_masked_only() -> None:
    x = spectra() + 20
    encoder = SpeechEncoder(torch.tensor([[0.0] * 6, [1.0] * 6]), 6, augmentation=STRONG, centre="none", bands=False)
    encoder.layers = nn.ModuleList()  # the input of the convolutions
    changed = encoder.train()(x, LENGTHS)[0]
    assert bool(((changed == x.masked_fill(changed == 0, 0)) | (changed == 0)).all())


def test_defaults_depend_on_the_number_of_rows() -> None:
    for (task, kind), steps in FEW_ROWS.items():
        limits = [limit for limit, _ in steps]
        assert limits == sorted(limits)
        for limit, defaults in steps:
            assert task_defaults(task, kind, "gru", limit - 1) is defaults
        assert task_defaults(task, kind, "gru", limits[-1]) is DEFAULTS[task, kind]
    few, many = (task_defaults("transcript", "audio", "gru", rows) for rows in (30, 10_000))
    assert few.size.augmentation.silence > many.size.augmentation.silence
    assert few.trained(2).max_epochs > many.trained(2).max_epochs


def test_a_vocabulary_is_closed_where_every_word_occurs_again_and_again() -> None:
    assert closed_vocabulary(["yes no", "no yes"] * 3)
    assert not closed_vocabulary(["yes no", "no yes"] * 2), "too rarely"
    assert not closed_vocabulary([*["yes no", "no yes"] * 9, "yes perhaps"]), "others are to be expected"
    assert not closed_vocabulary(["12", "21"] * 30), "one word each: its characters may be the units"
    assert not closed_vocabulary(["yes  no", "no yes"] * 9), "blanks would be lost"


def tones(n: int) -> tuple[list[tuple[np.ndarray, int]], list[str]]:
    """Recordings of one to three tones between pauses, and their names."""
    rng = np.random.default_rng(1)
    x, y = [], []
    for _ in range(n):
        names = rng.choice(["low", "high"], rng.integers(1, 4))
        t = np.arange(800) / 8000
        parts = [np.concatenate([np.zeros(400), np.sin(2 * np.pi * (300 if k == "low" else 2000) * t)]) for k in names]
        wave = np.concatenate([*parts, np.zeros(800)])
        x.append(((wave + rng.normal(0, 0.01, len(wave))).astype(np.float32), 8000))
        y.append(" ".join(names))
    return x, y


def test_a_transcriber_of_words_streams_aligns_and_searches() -> None:
    x, y = tones(60)
    training = Training(batch_size=8, learning_rate=1e-2)
    model = rekur.Transcriber(hidden_size=24, num_layers=1, bidirectional=False, dropout=0.0, training=training)
    model.fit(x[:50], y[:50], epochs=50)
    assert model.labels_ == ["high", "low"], "auto takes words"
    predicted = model.predict(x[50:])
    assert rekur.metrics.word_error_rate(y[50:], predicted) < 0.5
    streams = [model.stream() for _ in predicted]
    for stream, (samples, rate) in zip(streams, x[50:], strict=True):
        pieces = [stream.push(samples[k : k + 300], rate) for k in range(0, len(samples), 300)]
        assert "".join(pieces) == stream.text
    assert [stream.text for stream in streams] == predicted
    assert [" ".join(label for label, _ in row) for row in model.align(x[50:])] == predicted
    assert {word for text in model.predict(x[50:], num_beams=4) for word in text.split()} == {"low", "high"}
    with pytest.raises(OptionError, match="units"):
        rekur.Transcriber(units="syllable").fit(x, y)
    with pytest.raises(DataError, match="needs 3 steps"):
        rekur.Transcriber(units="word").fit([(np.zeros(400), 8000)] * 2, ["low low", "low high"])


def test_a_language_model_scores_a_word_as_its_characters() -> None:
    training = Training(batch_size=4, bptt=8)
    model = rekur.LanguageModel(hidden_size=8, num_layers=1, training=training, input=Text(pieces="char"))
    model.fit(["low high", "high low"] * 20, epochs=1)
    words, letters = CharLMScorer(model, ["high", "low"], 0.5, " "), CharLMScorer(model, list("highlow "), 0.5)
    spell = [list("highlow ").index(c) + 1 for c in "low high"]
    spelled = [letters(tuple(spell[:k]), label) for k, label in enumerate(spell)]
    assert words((), 2) == pytest.approx(sum(spelled[:3]), abs=1e-5)
    assert words((2,), 1) == pytest.approx(sum(spelled[3:]), abs=1e-5)
    assert words((2, 1), 0) == pytest.approx(letters(tuple(spell), 0), abs=1e-5)


def test_forced_alignment_is_the_most_probable_path() -> None:
    """Against all paths of a short recording that give the target."""
    log_p = np.log(np.random.default_rng(0).dirichlet(np.ones(3), size=6))
    for labels in ([1], [1, 2], [1, 1], [2, 1, 2]):
        paths = [p for p in product(range(3), repeat=6) if [k for k, _ in collapse_path(p, 0)] == labels]
        best = max(paths, key=lambda path: sum(log_p[t, k] for t, k in enumerate(path)))
        starts = [t for _, t in collapse_path(best, 0)]
        spans = forced_alignment(log_p, labels, 0)
        assert [first for first, _ in spans] == starts
        assert all(
            best[first : last + 1] == (k,) * (last - first + 1) for k, (first, last) in zip(labels, spans, strict=True)
        )


class Recogniser(nn.Module):
    """A network that hears which of two bands is loud; silence is the blank."""

    head = CTCHead(1, 3)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        quiet = (x.amax(2, keepdim=True) < 0.5).float()
        return 9 * torch.cat([quiet, x], dim=2), lengths, None


def test_strings_are_spliced_from_words() -> None:
    """From the first epoch named on, most strings are new ones, of whole words with their pauses and their labels."""
    sound = torch.eye(2)
    said = [[1, 2], [2, 1, 1], [2]]
    x = [torch.cat([torch.cat([torch.zeros(2, 2), sound[k - 1].expand(3, 2)]) for k in labels]) for labels in said]
    train = Batcher(LazySequences.from_list(x), LazySequences.from_list([torch.tensor(labels) for labels in said]))
    batches = SplicedBatches(Recogniser(), train, 1, 0.9, first_epoch=2)
    assert [len(piece) for piece, _ in batches.words()[0]] == [5, 5, 5, 5, 5, 5]
    assert {tuple(labels) for batch in batches(1) for labels in unpad_targets(batch)} == set(map(tuple, said))
    strings = set()
    for epoch in range(2, 8):
        for batch, again in zip(batches(epoch), batches(epoch), strict=True):
            torch.testing.assert_close(batch.x, again.x, rtol=0, atol=0)
            assert batch.lengths is not None
            for row, n, labels in zip(batch.x, batch.lengths.tolist(), unpad_targets(batch), strict=True):
                heard = Recogniser()(row[None, :n], None)[0][0].argmax(1).tolist()
                assert [k for k, _ in collapse_path(heard, 0)] == labels
                strings.add(tuple(labels))
    assert len(strings) > 6


def test_splicing_is_for_strings_of_words_of_few_recordings() -> None:
    rng = np.random.default_rng(0)
    words = {"on": [1.0, 0.0], "off": [0.0, 1.0]}
    y = [" ".join(rng.choice(list(words), size=3)) for _ in range(12)]
    waves = [np.sin(np.arange(4800) * 0.3 * (1 + (k % 3))) for k in range(12)]
    model = rekur.Transcriber(hidden_size=8, num_layers=1).fit([(w, 8000) for w in waves], y, epochs=3)
    assert model.codec_.units == "word"
    assert model.size_.augmentation.splicing > 0
    other = rekur.Transcriber(hidden_size=8, num_layers=1, units="char").fit([(w, 8000) for w in waves], y, epochs=1)
    assert other.codec_.units == "char"
