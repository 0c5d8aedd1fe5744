"""Defaults of the sequence tasks: input, network size, augmentation and training by task, kind of input and rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rekur import inputs
from rekur.core import OptionError
from rekur.data.validation import UserData, count_rows
from rekur.inputs.audio import Audio
from rekur.inputs.media_files import VIDEOS
from rekur.inputs.numbers import Numbers
from rekur.inputs.text import Text, strings
from rekur.inputs.words import WORD
from rekur.layers.conv_recurrent import CONVOLUTIONAL
from rekur.layers.speech.augmentation import SpectrumAugmentation
from rekur.training.config import Training

if TYPE_CHECKING:
    from rekur.inputs.reader import Input

SequenceData: TypeAlias = UserData
"""Sequences as users have them: an array (B, T, I), a list of arrays (T, I), of strings, of lists of words, of paths to
recordings or videos, of pairs (samples, rate), of arrays of frames."""

WARMUP_STEPS = 100
"""Steps in which the learning rate rises, at least: networks over frames never learn if it is high at once."""

MAX_CHARACTERS = 300
"""Mean length up to which texts are read word by word, each word also by its letters."""

MAX_CHARACTERS_PER_WORD = 15
"""Characters a word above which the words of a text are not separated by blanks."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the inputs while training.

    Parameters
    ----------
    token_dropout : float, default 0.0
        Share of the tokens or words that are replaced by the unknown one (text, words).
    spec_mask : float, default 0.0
        Share of the bands and of the steps that are masked in a spectrogram (audio), or of the columns and steps of
        other features of speech; also the strength of a random gain and frequency response.
    noise_std : float, default 0.0
        Standard deviation of the noise added to scaled numbers (numbers).
    affine : float, default 0.0
        Largest rotation, scaling and change of brightness of the frames of a video (video).
    mask_steps : int or None, default None
        Largest number of steps of a mask in a spectrogram (audio).
    band_warp : float, default 0.0
        Largest relative change of the frequencies (audio).
    tempo : float, default 0.0
        Largest relative change of the speed of speech (audio).
    silence : int, default 0
        Steps of silence added at each end of a recording at most (audio).
    noise : float, default 0.0
        Loudest energy of added noise, as a share of that of the loudest band (audio).
    offset_std : float, default 0.0
        Standard deviation of the constant added to each scaled column of a sequence, by every second network of an
        ensemble (numbers).
    subword_sampling : float or None, default None
        Exponent of the random segmentations of words into tokens (text), see `rekur.inputs.text.TextReader.sampled`.
    speed : float, default 0.0
        Strength of random spans and speeds (numbers), see `rekur.layers.augmentation.random_speed`.
    splicing : float, default 0.0
        Share of the strings of words that are spliced from words of all recordings, after a third of the training
        (audio, transcripts of words), see `rekur.layers.speech.splicing`.
    """

    token_dropout: float = 0.0
    spec_mask: float = 0.0
    noise_std: float = 0.0
    affine: float = 0.0
    mask_steps: int | None = None
    band_warp: float = 0.0
    tempo: float = 0.0
    silence: int = 0
    noise: float = 0.0
    subword_sampling: float | None = None
    offset_std: float = 0.0
    speed: float = 0.0
    splicing: float = 0.0

    def spectra(self) -> SpectrumAugmentation:
        """The options that concern spectra."""
        return SpectrumAugmentation(
            mask=self.spec_mask,
            mask_steps=self.mask_steps,
            response=self.spec_mask,
            warp=self.band_warp,
            speed=self.tempo,
            silence=self.silence,
            noise=self.noise,
        )

    def for_input(self, kind: str) -> float:
        """The option that concerns a kind of input."""
        strengths = {"numbers": self.noise_std, "video": self.affine}
        return strengths.get(kind, self.token_dropout)


@dataclass(frozen=True)
class NetworkSize:
    """Size and regularisation of a network.

    Parameters
    ----------
    embedding_size : int, default 128
        Size of the vectors of the encoder, where it can be chosen.
    hidden_size : int, default 128
        Hidden size H of the stack.
    num_layers : int, default 1
        Layers L of the stack.
    bidirectional : bool, default True
        Whether the stack also reads backward.
    dropout : float, default 0.3
        Share of the entries set to zero while training, before, between and behind the layers.
    augmentation : Augmentation, default none
        Random changes of the inputs while training.
    normalize : bool, default False
        Whether the stack has layer normalization (labels of recordings).
    reduction : int, default 2
        Spectra that are read as one step, 2 or 4 (labels of recordings).
    guided_attention : float, default 0.0
        Weight of the loss by which the attention of a translator learns the word alignment of the training pairs,
        which also gives the decoder a lexicon, see `rekur.layers.seq2seq.alignment`.
    members : int, default 1
        Networks of an ensemble (labels). Where the user names no validation, each of several holds out another tenth of
        the rows for the validation error, and all train to the end: the epochs of few rows cannot be compared.
    """

    embedding_size: int = 128
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = True
    dropout: float = 0.3
    augmentation: Augmentation = Augmentation()
    normalize: bool = False
    reduction: int = 2
    guided_attention: float = 0.0
    members: int = 1


@dataclass(frozen=True)
class TaskDefaults:
    """Network size and training of a task for one kind of input.

    Parameters
    ----------
    size : NetworkSize
        Size of the network.
    training : Training
        Options of the training; `max_epochs`, `patience` and `warmup` follow from the two below, where given.
    steps : int or None, default None
        Steps that training should take; None takes `training` as it is.
    epochs : (int, int), default (1, 1)
        Least and largest number of epochs.
    input : Input or None, default None
        Options of the input; None for those of its class.
    """

    size: NetworkSize
    training: Training
    steps: int | None = None
    epochs: tuple[int, int] = (1, 1)
    input: Input | None = None

    def trained(self, length: int, training: Training | None = None, epochs: int | None = None) -> Training:
        """Options for epochs of `length` steps: the fields passed in `training`, and these defaults for the others.

        Training stops if a third of the epochs, and no fewer than five, have brought nothing better, and the learning
        rate rises for a hundred steps or more (at most three tenths of all). `epochs` replaces `max_epochs`.
        """
        options = Training() if training is None else training
        if epochs is not None:
            options = options.replace(max_epochs=epochs)
        if self.steps is None:
            return options.merged_with(self.training)
        if "max_epochs" not in options.explicit:
            least, largest = self.epochs
            options = options.replace(max_epochs=max(least, min(largest, round(self.steps / length))))
        warmup = min(0.3, max(self.training.warmup, WARMUP_STEPS / (length * options.max_epochs)))
        return options.merged_with(self.training.replace(patience=max(5, options.max_epochs // 3), warmup=warmup))


BASE = Training(batch_size=32, learning_rate=2e-3, schedule="cosine", warmup=0.05, optimizer="adamw", weight_decay=1e-2)
SPEECH = TaskDefaults(
    NetworkSize(192, 192, 3, True, 0.2, Augmentation(spec_mask=0.2, band_warp=0.1)),
    BASE.replace(batch_size=16),
    8_000,
    (10, 120),
)
SPOKEN = Augmentation(spec_mask=0.15, mask_steps=10, band_warp=0.2, tempo=0.2, noise=2.5e-3)
STRINGS = replace(SPOKEN, mask_steps=15, band_warp=0.1, tempo=0.1, noise=1e-4, silence=30)
SPLICED = replace(STRINGS, splicing=0.9)
SHORT = BASE.replace(batch_size=8)
RECORDINGS = Audio(dynamic_range=25.0)
"""Recordings of few speakers: the augmentation makes up for those that are missing."""


def _tokens(share: float) -> Augmentation:
    return Augmentation(token_dropout=share)


TRANSLATION = TaskDefaults(
    NetworkSize(256, 256, 1, True, 0.3, _tokens(0.05)), BASE.replace(batch_size=64), 7_000, (10, 40)
)

DEFAULTS: Mapping[tuple[str, str], TaskDefaults] = {
    ("value", "numbers"): TaskDefaults(NetworkSize(64, 64, 1, False, 0.0), Training(), 2_000, (10, 200)),
    ("label", "numbers"): TaskDefaults(
        NetworkSize(64, 64, 1, True, 0.2, Augmentation(noise_std=0.05)), BASE, 2_000, (10, 150)
    ),
    ("label", "text"): TaskDefaults(NetworkSize(128, 128, 1, True, 0.5, _tokens(0.1)), BASE, 3_000, (4, 8)),
    ("label", "words"): TaskDefaults(NetworkSize(100, 128, 1, True, 0.5, _tokens(0.1)), BASE, 3_000, (4, 12)),
    ("label", "audio"): TaskDefaults(
        NetworkSize(128, 128, 2, True, 0.2, Augmentation(spec_mask=0.15, band_warp=0.075)), BASE, 3_000, (10, 60)
    ),
    ("label", "video"): TaskDefaults(
        NetworkSize(64, 128, 1, True, 0.1, Augmentation(affine=0.15)), BASE, 1_500, (8, 40)
    ),
    ("label", "pictures"): TaskDefaults(NetworkSize(32, 32, 1, False, 0.2), BASE, 1_500, (8, 40)),
    ("tags", "words"): TaskDefaults(NetworkSize(100, 128, 1, True, 0.5, _tokens(0.05)), BASE, 6_000, (10, 30)),
    ("transcript", "audio"): SPEECH,
    ("transcript", "numbers"): SPEECH,
    ("translation", "text"): TRANSLATION,
    ("summary", "text"): TRANSLATION,
    ("caption", "video"): TaskDefaults(
        NetworkSize(64, 128, 1, True, 0.1, Augmentation(affine=0.15)), BASE, 2_500, (10, 80)
    ),
    ("caption", "numbers"): TaskDefaults(NetworkSize(64, 128, 1, True, 0.1), BASE, 4_000, (10, 80)),
    ("next", "text"): TaskDefaults(
        NetworkSize(400, 400, 2, False, 0.25), BASE.replace(batch_size=20, bptt=35), 8_000, (3, 15)
    ),
}
"""By task and kind of input; "pictures" are the frames of a video for convolutional cells. Sizes were chosen on
held-out parts (docs/design.md, section 7)."""


MOTION = NetworkSize(64, 64, 1, True, 0.4, Augmentation(noise_std=0.05, offset_std=0.4, speed=0.3), members=4)
PAIRS = NetworkSize(192, 192, 1, True, 0.4, Augmentation(token_dropout=0.1, subword_sampling=0.2), guided_attention=1.0)

FEW_ROWS: Mapping[tuple[str, str], Sequence[tuple[int, TaskDefaults]]] = {
    ("label", "numbers"): [
        (500, TaskDefaults(MOTION, BASE, 2_000, (10, 500), Numbers(deltas=True))),
    ],
    ("translation", "text"): [
        (5_000, TaskDefaults(PAIRS, BASE, 3_000, (10, 200), Text(vocabulary_size=2_000))),
    ],
    ("label", "audio"): (
        (500, TaskDefaults(NetworkSize(128, 128, 2, True, 0.2, SPOKEN, True, 4), BASE, 2_000, (10, 300), RECORDINGS)),
        (5_000, TaskDefaults(NetworkSize(128, 128, 2, True, 0.2, SPOKEN, True, 4), BASE, 3_000, (10, 100), RECORDINGS)),
    ),
    ("transcript", "audio"): (
        (500, TaskDefaults(NetworkSize(128, 128, 2, True, 0.3, SPLICED), SHORT, 1_500, (10, 500), RECORDINGS)),
    ),
    ("transcript", "numbers"): (
        (500, TaskDefaults(NetworkSize(128, 128, 2, True, 0.3, STRINGS), SHORT, 1_500, (10, 500))),
    ),
}
"""Defaults for fewer training rows than a limit, the smallest limit first, by task and kind of input."""


def by_rows(task: str, kind: str, rows: int) -> TaskDefaults:
    """Defaults of a task for a kind of input and a number of training rows."""
    fitting = (defaults for limit, defaults in FEW_ROWS.get((task, kind), ()) if rows < limit)
    return next(fitting, DEFAULTS[task, kind])


def task_defaults(task: str, kind: str, cell: str, rows: int) -> TaskDefaults:
    """Defaults of a task for a kind of input, a cell and a number of training rows."""
    if task != "label" or cell not in CONVOLUTIONAL:
        return by_rows(task, kind, rows)
    if kind != "video":
        raise OptionError(f"the cell {cell!r} is convolutional: it takes video, not {kind}")
    return DEFAULTS[task, "pictures"]


def network_size(defaults: NetworkSize, parameters: Mapping[str, Any]) -> NetworkSize:
    """Default size with the sizes among an estimator's parameters that are not None."""
    names = ("hidden_size", "num_layers", "bidirectional", "dropout")
    return replace(defaults, **{name: parameters[name] for name in names if parameters.get(name) is not None})


