"""Every task on sequences learns in seconds, gives the same numbers again, and keeps them in its folder."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rekur
from rekur import metrics
from rekur.core import DataError, OptionError
from rekur.data.batching import Batcher
from rekur.inputs.audio import Audio
from rekur.inputs.numbers import Numbers
from rekur.inputs.text import Text
from rekur.inputs.video import Video
from rekur.sequence.generation import GenerationConfig
from rekur.sequence.seq2seq import lead
from rekur.training.config import Training

NAMES = ("one", "two", "three", "four", "five", "six", "seven")


def reviews(n: int) -> tuple[list[str], list[str]]:
    """Sentences whose label is told by "not" and "good" together."""
    rng = random.Random(1)
    x, y = [], []
    for _ in range(n):
        good, no = rng.random() < 0.5, rng.random() < 0.5
        words = [rng.choice(NAMES) for _ in range(rng.randint(2, 6))]
        x.append(" ".join([*words, "not" if no else "very", "good" if good else "bad", rng.choice(NAMES)]))
        y.append("praise" if good != no else "blame")
    return x, y


def moves(n: int) -> tuple[list[np.ndarray], list[str]]:
    """Walks of unequal length that rise or fall."""
    rng = np.random.default_rng(1)
    y = rng.choice(["up", "down"], n)
    return [
        rng.normal(0.4 if label == "up" else -0.4, 1, (rng.integers(9, 30), 2)).cumsum(0) for label in y
    ], y.tolist()


def trips(n: int) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences in which the place behind "to" is a town."""
    rng = random.Random(1)
    x, y = [], []
    for _ in range(n):
        town = [rng.choice(("new", "old")), rng.choice(("york", "town"))][: rng.randint(1, 2)]
        first = [rng.choice(NAMES) for _ in range(rng.randint(1, 3))]
        x.append([*first, "to", *town, "now"])
        y.append(["O"] * (len(first) + 1) + ["B-town", "I-town"][: len(town)] + ["O"])
    return x, y


def turned(n: int) -> tuple[list[str], list[str]]:
    """Words, and the same from the last to the first in large letters."""
    rng = random.Random(1)
    x = [" ".join(rng.choice(NAMES) for _ in range(rng.randint(1, 4))) for _ in range(n)]
    return x, [" ".join(reversed(text.split())).upper() for text in x]


def spelled(n: int) -> tuple[list[tuple[np.ndarray, int]], list[str]]:
    """Recordings of tones, one for each letter, with pauses."""
    rng = np.random.default_rng(1)
    x, y = [], []
    for _ in range(n):
        letters = rng.choice(list("abc"), rng.integers(1, 4))
        t = np.arange(800) / 8000
        tones = [np.sin(2 * np.pi * {"a": 300, "b": 900, "c": 2500}[letter] * t) for letter in letters]
        wave = np.concatenate([np.concatenate([tone, np.zeros(400)]) for tone in tones])
        x.append(((wave + rng.normal(0, 0.01, len(wave))).astype(np.float32), 8000))
        y.append("".join(letters))
    return x, y


def films(n: int) -> tuple[list[np.ndarray], list[str]]:
    """A bright square that goes left or right, and the sentence that says so."""
    rng = np.random.default_rng(1)
    x, y = [], []
    for _ in range(n):
        way, colour, row = rng.choice(["left", "right"]), rng.integers(3), rng.integers(0, 16)
        frames = np.zeros((6, 24, 24, 3), dtype=np.uint8)
        for k in range(6):
            at = 3 * k if way == "right" else 15 - 3 * k
            frames[k, row : row + 8, at : at + 8, colour] = 250
        x.append(frames)
        y.append(f"a {('red', 'green', 'blue')[colour]} square goes {way}")
    return x, y


@dataclass(frozen=True)
class Case:
    """A task, its data, and how well it should do after how many epochs."""

    make: Callable[..., Any]
    data: Callable[[int], tuple[Any, Any]]
    rows: int
    epochs: int
    least: float
    measure: str


def sized(kind: type, **options: Any) -> Callable[..., Any]:
    """An estimator with small sizes."""
    return lambda **more: kind(**{**options, **more})


