"""Few rows: defaults by number of rows, augmentation, cross-validated ensembles, word alignment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rekur
from rekur.data.batching import Batcher, LazySequences, cross_validation_folds
from rekur.inputs.numbers import Numbers
from rekur.inputs.text import Text
from rekur.inputs.tokenizer import END
from rekur.layers.augmentation import random_speed
from rekur.layers.encoders import NumberEncoder
from rekur.layers.heads import LabelHead
from rekur.layers.seq2seq.alignment import align, alignment_loss, lexical_translation
from rekur.layers.sequence_net import LabelEnsemble, SequenceNet
from rekur.layers.stack import Stack
from rekur.sequence.defaults import BASE, DEFAULTS, FEW_ROWS, Augmentation, NetworkSize, choose_input, task_defaults
from rekur.sequence.generation import SUMMARY
from rekur.sequence.labels import LabelCodec, LabelObjective


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def walks(n: int) -> tuple[list[np.ndarray], list[str]]:
    """Random walks of unequal length with a positive or negative drift."""
    rng = np.random.default_rng(1)
    y = rng.choice(["up", "down"], n)
    steps = [rng.normal(0.5 if label == "up" else -0.5, 1, (rng.integers(9, 20), 2)) for label in y]
    return [step.cumsum(0) for step in steps], y.tolist()


def ensemble(count: int) -> LabelEnsemble:
    """Networks of one column and three labels."""
    nets = []
    for k in range(count):
        front, stack = NumberEncoder(torch.tensor([[0.0], [1.0]])), Stack("gru", 1, 4, seed=k)
        nets.append(SequenceNet(front, stack, LabelHead(12, 3, k), "pooled"))
    return LabelEnsemble(nets)


def test_random_speed_replays_a_span_of_each_row() -> None:
    lengths = torch.tensor([40, 25, 1])
    ramp = torch.arange(40.0).expand(3, 40)[..., None]
    for _ in range(20):
        x, new = random_speed(ramp, lengths, 0.3)
        assert x.shape == (3, int(new.max()), 1)
        assert new[2] == 1
        for row, length, steps in zip(x[..., 0], lengths.tolist(), new.tolist(), strict=True):
            inside = row[:steps]
            assert float(inside[0]) >= 0
            assert float(inside[-1]) <= length - 1
            if length > 1:
                assert float(inside[-1] - inside[0]) >= 0.7 * (length - 1) - 1e-3
                torch.testing.assert_close(torch.diff(inside), (inside[1] - inside[0]).expand(steps - 1))
                assert 0.7 * np.exp(-0.3) * length - 1 <= steps <= np.exp(0.3) * length + 1
    same, steps = random_speed(ramp, lengths, 0.0)
    torch.testing.assert_close(same[0], ramp[0])
    torch.testing.assert_close(same[1, :25], ramp[1, :25])
    assert torch.equal(steps, lengths)


def test_differences_follow_the_speed_and_get_no_constant() -> None:
    statistics = torch.tensor([[1.0, 2.0, 0.0, 0.0], [2.0, 4.0, 0.5, 0.25]])
    encoder = NumberEncoder(statistics, offset_std=0.5, speed=0.4, deltas=True)
    values = torch.randn(6, 15, 2).cumsum(1)
    x = torch.cat([values, torch.diff(values, dim=1, prepend=values[:, :1])], dim=2)
    y, lengths = encoder(x)
    assert lengths is not None
    assert y.shape == (6, int(lengths.max()), 4)
    raw = y * statistics[1] + statistics[0]
    torch.testing.assert_close(raw[:, 1:, 2:], torch.diff(raw[..., :2], dim=1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(encoder.eval()(x)[0], (x - statistics[0]) / statistics[1])


def test_a_random_constant_is_added_to_each_column_of_a_row() -> None:
    encoder = NumberEncoder(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), offset_std=0.5)
    x = torch.zeros(200, 5, 2)
    y, _ = encoder(x)
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert 0.4 < float(y[:, 0].std()) < 0.6
    assert not torch.equal(y[..., 0], y[..., 1])
    assert torch.equal(encoder.eval()(x)[0], x)


def test_folds_are_of_equal_size_for_each_label() -> None:
    labels = np.repeat([0, 1, 2], [50, 20, 5])
    folds = cross_validation_folds(75, 5, 3, labels=labels)
    for label, count in enumerate([10, 4, 1]):
        assert np.bincount(folds[labels == label], minlength=5).tolist() == [count] * 5
    assert np.bincount(cross_validation_folds(11, 3)).tolist() == [4, 4, 3]


def test_an_ensemble_averages_probabilities() -> None:
    net, x = ensemble(3), torch.randn(5, 7, 1)
    each = torch.stack([member(x).raw.softmax(-1) for member in net.members])
    torch.testing.assert_close(net(x).raw.exp(), each.mean(0))


def test_each_network_of_a_cross_validation_learns_outside_its_fold_and_is_judged_inside() -> None:
    net = ensemble(2)
    objective = LabelObjective(net, LabelCodec([0, 1, 2], [2, 2, 2]))
    x = LazySequences.from_list([torch.randn(4 + k, 1) for k in range(6)])
    y, folds = torch.tensor([0, 1, 2, 0, 1, 2]), np.array([0, 1, 0, 1, 0, 1])
    batcher = Batcher(x, y, folds=folds)
    inside_first = Batcher(x, y, rows=np.array([0, 2, 4]), folds=folds)
    loss, _ = objective.loss(next(inside_first.ordered()), None)
    loss.backward()
    first, second = ([p.grad is not None and bool(p.grad.any()) for p in member.parameters()] for member in net.members)
    assert not any(first)
    assert any(second)
    with torch.no_grad():
        predicted = [int(net.members[folds[k]](x[k][None]).raw.argmax()) for k in range(6)]
        assert objective.error(batcher) == pytest.approx(1 - np.mean(np.array(predicted) == y.numpy()))


def test_few_rows_are_cross_validated_and_the_folder_holds_the_ensemble(tmp_path: Path) -> None:
    x, y = walks(60)
    model = rekur.Classifier(hidden_size=8).fit(x, y, epochs=4)
    record = model.fit_record_
    assert isinstance(model.net_, LabelEnsemble)
    assert (record.rows, record.validation_rows) == (60, 24)  # four networks hold out six rows each
    model.save(tmp_path / "model")
    loaded = rekur.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_proba(x), model.predict_proba(x))
    again = rekur.Classifier(hidden_size=8).fit(x, y, epochs=4)
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))


def test_defaults_follow_the_number_of_rows() -> None:
    for (task, kind), steps in FEW_ROWS.items():
        limits = [limit for limit, _ in steps]
        assert limits == sorted(limits)
        for limit, defaults in steps:
            assert task_defaults(task, kind, "gru", limit - 1) is defaults
            assert task_defaults(task, kind, "gru", limit) is not defaults
        assert task_defaults(task, kind, "gru", limits[-1]) is DEFAULTS[task, kind]
    many = task_defaults("translation", "text", "gru", 29_000)  # the pairs of Multi30k
    assert many.size == NetworkSize(256, 256, 1, True, 0.3, Augmentation(token_dropout=0.05))
    assert (many.steps, many.epochs, many.input) == (7_000, (10, 40), None)
    assert many.training == BASE.replace(batch_size=64)
    assert choose_input("translation", "Translator", ["a"] * 29_000) == Text()
    assert choose_input("translation", "Translator", ["a"] * 2_000).vocabulary_size < Text().vocabulary_size
    assert choose_input("label", "Classifier", np.zeros((60, 5, 2))) == Numbers(deltas=True)
    assert choose_input("label", "Classifier", np.zeros((600, 5, 2))) == Numbers()
    assert choose_input("label", "Classifier", np.zeros((60, 5, 2)), Numbers()) == Numbers()


def test_texts_that_copy_keep_their_segmentation() -> None:
    x = ["ein Hund", "eine Katze", "ein Vogel"] * 10
    model = rekur.Translator(generation=SUMMARY, hidden_size=8).fit(x, x, epochs=1)
    assert model.size_.augmentation.subword_sampling is None
    assert rekur.Translator(hidden_size=8).fit(x, x, epochs=1).size_.augmentation.subword_sampling is not None


def test_random_segmentations_spell_the_text_and_follow_their_probabilities() -> None:
    texts = ["the cat sat on the mats", "a dog walked along the street"]
    reader = Text(vocabulary_size=60).learn(texts * 5)
    sampled = reader.sampled(texts, 0.2, [END])
    drawn = [sampled[0].tolist() for _ in range(50)]
    assert {reader.tokenizer.decode(tokens) for tokens in drawn} == {texts[0]}
    assert all(tokens[-1] == END for tokens in drawn)
    assert len({tuple(tokens) for tokens in drawn}) > 5
    steep = reader.sampled(texts, 1e6)
    assert [steep[k].tolist() for k in range(2)] == [reader.tokenizer.encode(text) for text in texts]
    assert steep.lengths.tolist() == [len(steep[k]) for k in range(2)]
    words = Text(pieces="word", vocabulary_size=60).learn(texts * 5)
    assert words.sampled(texts, 0.2)[1].tolist() == words.tokenizer.encode(texts[1])
    torch.manual_seed(1)
    again = sampled[0].tolist()
    torch.manual_seed(1)
    assert sampled[0].tolist() == again


def test_a_translator_of_few_pairs_resumes_with_the_same_numbers(tmp_path: Path) -> None:
    x = ["ein Hund", "eine Katze", "ein Vogel", "zwei Hunde"] * 10
    y = ["a dog", "a cat", "a bird", "two dogs"] * 10
    whole = rekur.Translator(hidden_size=8).fit(x, y, epochs=2)
    again = rekur.Translator(hidden_size=8).fit(x, y, epochs=2, checkpoint=tmp_path / "run")
    assert again.history_[-1]["loss"] == whole.history_[-1]["loss"]
    resumed = rekur.Translator(hidden_size=8).fit(x, y, epochs=2, checkpoint=tmp_path / "run")
    assert resumed.predict(x[:4]) == whole.predict(x[:4])


def test_word_alignment_is_learned_from_pairs_and_guides_the_attention() -> None:
    rng = np.random.default_rng(0)
    source = torch.from_numpy(rng.permuted(np.tile(np.arange(4, 20), (200, 1)), axis=1)[:, :5])
    order = torch.tensor([1, 0, 3, 2, 4])
    target = source[:, order] + 16  # each token has one translation; neighbours change places
    target[0, 3:] = 0
    table = lexical_translation([(source, target)], 36)
    torch.testing.assert_close(table.sum(0), torch.ones(36))
    assert table[:, 4:20].argmax(0).tolist() == list(range(20, 36))
    alignment = align(table, source, target)
    torch.testing.assert_close(alignment.sum(-1), (target != 0).float())
    assert float((alignment[1:].argmax(-1) == order).float().mean()) > 0.95
    assert alignment_loss(alignment, alignment) < alignment_loss(torch.full_like(alignment, 0.2), alignment)


def test_only_translators_of_few_pairs_are_guided_by_the_rows_they_learn_from() -> None:
    x = ["ein Hund", "eine Katze", "ein Vogel"] * 10
    model = rekur.Translator(hidden_size=8).fit(x, x, epochs=1)
    objective = model._objective()
    assert objective.table is None
    rows = Batcher(model.reader_.items(x), model.codec_.encode(x, np.zeros(30)), rows=np.arange(3))
    table = objective.prepared(rows).table
    assert table is not None
    assert table.shape == (model.text_.size, model.text_.size)
    assert replace(objective, guided_attention=0.0).prepared(rows).table is None
