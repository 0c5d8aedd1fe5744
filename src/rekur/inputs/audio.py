"""Audio input: recordings (WAV, FLAC, OGG, MP3 …) as log-mel spectra, read batch by batch."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

import numpy as np

from rekur.core import CheckedArguments, DataError, library, positive
from rekur.data.batching import LazySequences
from rekur.inputs.media_files import Cache, check_duration, existing_path, is_file, label_of
from rekur.inputs.reader import training_part

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array
    from rekur.inputs.reader import Description, Learned

NEEDS = "recordings need soundfile, soxr and kaldi-native-fbank: pip install soundfile soxr kaldi-native-fbank"
NO_RATE = "x holds samples without their rate: pass pairs (samples, 16000) with the samples a second, or paths of files"
STATISTICS_RECORDINGS = 500  # recordings from which mean and standard deviation are estimated, at most
FRAME_SHIFT = 0.01  # seconds from one spectrum to the next
FRAME_LENGTH = 0.025  # seconds of one spectrum
DECIBELS = 10 / math.log(10)  # of one unit of a natural logarithm of energies

Wave: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"
Recording: TypeAlias = "str | os.PathLike[str] | tuple[Sequence[float] | Array, int]"
"""A file, or samples in -1 … 1 and their number a second."""


class FilterBank(Protocol):
    """Mel filter bank of kaldi-native-fbank, which takes samples piece by piece."""

    num_frames_ready: int

    def accept_waveform(self, sampling_rate: int, waveform: Wave) -> None:
        """Take more samples (n,)."""

    def input_finished(self) -> None:
        """End the recording."""

    def get_frame(self, frame: int) -> Wave:
        """Spectrum (n_mels,) of one frame."""

    def pop(self, n: int) -> None:
        """Forget the first n frames that are still held."""


@dataclass(frozen=True)
class Audio(CheckedArguments):
    """Recordings, as files or as pairs (samples, rate), read as log-mel spectra.

        x_t = log of the energy in each mel band of the 25 ms from 10 ms · t on

    and with a `dynamic_range` of R dB

        x_t ← log(exp(x_t - m) + 10^(-R/10))

    where m is the largest value of the recording.

    Parameters
    ----------
    n_mels : int, default 40
        Number of bands, equally wide on the mel scale.
    sample_rate : int or None, default None
        Samples a second; recordings of other rates are resampled. None takes the most frequent rate of the training
        data.
    max_seconds : float, default 60.0
        Largest duration in seconds; longer recordings are refused.
    dynamic_range : float or None, default None
        Range below the loudest band of a recording in dB, outside of which energies are not told apart: spectra then
        depend neither on the loudness of a recording nor on the noise of its room and microphone. None for no limit.

    Notes
    -----
    Samples lie in -1 … 1; the channels of a file are averaged. Files are opened once for their lengths, and decoded
    batch by batch.

    Examples
    --------
    >>> import numpy as np
    >>> samples = np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    >>> reader = Audio(n_mels=20).learn([(samples, 8000)])
    >>> reader.rate, reader.items([(samples, 8000)])[0].shape
    (8000, torch.Size([48, 20]))
    """

    n_mels: int = 40
    sample_rate: int | None = None
    max_seconds: float = 60.0
    dynamic_range: float | None = None
    kind: ClassVar[str] = "audio"

    def learn(self, values: Sequence[Recording], rows: Array | None = None) -> AudioReader:
        """Reader with the rate of the recordings in `rows`, or all, and the mean and standard deviation of every band.

        Raises
        ------
        OptionError
            An option is not positive.
        DataError
            A recording cannot be read, or is too short or too long.
        """
        import torch

        positive("n_mels", self.n_mels)
        positive("max_seconds", self.max_seconds)
        if self.dynamic_range is not None:
            positive("dynamic_range", self.dynamic_range)
        values = training_part(values, rows)
        rate = (
            self.sample_rate
            or Counter(count_samples(value, self.max_seconds)[1] for value in values).most_common(1)[0][0]
        )
        reader = AudioReader(self, int(rate), torch.tensor([[0.0] * self.n_mels, [1.0] * self.n_mels]))
        count = min(STATISTICS_RECORDINGS, len(values))
        chosen = np.unique(np.linspace(0, len(values) - 1, count).astype(int))
        spectra = torch.cat([reader.spectra(values[row]) for row in chosen])
        return AudioReader(self, int(rate), torch.stack([spectra.mean(0), spectra.std(0).clamp_min(1e-3)]))

    def restore(self, learned: Learned, tensors: dict[str, Tensor]) -> AudioReader:
        """Reader with what `AudioReader.describe` and `AudioReader.tensors` returned."""
        return AudioReader(self, learned["rate"], tensors["scale"])


@dataclass(frozen=True)
class AudioReader:
    """Recordings to log-mel spectra (T, n_mels), one every 10 ms.

    Parameters
    ----------
    options : Audio
        Options of the input.
    rate : int
        Samples a second.
    statistics : Tensor
        Mean and standard deviation (2, n_mels) of each band over the training data.
    """

    options: Audio
    rate: int
    statistics: Tensor

    @property
    def size(self) -> int:
        """Number of bands."""
        return self.options.n_mels

    def items(self, values: Sequence[Recording]) -> LazySequences:
        """Spectra (T, n_mels) of each recording; files are opened for their lengths now, and read on demand."""
        sizes = [count_samples(value, self.options.max_seconds) for value in values]
        lengths = [
            1 + int((round(n * self.rate / rate) / self.rate - FRAME_LENGTH) / FRAME_SHIFT + 1e-6) for n, rate in sizes
        ]
        cache = Cache(lambda row: self.spectra(values[row])[: lengths[row]])
        return LazySequences(cache, np.array(lengths, dtype=np.int64))

    def spectra(self, value: Recording) -> Tensor:
        """Spectra (T, n_mels) of one recording."""
        samples, rate = wave(value)
        if rate != self.rate:
            samples = resample(samples, rate, self.rate)
        return self.limited(self.filter(samples))

    def limited(self, spectra: Tensor) -> Tensor:
        """Spectra (T, n_mels) relative to the loudest, with energies below the dynamic range raised to its end."""
        import torch

        if self.options.dynamic_range is None:
            return spectra
        lowest = -self.options.dynamic_range / DECIBELS
        return torch.logaddexp(spectra - spectra.max(), spectra.new_tensor(lowest))

    def filter(self, samples: Wave) -> Tensor:
        """Spectra (T, n_mels) of samples (n,) in -1 … 1."""
        import torch

        bank = self.online()
        bank.accept_waveform(self.rate, samples)
        bank.input_finished()
        return torch.from_numpy(np.stack([bank.get_frame(k) for k in range(bank.num_frames_ready)]))

    def online(self) -> FilterBank:
        """Filter bank that takes samples piece by piece."""
        fbank = library("kaldi_native_fbank", NEEDS)
        options = fbank.FbankOptions()
        options.frame_opts.dither = 0.0
        options.frame_opts.samp_freq = self.rate
        options.frame_opts.snip_edges = True
        options.mel_opts.num_bins = self.options.n_mels
        bank: FilterBank = fbank.OnlineFbank(options)
        return bank

    def describe(self) -> Description:
        """Options and rate, for a file."""
        return {"kind": "audio", "options": asdict(self.options), "learned": {"rate": self.rate}}

    def tensors(self) -> dict[str, Tensor]:
        """Mean and standard deviation of the bands, for a file."""
        return {"scale": self.statistics}


def count_samples(value: Recording, max_seconds: float) -> tuple[int, int]:
    """Number of samples and samples a second of a recording, from the header of its file.

    Raises
    ------
    DataError
        The recording cannot be read, or is too short or too long.
    """
    if is_file(value):
        soundfile, path = library("soundfile", NEEDS), existing_path(value, "recording")
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            raise DataError(f"{path} cannot be read as a recording: {reason(error.error_string)}") from None
        n, rate = int(info.frames), int(info.samplerate)
    elif len(value) != 2 or np.ndim(value[1]):
        raise DataError(NO_RATE)
    else:
        n, rate = len(value[0]), int(value[1])
    if n < FRAME_LENGTH * rate:
        name = label_of(value, "recording")
        raise DataError(f"{name} is shorter than {FRAME_LENGTH * 1000:.0f} ms: leave it out, or join it with another")
    check_duration(value, "recording", n / rate, max_seconds)
    return n, rate


def wave(value: Recording) -> tuple[Wave, int]:
    """Samples (n,) in -1 … 1, averaged over the channels, and their number a second."""
    if not is_file(value):
        return np.ascontiguousarray(value[0], dtype=np.float32), int(value[1])
    soundfile, path = library("soundfile", NEEDS), os.fspath(value)
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path} is damaged: {reason(error.error_string)}") from None
    mono: Wave = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise DataError(f"{path} holds samples that are not finite")
    return mono, int(rate)


def reason(message: str) -> str:
    """Message of libsndfile without its full stop."""
    return str(message).strip().rstrip(".")


def resample(samples: Wave, rate: int, new_rate: int) -> Wave:
    """Samples at another rate."""
    resampled: Wave = library("soxr", NEEDS).resample(samples, rate, new_rate)
    return resampled
