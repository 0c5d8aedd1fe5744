"""Spelling: what a language model of letters thinks of the next letter of a transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rekur.core import OptionError
from rekur.inputs.tokenizer import END

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rekur.sequence.language_model import LanguageModel


class CharLMScorer:
    """weight · log p(letter | prefix), for the search of a transcriber; each prefix is read once.

    language : a `LanguageModel` with `input=Text(pieces="char")` · letters : those of the labels 1 … K
    """

    def __init__(self, language: LanguageModel, letters: Sequence[str], weight: float) -> None:
        language.check_fitted("net_")
        if language.reader_.options.pieces != "char":
            raise OptionError('the language model must tell letters: fit it with input=Text(pieces="char")')
        self.net: Any = language.net_
        self.weight = weight
        tokenizer = language.reader_.tokenizer
        self.tokens = [END, *(tokenizer.number(letter) for letter in letters)]
        self.read: dict[tuple[int, ...], tuple[Any, Any]] = {(): self._step([END, tokenizer.number(" ")], None)}

    def __call__(self, prefix: tuple[int, ...], k: int) -> float:
        """What is added for label k after a prefix of labels; 0 is the end."""
        return self.weight * float(self._at(prefix)[0][self.tokens[k]])

    def _at(self, prefix: tuple[int, ...]) -> tuple[Any, Any]:
        if prefix not in self.read:
            self.read[prefix] = self._step([self.tokens[prefix[-1]]], self._at(prefix[:-1])[1])
        return self.read[prefix]

    def _step(self, tokens: list[int], states: Any) -> tuple[Any, Any]:
        with torch.inference_mode():
            scores, states = self.net(torch.tensor([tokens]), states)
        return scores[0, -1].log_softmax(-1).numpy(), states