def choose_input(task: str, name: str, x: SequenceData, chosen: Input | None = None) -> Input:
    """Input chosen by the user, the only one of the task or that which fits the data; refused where it does not fit."""
    kinds = [kind for out, kind in DEFAULTS if out == task and kind in inputs.INPUTS]
    if chosen is None:
        kind = kinds[0] if len(kinds) == 1 else guess_kind(x)
        if kind == "text" and "words" in kinds and short_texts(x):
            kind = "words"
        elif kind == "text" and "text" not in kinds:  # names of files
            kind = guess_kind([Path(text) for text in x])
        chosen = by_rows(task, kind, count_rows(x)).input or inputs.find(kind)()
    if chosen.kind not in kinds:
        raise OptionError(f"{name} takes {' or '.join(kinds)}, not {chosen.kind}")
    return chosen


def guess_kind(x: SequenceData) -> str:
    """Kind of input that fits the data.

    Strings are text, lists of strings words, paths recordings or videos by their ending, pairs (samples, rate)
    recordings, arrays of bytes with four axes videos, and all else numbers.
    """
    first: Any = next(iter(x), None) if hasattr(x, "__iter__") and not hasattr(x, "columns") else None
    if isinstance(first, os.PathLike):
        ending = os.path.splitext(os.fspath(first))[1].lower()
        return "video" if ending in VIDEOS else "audio"
    if isinstance(first, str):
        return "text"
    if isinstance(x, list) and isinstance(first, tuple) and len(first) == 2 and np.ndim(first[1]) == 0:
        return "audio"
    if getattr(first, "dtype", None) == np.uint8 and np.ndim(first) == 4:
        return "video"
    if isinstance(first, Sequence) and len(first) and isinstance(first[0], str):
        return "words"
    return "numbers"


def short_texts(x: Sequence[str]) -> bool:
    """Whether texts are short on average and have their words separated by blanks."""
    texts = strings(x)
    characters, words = sum(map(len, texts)), sum(len(WORD.findall(text)) for text in texts)
    return characters <= MAX_CHARACTERS * len(texts) and characters <= MAX_CHARACTERS_PER_WORD * words