STEADY = Training(batch_size=16, learning_rate=5e-3, schedule="cosine")
GENTLE = Training(batch_size=16, learning_rate=2e-3, schedule="cosine")
SMALL = {"hidden_size": 32, "training": STEADY}
CASES = {
    "text": Case(sized(rekur.Classifier, **SMALL, num_layers=1, input=Text()), reviews, 400, 12, 0.95, "accuracy"),
    "spelled": Case(sized(rekur.Classifier, **SMALL), reviews, 400, 8, 0.95, "accuracy"),
    "numbers": Case(sized(rekur.Classifier, **SMALL), moves, 200, 8, 0.9, "accuracy"),
    "audio": Case(sized(rekur.Classifier, **SMALL), lambda n: first_letter(n), 120, 6, 0.9, "accuracy"),
    "video": Case(
        sized(rekur.Classifier, **SMALL, input=Video(num_frames=6, size=24)), lambda n: way(n), 120, 8, 0.9, "accuracy"
    ),
    "pictures": Case(
        sized(rekur.Classifier, cell="conv_lstm", hidden_size=8, training=STEADY, input=Video(num_frames=6, size=24)),
        lambda n: way(n), 120, 8, 0.9, "accuracy",
    ),
    "tagger": Case(sized(rekur.Tagger, **SMALL), trips, 150, 8, 0.95, "span_f1"),
    "translator": Case(
        sized(rekur.Translator, hidden_size=48, training=STEADY, input=Text(pieces="word")),
        *(turned, 600, 16, 0.8, "bleu"),
    ),
    "transcriber": Case(
        sized(rekur.Transcriber, **SMALL, num_layers=1), spelled, 150, 25, -0.2, "character_error_rate"
    ),
    "captioner": Case(
        sized(rekur.Captioner, hidden_size=64, training=GENTLE, input=Video(num_frames=6, size=24)),
        *(films, 300, 8, 0.8, "exact_match"),
    ),
}  # fmt: skip


def first_letter(n: int) -> tuple[Any, list[str]]:
    """Recordings, each with its first letter."""
    x, y = spelled(n)
    return x, [text[0] for text in y]


def way(n: int) -> tuple[Any, list[str]]:
    """Films, each with the way the square goes."""
    x, y = films(n)
    return x, [text.split()[-1] for text in y]


def parts(case: Case) -> tuple[Any, Any, Any, Any]:
    """Rows to train on and 40 others."""
    x, y = case.data(case.rows + 40)
    return x[: case.rows], y[: case.rows], x[case.rows :], y[case.rows :]


def said(model: Any, x: Any) -> Any:
    """What a model tells, as exactly as it can."""
    return model.predict_proba(x).tolist() if hasattr(model, "predict_proba") else model.predict(x)


