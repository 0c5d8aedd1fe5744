"""Arguments of the wrong kind: typed errors of one line that name the cure; tensors of every kind are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import rekur
from rekur import Classifier, Regressor, Tagger, Training, Transcriber, Translator
from rekur.core import DataError, OptionError, RekurError
from rekur.inputs.numbers import Numbers
from test_validation_rows import TINY

X, Y = np.random.default_rng(0).normal(size=(20, 5, 2)), np.arange(20) % 2
SENTENCES, TAGS = [["a", "b", "a"]] * 6, [["X", "Y", "X"]] * 6

TABLE = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=9), "y": 1.0})

ERRORS: list[tuple[Callable[[], Any], type[RekurError], str]] = [
    (lambda: Classifier().fit(X, ["a", None] * 10), DataError, "no label in row 1, but None: label the row"),
    (lambda: Classifier().fit(X, [1.0, float("nan")] * 10), DataError, "no label in row 1"),
    (lambda: Classifier().fit(X, pd.Series(["a", pd.NA] * 10)), DataError, "no label in row 1"),
    (lambda: Classifier().fit(X, ["a", 1] * 10), DataError, r"mixes text and numbers: pass all labels as text"),
    (lambda: Classifier().fit(X, None), DataError, "the target y is None"),
    (lambda: Translator().fit(["a"], None), DataError, "the target y is None"),
    (lambda: Regressor().fit(X, None), DataError, "the target y is None"),
    (lambda: Classifier().fit(X, Y, 10), DataError, "pass other options by name: epochs=10"),
    (lambda: Regressor().fit(X, Y, 10), DataError, "pass other options by name: epochs=10"),
    (lambda: Classifier().fit((row for row in X), Y), DataError, "x must be an array or a list, got a generator"),
    (lambda: Tagger().fit(SENTENCES, ["X Y X"] * 6), DataError, r"pass a list of labels, one for each word: \['X'"),
    (lambda: Tagger().fit(SENTENCES, [["X", None, "X"]] * 6), DataError, "labels of sentence 0 are not all text"),
    (lambda: Tagger().fit([*SENTENCES[:5], None], TAGS), DataError, "sentence 5 is None"),
    (lambda: Translator().fit("a b", ["c"]), DataError, r"x is one text; pass a list of texts, such as \['a b'\]"),
    (lambda: Translator().fit(["a", "b"], ["c", 3]), DataError, "row 1 of y is not a text but 3"),
    (lambda: rekur.LanguageModel().fit(["a", None]), DataError, "row 1 of texts is not a text but None"),
    (lambda: Transcriber().fit(["gone.wav"], ["a"]), DataError, "gone.wav does not exist: check the path"),
    (lambda: rekur.Captioner().fit(["gone.mp4"], ["a"]), DataError, "gone.mp4 does not exist: check the path"),
    (lambda: Regressor(training={"max_epochs": 3}).fit(X, Y), OptionError, r"got a dict: pass Training\(\*\*\{'max_ep"),
    (lambda: Translator(generation=3).fit(["a"], ["b"]), OptionError, "must be a GenerationConfig, got a int"),
    (lambda: Regressor(hidden_size="64").fit(X, Y), OptionError, "hidden_size must be a number, got '64'"),
    (lambda: Regressor(hidden_size=6.5).fit(X, Y), OptionError, "hidden_size must be a whole number, got 6.5"),
    (lambda: Classifier(dropout="0.5").fit(X, Y), OptionError, "dropout must be a number, got '0.5'"),
    (lambda: Classifier(bidirectional="yes").fit(X, Y), OptionError, "bidirectional must be True or False"),
    (lambda: Classifier(input="numbers").fit(X, Y), OptionError, r"such as rekur.inputs.find\('numbers'\)\(\)"),
    (lambda: Training(learning_rate="1e-3"), OptionError, "learning_rate must be a number, got '1e-3'"),
    (lambda: Training(max_epochs="3"), OptionError, "max_epochs must be a number, got '3'"),
    (lambda: Training(batch_size=None), OptionError, "batch_size must be a number, got None"),
    (lambda: Regressor().fit(X, Y, epochs="3"), OptionError, "max_epochs must be a number, got '3'"),
    (lambda: Regressor().fit(X, Y, validation=[X, Y]), OptionError, r"validation must be a share .* got a list"),
    (lambda: Regressor(hiden_size=3), OptionError, "has no parameter 'hiden_size'; .* did you mean 'hidden_size'"),
    (lambda: rekur.Forecaster(horizn=3), OptionError, "did you mean 'horizon'"),
    (lambda: rekur.Forecaster(h=3), OptionError, "did you mean 'horizon'"),
    (lambda: rekur.Forecaster(3).fit(TABLE, target="y"), OptionError, "did you mean 'target_col'"),
    (lambda: rekur.Forecaster(3).fit(TABLE, ds="ds"), OptionError, "did you mean 'time_col'"),
    (lambda: rekur.Forecaster(3).backtest(TABLE, h=3), OptionError, "pass horizon to rekur.Forecaster"),
    (lambda: Classifier(**TINY).fit(["a b", "b"] * 5, Y[:10]).predict("a b"), DataError, r"x is one text; pass a list"),
    (lambda: Regressor(**TINY).fit(X, Y).predict(Path("a.wav")), DataError, r"x is one path; pass a list of paths"),
    (lambda: Tagger().set_params(droput=0.1), OptionError, "did you mean 'dropout'"),
    (lambda: Tagger().set_params(training__learnig_rate=0.1), OptionError, "did you mean 'learning_rate'"),
    (lambda: Training(learnig_rate=0.1), OptionError, "Training has no parameter 'learnig_rate'; .* 'learning_rate'"),
    (lambda: Training(max_time=5), OptionError, "did you mean 'max_seconds'"),
    (lambda: Training().replace(patince=3), OptionError, "did you mean 'patience'"),
    (lambda: rekur.GenerationConfig(num_beam=3), OptionError, "did you mean 'num_beams'"),
    (lambda: rekur.Text(vocab_size=50), OptionError, "Text has no parameter 'vocab_size'; .* 'vocabulary_size'"),
    (lambda: rekur.inputs.find("numbers")(scales="none"), OptionError, "did you mean 'scale'"),
    (lambda: rekur.Words(max_leters=5), OptionError, "did you mean 'max_letters'"),
    (lambda: rekur.Audio(samplerate=8000), OptionError, "did you mean 'sample_rate'"),
    (lambda: rekur.Video(frames=8), OptionError, "did you mean 'num_frames'"),
    (lambda: Classifier(**TINY).fit(X, Y).score(X, Y[:-1]), DataError, "x has 20 rows but y has 19"),
    (lambda: Tagger(**TINY).fit(SENTENCES, TAGS).score(SENTENCES, ["X Y X"] * 6), DataError, "pass a list of labels"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "text"), ERRORS, ids=[text for *_, text in ERRORS])
def test_an_argument_of_the_wrong_kind_is_an_error_with_its_cure(
    run: Callable[[], Any], kind: type[RekurError], text: str
) -> None:
    with pytest.raises(kind, match=text) as raised:
        run()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_tensors_are_read_whatever_their_type_and_gradient(dtype: torch.dtype) -> None:
    x = torch.randn(20, 5, 2).to(torch.bfloat16).to(dtype).requires_grad_()
    y = torch.arange(20.0, requires_grad=True)
    expected = Regressor(**TINY).fit(x.detach().double().numpy(), np.arange(20.0)).predict(X)
    for data in (x, list(x)):
        np.testing.assert_array_equal(Regressor(**TINY).fit(data, y).predict(X), expected)
    assert Classifier(**TINY, input=Numbers()).fit(x, torch.arange(20) % 2).predict(x).shape == (20,)


def test_sentences_may_be_strings() -> None:
    """They are split into words and punctuation marks, in the baseline too."""
    model = Tagger(**TINY).fit(["a b.", "b a."] * 5, [["X", "Y", "P"], ["Y", "X", "P"]] * 5)
    assert model.evaluate(["b a."], [["Y", "X", "P"]])["baseline_accuracy"] == 1


def test_recordings_may_be_named_by_strings(tmp_path: Any) -> None:
    import soundfile

    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    names = [str(tmp_path / f"{name}.wav") for name in "ab"]
    assert Transcriber(**TINY).fit(names, ["a", "b"]).reader_.options.kind == "audio"
