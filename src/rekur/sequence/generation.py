"""Text generation: options of the decoder, its training and the beam search."""

from __future__ import annotations

from dataclasses import dataclass

from rekur.core import CheckedArguments, OptionError, choose, positive


@dataclass(frozen=True)
class GenerationConfig(CheckedArguments):
    """Options of text generation, an immutable value.

    Parameters
    ----------
    attention : {"dot", "additive"}, default "dot"
        Attention of the decoder: "dot" (Luong) or "additive" (Bahdanau).
    copy : bool, default False
        Whether the decoder can copy tokens of the source (pointer-generator network). The source must be text.
    coverage : float, default 0.0
        Weight of the penalty on attending twice to one place.
    scheduled_sampling : float, default 0.0
        Share of the preceding tokens that are the decoder's own while training, in [0, 1].
    label_smoothing : float, default 0.1
        Share of the target's probability that is spread over all tokens while training, in [0, 1).
    num_beams : int, default 5
        Beams of the search; 1 for greedy search.
    length_penalty : float, default 0.7
        Exponent of the length by which log-probabilities of texts are divided.
    no_repeat_ngram : int, default 0
        Length of the n-grams that may occur once at most; 0 for no limit.
    max_length : int, default 100
        Tokens of a text at most.
    metric : {"bleu", "rouge"}, default "bleu"
        Metric by which the best epoch is chosen, and the score.

    Raises
    ------
    OptionError
        If a field has a value outside its range.

    Examples
    --------
    >>> from rekur.sequence.generation import GenerationConfig
    >>> GenerationConfig(num_beams=1, max_length=20).attention
    'dot'
    """

    attention: str = "dot"
    copy: bool = False
    coverage: float = 0.0
    scheduled_sampling: float = 0.0
    label_smoothing: float = 0.1
    num_beams: int = 5
    length_penalty: float = 0.7
    no_repeat_ngram: int = 0
    max_length: int = 100
    metric: str = "bleu"

    def __post_init__(self) -> None:
        choose("attention", self.attention, ("dot", "additive"))
        choose("metric", self.metric, ("bleu", "rouge"))
        for name in ("num_beams", "max_length"):
            positive(name, getattr(self, name))
        if not 0 <= self.scheduled_sampling <= 1 or not 0 <= self.label_smoothing < 1 or self.coverage < 0:
            raise OptionError(
                "scheduled_sampling must lie in [0, 1], label_smoothing in [0, 1), and coverage must not be negative"
            )


SUMMARY = GenerationConfig(
    copy=True, coverage=0.3, length_penalty=1.0, no_repeat_ngram=3, max_length=60, metric="rouge"
)
"""Options for summaries: the decoder copies from the source and repeats no three tokens."""
