"""Streaming speech recognition: the transcript of a recording while it comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from rekur.core import DataError
from rekur.inputs.audio import AudioReader, resample
from rekur.layers.ctc import CTCHead, collapse_path
from rekur.layers.sequence_net import SequenceNet
from rekur.layers.speech.encoder import SpeechEncoder

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from rekur.layers.speech.encoder import SpeechState
    from rekur.sequence.transcriber import TranscriptCodec
    from rekur.training.loop import States


class StreamingTranscriber:
    """Streaming transcriber of one recording, built by `Transcriber.stream`.

    Its memory does not grow with the recording, except for the text. The text is that of the best path, the same as
    `Transcriber.predict` gives for the whole recording.

    Parameters
    ----------
    net : SequenceNet
        Network of a unidirectional transcriber.
    reader : AudioReader
        Reader of its recordings.
    codec : TranscriptCodec
        Its labels.

    Attributes
    ----------
    text : str
        The text so far.

    Examples
    --------
    >>> import numpy as np, rekur
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    >>> model = rekur.Transcriber(hidden_size=8, num_layers=1, bidirectional=False)
    >>> model = model.fit([(noise, 8000), (noise[:6000], 8000)], ["a", "b"], epochs=1)
    >>> stream = model.stream()
    >>> text = "".join(stream.push(noise[k : k + 1000]) for k in range(0, 8000, 1000))
    >>> text == stream.text == model.predict([(noise, 8000)])[0]
    True
    """

    def __init__(self, net: SequenceNet[CTCHead], reader: AudioReader, codec: TranscriptCodec) -> None:
        assert isinstance(net.encoder, SpeechEncoder)
        self.net, self.encoder, self.reader, self.codec = net, net.encoder, reader, codec
        self.text = ""
        self._bank, self._frames = reader.online(), 0
        self._encoder_state: SpeechState | None = None
        self._states: States = None
        self._last_label = net.head.blank

    def push(self, samples: ArrayLike, rate: int | None = None) -> str:
        """Transcribe more samples.

        Parameters
        ----------
        samples : array of shape (n,)
            Samples of one channel in -1 … 1.
        rate : int or None, default None
            Samples a second; None for the rate of the model. At another rate each piece is resampled by itself.

        Returns
        -------
        str
            The text that the samples add.

        Raises
        ------
        DataError
            If the samples are not one channel of finite numbers.
        """
        wave = np.ascontiguousarray(samples, dtype=np.float32)
        if wave.ndim != 1:
            raise DataError(f"samples must be one channel (n,), got the shape {wave.shape}")
        if not np.isfinite(wave).all():
            raise DataError("samples must be finite")
        if rate is not None and rate != self.reader.rate:
            wave = resample(wave, rate, self.reader.rate)
        self._bank.accept_waveform(self.reader.rate, wave)
        return self._advance()

    def _advance(self) -> str:
        """Read the frames that are complete."""
        ready = self._bank.num_frames_ready
        if ready == self._frames:
            return ""
        frames = np.stack([self._bank.get_frame(k) for k in range(self._frames, ready)])
        self._bank.pop(ready - self._frames)
        self._frames = ready
        with torch.inference_mode():
            vectors, self._encoder_state = self.encoder.advance(torch.from_numpy(frames)[None], self._encoder_state)
            if not vectors.shape[1]:
                return ""
            y, self._states = self.net.stack(vectors, self._states)
            path = self.net.head(y)[0].argmax(-1).tolist()
        added = self.codec.decode([label for label, _ in collapse_path(path, self.net.head.blank, self._last_label)])
        if self.text and added:
            added = self.codec.separator + added
        self._last_label = path[-1]
        self.text += added
        return added
