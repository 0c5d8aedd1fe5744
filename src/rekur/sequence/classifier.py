"""Classification: a sequence to a label."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rekur import inputs, metrics
from rekur.core import DataError, OptionError
from rekur.data.items import Batcher
from rekur.estimator import learning
from rekur.inputs.text import strings
from rekur.inputs.words import WORD, sentence
from rekur.layers.conv_recurrent import CONVOLUTIONAL, ConvRecurrentStack
from rekur.layers.encoders import Encoder, FrameEncoder, encoder
from rekur.layers.heads import LabelHead
from rekur.layers.sequence_net import SequenceNet
from rekur.layers.stack import Stack
from rekur.sequence.base import SequenceEstimator
from rekur.sequence.defaults import DEFAULTS, TaskDefaults
from rekur.sequence.ngrams import NGrams, normal
from rekur.training.config import Training

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor, nn

    from rekur.data.batching import Batch


SENTENCE = 300  # characters up to which a text, on average, is read word by word, each also by its letters
SPELLED = 15  # characters for each word above which they are not set apart by blanks


class Classifier(SequenceEstimator):
    """Map sequences to one of K labels: arrays, strings, recordings or videos.

        h_1 … h_T = stack of cells over the encoded x_1 … x_T
        p = softmax(W·[h_T; mean_t h_t; max_t h_t] + b)

    For text, a linear model over words and pairs of words stands beside the net, and p ∝ p_net^α · p_linear^β with α
    and β that say most about the rows held out: the result is hardly ever worse than the better of the two.

    The net is trained by cross-entropy. Labels may be of any kind that numpy sorts: numbers or strings. Sentiment of
    texts, commands in recordings, actions in videos and movements told by sensors are all this.

    Parameters
    ----------
    cell : "gru", "lstm", "rnn", "rnn_relu" or "gru_before"; for videos also "conv_lstm", "conv_gru", "conv_rnn" or
        "conv_rnn_relu", which fold over pictures, see `rekur.layers.conv_recurrent.ConvRecurrent`
    hidden, layers, bidirectional, dropout : the stack, see `rekur.layers.stack.Stack`; None as the input asks
    training : how to train, see `rekur.Training`; None as the input and the number of rows ask
    input : `Numbers`, `Text`, `Words`, `Audio` or `Video` of `rekur.inputs`, with options; None takes the one that
        fits: strings of up to 300 characters, on average, are read as `Words`, longer ones as `Text`
    class_weight : "balanced" lets each label count alike, a dictionary gives the weight of each; training then
        minds the F1 score averaged over the labels in place of the accuracy
    seed : seed of the weights, the order of the rows and dropout; the same seed gives the same numbers

    Attributes
    ----------
    classes_ : (K,) the labels in the order of `predict_proba` · history_ : one record for each epoch; `val_loss` is
    one minus the accuracy on rows held out · net_ : the torch module · reader_ : what was learned of the input

    Examples
    --------
    >>> import numpy as np, rekur
    >>> x = np.random.default_rng(0).normal(size=(200, 12, 1))
    >>> y = np.where(x.sum(axis=(1, 2)) > 0, "up", "down")
    >>> model = rekur.Classifier(cell="gru", hidden_size=16).fit(x[:150], y[:150], epochs=30)
    >>> model.score(x[150:], y[150:]) > 0.8
    True
    """

    out = "label"

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        bidirectional: bool | None = None,
        dropout: float | None = None,
        training: Training | None = None,
        input: Any = None,
        class_weight: str | Mapping[Any, float] | None = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.training = training
        self.input = input
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(
        self,
        x: Any,
        y: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        validation: float | tuple[Any, ...] | None = None,
        epochs: int | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Classifier:
        """Train on sequences and labels.

        Parameters
        ----------
        x : an array (B, T, I), a list of arrays (T, I), of strings, or of `pathlib.Path`s to recordings or videos
        y : (B,) labels
        lengths : (B,) valid steps of each row of an array, or None
        validation : share of the rows held out, or (x, y) or (x, y, lengths); None holds out a tenth where there are
            200 rows or more. The weights of the epoch that is best on them are kept
        epochs : instead of `training.epochs`
        progress : show a bar; None asks whether standard error is a terminal
        checkpoint : folder written after each epoch; if it holds one, training goes on from there

        Raises
        ------
        DataError : data that cannot be used, with its place
        TrainingError : the loss is not finite, with the layer responsible
        """
        with learning(self, "net_"):
            given = x if lengths is None else (x, lengths)
            vars(self).pop("ngrams_", None)
            train, held = self._fit(given, y, validation, epochs, progress, checkpoint)
            if self.reader_.options.kind in ("text", "words"):
                self._blend(texts(x), train, held, texts(validation[0] if isinstance(validation, tuple) else x))
        return self

    @property
    def classes_(self) -> np.ndarray:
        """The labels (K,) in the order of `predict_proba`."""
        self.check_fitted("learned_")
        return np.asarray(self.learned_["classes"])

    def predict_proba(self, x: Any, *, lengths: ArrayLike | None = None) -> np.ndarray:
        """Probabilities (B, K) for sequences x as in `fit`."""
        own = self._log_p(x if lengths is None else (x, lengths))
        if not hasattr(self, "ngrams_"):
            return probabilities(own)
        net, linear = self.learned_["blend"]
        return probabilities(net * own + linear * self.ngrams_.log_p(texts(x)))

    def _log_p(self, x: Any) -> np.ndarray:
        """Log-probabilities (B, K) of the net."""
        return np.stack(self._each(lambda batch: self.net_(batch.x, batch.lengths)[0].log_softmax(-1).numpy(), x))

    def _blend(self, x: Sequence[str], train: Batcher, held: Batcher | None, others: Sequence[str]) -> None:
        """Learn the linear model over n-grams, and how much of each says most about the rows held out."""
        self.ngrams_ = NGrams.learn(
            [x[k] for k in train.order], train.y[train.order], len(self.classes_), self.random_state
        )
        self.learned_["blend"] = [0.5, 0.5]
        if held is not None:
            those, y = [others[k] for k in held.order], held.y[held.order].numpy()
            self.learned_["blend"] = best_blend(self._log_p(those), self.ngrams_.log_p(those), y)

    def predict(self, x: Any, *, lengths: ArrayLike | None = None) -> np.ndarray:
        """The most probable label (B,) for sequences x as in `fit`."""
        return np.asarray(self.classes_[self.predict_proba(x, lengths=lengths).argmax(axis=1)])

    def score(self, x: Any, y: ArrayLike, *, lengths: ArrayLike | None = None) -> float:
        """The share of labels that are right."""
        return float((self.predict(x, lengths=lengths) == np.asarray(y)).mean())

    def evaluate(self, x: Any, y: ArrayLike, *, lengths: ArrayLike | None = None) -> dict[str, float]:
        """Accuracy and F1 averaged over the labels, beside those of a baseline.

        The baseline is the linear model over n-grams for text, and otherwise to say the most frequent label always.
        """
        actual, predicted = np.asarray(y), self.predict(x, lengths=lengths)
        if hasattr(self, "ngrams_"):
            simple = self.classes_[self.ngrams_.log_p(texts(x)).argmax(1)]
        else:
            simple = np.full(len(actual), self.classes_[int(np.argmax(self.learned_["counts"]))])
        return {
            "accuracy": float((predicted == actual).mean()),
            "f1": metrics.macro_f1(actual, predicted),
            "baseline accuracy": float((simple == actual).mean()),
            "baseline f1": metrics.macro_f1(actual, simple),
        }

    def _tensors(self) -> dict[str, Tensor]:
        return self.ngrams_.tensors() if hasattr(self, "ngrams_") else {}

    def _recall(self, tensors: dict[str, Tensor]) -> None:
        if tensors:
            self.ngrams_ = NGrams.restore(tensors)

    def _build(self) -> nn.Module:
        s = self.shape_
        given = s.hidden_size, s.num_layers, s.bidirectional, s.dropout
        front: Encoder
        stack: ConvRecurrentStack | Stack
        if self.cell in CONVOLUTIONAL:
            front = FrameEncoder(s.vectors, s.dropout, s.forget, True, self.random_state)
            stack = ConvRecurrentStack(self.cell, front.size, *given, self.random_state)
        else:
            front = encoder(self.reader_, s.vectors, s.dropout, s.forget, self.random_state)
            stack = Stack(self.cell, front.size, *given, self.reader_.options.kind == "video", self.random_state)
        head = LabelHead(3 * stack.size, len(self.learned_["classes"]), self.random_state)
        return SequenceNet(front, stack, head, False, s.dropout)

    def _given(self, x: Any) -> Any:
        chosen = super()._given(x)
        if self.input is not None or chosen.kind != "text":
            return chosen
        some = strings(x)
        letters, words = sum(map(len, some)), sum(len(WORD.findall(text)) for text in some)
        short = letters <= SENTENCE * len(some) and letters <= SPELLED * words
        return inputs.find("words")() if short else chosen

    def _plan(self, chosen: Any) -> TaskDefaults:
        if self.cell not in CONVOLUTIONAL:
            return super()._plan(chosen)
        if chosen.kind != "video":
            raise OptionError(f"the cell {self.cell!r} folds over pictures: it takes video, not {chosen.kind}")
        return DEFAULTS["label", "pictures"]

    def _targets(self, y: Any, learn: bool) -> Tensor:
        labels = np.asarray(y)
        if labels.ndim != 1 or not len(labels):
            raise DataError(f"y must be one label for each row, (B,), got the shape {labels.shape}")
        if learn:
            classes, counts = np.unique(labels, return_counts=True)
            self.learned_.update(classes=classes.tolist(), counts=counts.tolist())
            if len(classes) < 2:
                raise DataError(f"every row has the label {classes.tolist()[0]!r}: there is nothing to tell apart")
        index = {label: k for k, label in enumerate(self.learned_["classes"])}
        unknown = [label for label in labels.tolist() if label not in index]
        if unknown:
            raise DataError(f"the label {unknown[0]!r} does not occur in the training data")
        return torch.tensor([index[label] for label in labels.tolist()])

    def _weights(self) -> Tensor | None:
        """The weight of each label, (K,)."""
        classes, counts = self.learned_["classes"], np.array(self.learned_["counts"], dtype=np.float32)
        if self.class_weight is None:
            return None
        if self.class_weight == "balanced":
            return torch.from_numpy(counts.sum() / (len(counts) * counts))
        if not isinstance(self.class_weight, Mapping) or set(self.class_weight) != set(classes):
            raise OptionError(f'class_weight must be "balanced" or give a weight for each of {classes}')
        return torch.tensor([float(self.class_weight[label]) for label in classes])

    def _loss(self, net: Any, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        raw, _ = net(batch.x, batch.lengths)
        weights = self._weights()
        return net.head.loss(raw, batch.y, None if weights is None else weights[batch.y]), None

    def _error(self, net: Any, held: Batcher) -> float:
        told = [(net(batch.x, batch.lengths)[0].argmax(-1), batch.y) for batch in held.ordered()]
        predicted, actual = (torch.cat(part).numpy() for part in zip(*told, strict=True))
        if self.class_weight is not None:
            return 1 - metrics.macro_f1(actual, predicted)
        return 1 - float((predicted == actual).mean())


SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
EVEN = 20.0  # rows by whose loss a blend must pay for each unit that it is away from even shares


def texts(x: Sequence[str | Sequence[str]]) -> list[str]:
    """Strings; lists of words are joined."""
    return [sentence(text) for text in x]


def probabilities(log_p: np.ndarray) -> np.ndarray:
    """Probabilities that sum to one in each row."""
    made: np.ndarray = np.exp(normal(log_p))
    return made


def best_blend(net: np.ndarray, linear: np.ndarray, y: np.ndarray) -> list[float]:
    """The powers of both models with the smallest loss on rows held out, drawn a little towards even ones."""

    def cost(a: float, b: float) -> float:
        told = normal(a * net + b * linear)[np.arange(len(y)), y]
        return float(-told.sum() + EVEN * (a - b) ** 2)

    return list(min(((a, b) for a in SHARES for b in SHARES if a + b), key=lambda pair: cost(*pair)))
