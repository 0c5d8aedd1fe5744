"""Listening: a transcript that grows while a recording comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rekur.core import DataError
from rekur.inputs.audio import resample
from rekur.layers.ctc import collapse_path

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from rekur.inputs.audio import AudioReader
    from rekur.layers.sequence_net import SequenceNet


class StreamingTranscriber:
    """Hears a recording piece by piece; made by `Transcriber.stream`.

    What it holds does not grow with the recording, but for the text. The text is that of the best path, the same as
    `Transcriber.predict` finds in the whole recording.
    """

    def __init__(self, net: SequenceNet, reader: AudioReader, letters: list[str]) -> None:
        self.net, self.reader, self.letters = net, reader, letters
        self.text = ""
        self._bank, self._heard = reader.online(), 0
        self._encoded: Any = None
        self._states: Any = None
        self._before: int | None = None

    def push(self, samples: ArrayLike, rate: int | None = None) -> str:
        """Hear more samples (n,) in -1 … 1; the text that they add.

        `rate` is that of the model if None; at another rate each piece is resampled by itself.
        """
        wave = np.ascontiguousarray(samples, dtype=np.float32)
        if wave.ndim != 1:
            raise DataError(f"samples must be one channel (n,), got the shape {wave.shape}")
        if not np.isfinite(wave).all():
            raise DataError("samples must be finite")
        if rate is not None and rate != self.reader.rate:
            wave = resample(wave, rate, self.reader.rate)
        self._bank.accept_waveform(self.reader.rate, wave)
        return self._more()

    def _more(self) -> str:
        ready = self._bank.num_frames_ready
        if ready == self._heard:
            return ""
        frames = np.stack([self._bank.get_frame(k) for k in range(self._heard, ready)])
        self._bank.pop(ready - self._heard)
        self._heard = ready
        encoder: Any = self.net.encoder
        with torch.inference_mode():
            vectors, self._encoded = encoder.advance(torch.from_numpy(frames)[None], self._encoded)
            if not vectors.shape[1]:
                return ""
            y, self._states = self.net.stack(vectors, self._states)
            path = self.net.head(y)[0].argmax(-1).tolist()
        blank: Any = self.net.head.blank
        added = "".join(self.letters[k - 1] for k, _ in collapse_path(path, blank, self._before))
        self._before = path[-1]
        self.text += added
        return added