@pytest.mark.parametrize("name", CASES)
def test_each_task_learns_and_its_folder_holds_it(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    x, y, others, truth = parts(case)
    model = case.make().fit(x, y, epochs=case.epochs)
    found = model.evaluate(others, truth)
    value = -found[case.measure] if "error" in case.measure else found[case.measure]
    assert value >= case.least, found
    comparison = model.compare(others, truth)
    assert dict(comparison.scores) == found
    start = f"{comparison.score.replace('_', ' ')} {found[comparison.score]:.4g} on {len(others)} rows: "
    assert comparison.verdict().startswith(start)
    baseline = found[f"baseline_{comparison.score}"]
    assert comparison.values()[comparison.baseline_name] == pytest.approx(baseline)
    model.save(tmp_path / "m")
    assert sorted(file.name for file in (tmp_path / "m").iterdir()) == ["config.json", "model.safetensors"]
    again = rekur.load(tmp_path / "m")
    assert type(again) is type(model)
    assert again.get_params() == model.get_params()
    assert said(again, others) == said(model, others)
    assert again.evaluate(others, truth) == found


@pytest.mark.parametrize("name", CASES)
def test_the_same_seed_gives_the_same_numbers_and_rows_do_not_mind_their_neighbours(name: str) -> None:
    case = CASES[name]
    x, y, others, _ = parts(case)
    one, two, three = (case.make(random_state=seed).fit(x[:60], y[:60], epochs=2) for seed in (0, 0, 1))
    assert [r["loss"] for r in one.history_] == [r["loss"] for r in two.history_]
    assert [r["loss"] for r in one.history_] != [r["loss"] for r in three.history_]
    whole = one.predict(others)
    turned_round = one.predict(others[::-1])
    assert list(whole) == list(turned_round)[::-1]
    assert list(one.predict(others[:1])) == list(whole[:1])


@pytest.mark.parametrize("name", ["text", "tagger", "translator"])
def test_an_interrupted_training_goes_on_with_the_same_numbers(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    x, y, others, _ = parts(case)
    whole = case.make().fit(x[:80], y[:80], validation=0.2, epochs=4)
    case.make().fit(x[:80], y[:80], validation=0.2, epochs=4, checkpoint=tmp_path / "c")
    resumed = case.make().fit(x[:80], y[:80], validation=0.2, epochs=4, checkpoint=tmp_path / "c")
    assert said(resumed, others) == said(whole, others)
    with pytest.raises(rekur.core.ModelFileError, match="another training"):
        case.make().fit(x[:70], y[:70], validation=0.2, epochs=4, checkpoint=tmp_path / "c")


def test_the_best_epoch_is_that_of_the_task_s_own_measure() -> None:
    x, y = moves(200)
    model = rekur.Classifier(**SMALL).fit(x[:150], y[:150], validation=(x[150:], y[150:]), epochs=6)
    best = min(r["val_loss"] for r in model.history_)
    assert 1 - model.score(x[150:], y[150:]) == pytest.approx(best)


def test_weights_of_labels_lift_the_rare_one() -> None:
    rng = np.random.default_rng(0)
    y = np.where(rng.random(400) < 0.1, "rare", "usual")
    x = rng.normal(0, 1, (400, 6, 1)) + np.where(y == "rare", 0.5, 0.0)[:, None, None]
    recalled = []
    for weight in (None, "balanced", {"rare": 5.0, "usual": 1.0}):
        model = rekur.Classifier(hidden_size=8, class_weight=weight).fit(x, y, epochs=8, validation=0.0)
        recalled.append(float((model.predict(x)[y == "rare"] == "rare").mean()))
    assert min(recalled[1:]) > recalled[0]
    with pytest.raises(OptionError, match="balanced"):
        rekur.Classifier(class_weight={"rare": 1.0}).fit(x, y, epochs=1)


def test_text_is_never_told_much_worse_than_by_its_baseline() -> None:
    x, y = reviews(300)
    model = rekur.Classifier(hidden_size=2, training=Training(max_epochs=1, learning_rate=1e-5)).fit(
        x, y, validation=0.3
    )
    found = model.evaluate(x, y)
    assert found["accuracy"] >= found["baseline_accuracy"] - 0.02
    assert len(model.ensemble_.powers) == 2


def test_a_model_may_be_fitted_again_to_something_else() -> None:
    """Nothing of the first fit is left in the second; one that is refused changes nothing."""
    x, y = reviews(60)
    model = rekur.Classifier(hidden_size=8).fit(x, y, epochs=1)
    before = model.predict_proba(x)
    with pytest.raises(DataError):
        model.fit(x, y[:-1])
    assert model.predict_proba(x).tolist() == before.tolist()
    walks, ways = moves(60)
    again = model.fit(walks, ways, epochs=1).predict_proba(walks)
    assert again.tolist() == rekur.Classifier(hidden_size=8).fit(walks, ways, epochs=1).predict_proba(walks).tolist()


def test_a_field_forbids_what_never_stands_together() -> None:
    x, y = trips(150)
    model = rekur.Tagger(**SMALL).fit(x, y, epochs=6)
    for tags in model.predict(x):
        assert all(b != "I-town" or a == "B-town" for a, b in zip(["O", *tags], tags, strict=False))
    assert rekur.Tagger(**SMALL, crf=False).fit(x, y, epochs=6).score(x, y) > 0.9


@pytest.mark.slow
def test_a_copying_translator_writes_words_it_has_never_written() -> None:
    rng = random.Random(0)
    names = ["".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(3)) for _ in range(900)]
    x = [f"my name is {name}" for name in names]
    y = [f"hello {name}" for name in names]
    text = Text(pieces="char")
    writing = GenerationConfig(copy=True, coverage=0.1, metric="rouge", num_beams=2)
    training = Training(batch_size=16, learning_rate=4e-3, schedule="cosine")
    model = rekur.Translator(hidden_size=48, training=training, generation=writing, input=text)
    model.fit(x[:800], y[:800], validation=0.0, epochs=8)
    right = np.mean([a == b for a, b in zip(model.predict(x[800:]), y[800:], strict=True)])
    assert right > 0.6
    weights = model.attention(x[800:802], y[800:802])
    assert all(np.allclose(one.sum(1), 1, atol=1e-5) for one in weights)


@pytest.mark.parametrize(
    "writing",
    [GenerationConfig(attention="additive"), GenerationConfig(scheduled_sampling=0.3), GenerationConfig(coverage=1.0)],
)
def test_ways_of_writing_learn_too(writing: GenerationConfig) -> None:
    x, y = turned(300)
    model = rekur.Translator(
        hidden_size=32, dropout=0.2, training=STEADY, generation=writing, input=Text(pieces="word")
    )
    losses = [r["mean_loss"] for r in model.fit(x, y, epochs=7).history_]
    assert losses[-1] < 0.8 * losses[0]


def test_beam_search_of_a_transcriber_hears_as_well_as_the_best_path() -> None:
    case = CASES["transcriber"]
    x, y, others, truth = parts(case)
    model = case.make().fit(x, y, epochs=15)
    plain, searched = (metrics.character_error_rate(truth, model.predict(others, num_beams=beams)) for beams in (1, 8))
    assert searched <= plain + 0.02
    first = model.align(others[:1])[0]
    assert "".join(letter for letter, _ in first) == model.predict(others[:1])[0]
    assert all(0 <= share < 1 for _, share in first)


def test_a_language_model_has_its_say_in_the_search() -> None:
    """Letters that never stand together are not heard together any more."""
    x, y = spelled(60)
    model = rekur.Transcriber(hidden_size=16, num_layers=1, training=STEADY).fit(x, y, epochs=3)
    training = Training(batch_size=4, learning_rate=1e-2, bptt=8)
    only = rekur.LanguageModel(hidden_size=16, training=training, input=Text(pieces="char")).fit(
        ["abc"] * 200, epochs=8
    )
    told = model.predict(x[:9], num_beams=8, language_model=only, lm_weight=20.0, length_bonus=3.0)
    assert set(told) <= {"", "a", "ab", "abc"}
    assert len(set(told)) > 1 or told != model.predict(x[:9], num_beams=8)
    with pytest.raises(OptionError, match="num_beams"):
        model.predict(x, language_model=only)
    words = rekur.LanguageModel(hidden_size=8, training=training).fit(["the cat sat"] * 50, epochs=1)
    with pytest.raises(OptionError, match="char"):
        model.predict(x, num_beams=2, language_model=words)


@pytest.mark.parametrize("piece", [1, 57, 160, 5000])
def test_a_recording_is_heard_as_it_comes_in(piece: int) -> None:
    """Whatever the pieces, the text is that of the whole recording."""
    x, y = spelled(160)
    model = rekur.Transcriber(hidden_size=48, num_layers=1, bidirectional=False, training=STEADY).fit(
        x[:120], y[:120], epochs=20
    )
    heard = []
    for wave, rate in x[120:124]:
        listener = model.stream()
        parts_ = [listener.push(wave[k : k + piece], rate) for k in range(0, len(wave), piece)]
        assert "".join(parts_) == listener.text
        heard.append(listener.text)
    assert heard == model.predict(x[120:124])
    assert any(heard)
    with pytest.raises(OptionError, match="bidirectional=False"):
        CASES["transcriber"].make().fit(x[:20], y[:20], epochs=1).stream()


def test_a_language_model_tells_what_comes_next(tmp_path: Path) -> None:
    texts = ["the cat sat on the mat", "a dog lay by the door"] * 150
    training = Training(batch_size=8, learning_rate=1e-2, bptt=10)
    model = rekur.LanguageModel(hidden_size=32, training=training, input=Text(pieces="word")).fit(texts, epochs=8)
    found = model.evaluate(texts[:10])
    assert found["perplexity"] < 2 < found["baseline_perplexity"]
    comparison = model.compare(texts[:10])
    assert comparison.values() == {"unigram frequencies": pytest.approx(found["baseline_perplexity"])}
    assert "on 10 rows: better than the baseline, unigram frequencies" in comparison.verdict()
    assert model.sample("a dog", random_state=1).startswith("a dog lay")
    model.save(tmp_path / "m")
    again = rekur.load(tmp_path / "m")
    assert again.perplexity(texts[:10]) == model.perplexity(texts[:10])
    assert again.sample(random_state=3) == model.sample(random_state=3)


REFUSED = [
    (lambda: rekur.Classifier().fit(["a", "b"], ["x", "y", "x"]), "2 rows but y has 3"),
    (lambda: rekur.Classifier().fit(["a b", "b a"], ["x", "x"]), "two or more classes"),
    (lambda: rekur.Tagger().fit([["a", "b"]], [["x"]]), "sentence 0 has 2 words but 1 labels"),
    (lambda: rekur.Transcriber().fit([(np.zeros(2000), 8000)], ["much too long for this recording"]), "row 0 needs"),
    (lambda: rekur.Transcriber().fit([(np.zeros(9000), 8000)], [" "]), "row 0 has no transcript"),
    (lambda: rekur.Translator().fit(["a", "b"], ["", ""]), "empty"),
    (lambda: rekur.LanguageModel().fit(["a"], validation=0.0), "fewer than the"),
]


@pytest.mark.parametrize(("run", "text"), REFUSED)
def test_data_that_cannot_be_used_is_refused_with_its_place(run: Callable[[], Any], text: str) -> None:
    with pytest.raises(DataError, match=text):
        run()


def test_short_texts_are_read_word_by_word_and_long_ones_in_pieces() -> None:
    x, y = reviews(40)
    for texts, kind in (
        (x, "words"),
        ([text * 40 for text in x], "text"),
        ([text.replace(" ", "") for text in x], "text"),
    ):
        assert rekur.Classifier(hidden_size=4).fit(texts, y, epochs=1).reader_.options.kind == kind


def test_inputs_that_do_not_fit_the_task_are_refused() -> None:
    with pytest.raises(OptionError, match="takes audio or numbers, not text"):
        rekur.Transcriber(input=Text()).fit(["a"], ["a"])
    with pytest.raises(OptionError, match="takes text, not numbers"):
        rekur.LanguageModel(input=Numbers()).fit(["a"] * 30)
    with pytest.raises(OptionError, match="is convolutional: it takes video, not words"):
        rekur.Classifier("conv_gru").fit(["a", "b"], [0, 1])
    with pytest.raises(OptionError, match="not fitted"):
        rekur.Classifier(input=Audio()).predict(["a"])
    with pytest.raises(OptionError, match="sampling"):
        GenerationConfig(scheduled_sampling=2.0)


def test_scores_equal_those_counted_by_hand() -> None:
    assert metrics.macro_f1([0, 0, 1, 1], [0, 1, 1, 1]) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert metrics.span_f1([["B-a", "I-a", "B-a"]], [["B-a", "I-a", "O"]]) == pytest.approx(2 / 3)
    assert metrics.bio_spans(["I-a", "I-b", "B-b"]) == {("a", 0, 1), ("b", 1, 2), ("b", 2, 3)}
    assert metrics.word_error_rate(["a b c d"], ["a x c"]) == 0.5
    assert metrics.character_error_rate(["abcd"], ["abd"]) == 0.25
    assert metrics.bleu(["the cat sat on the mat"], ["the cat sat on the mat"]) == pytest.approx(1)
    assert metrics.rouge([["a b", "c d"]], ["c d"])["rouge1"] == pytest.approx(1)


def test_the_first_sentence_may_end_at_a_blank_a_line_or_the_text() -> None:
    assert [lead(text) for text in ("A b. C.", "A b.\nC.", "A b.", "A 0.5 b! C")] == [
        "A b.",
        "A b.",
        "A b.",
        "A 0.5 b!",
    ]


def test_nothing_is_learned_from_padding() -> None:
    """The loss of a batch equals the mean of its rows' losses, weighed by their steps."""
    x, y, _, _ = parts(CASES["tagger"])
    model = rekur.Tagger(**SMALL, dropout=0.0).fit(x, y, epochs=1)
    items = model.reader_.items(x[:9])
    targets = model.codec_.encode(y[:9], items.lengths)
    objective = replace(model._objective(), net=model.net_)

    def loss(size: int) -> float:
        total = steps = 0.0
        for batch in Batcher(items, targets, size).ordered():
            with torch.inference_mode():
                n = float(batch.weight.sum())
                total, steps = total + n * float(objective.loss(batch, None)[0]), steps + n
        return total / steps

    assert loss(9) == pytest.approx(loss(1), rel=1e-5)
