"""Recordings: WAV, FLAC and the like to log-mel spectra, read batch by batch."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rekur.core import DataError, library, positive
from rekur.data.items import LazySequences
from rekur.inputs.cache import Cache
from rekur.inputs.media_files import check_length, is_file, named, present

if TYPE_CHECKING:
    from torch import Tensor

NEEDS = 'recordings need soundfile, soxr and kaldi-native-fbank: pip install "rekur[audio]"'
LEARNED = 500  # recordings from which mean and spread are learned at most
SHIFT = 0.01  # seconds from one spectrum to the next
SHORTEST = 0.025  # seconds: one spectrum

Wave = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Audio:
    """Recordings, as files (WAV, FLAC, OGG, MP3 …) or as pairs (samples, rate).

        x_t = log of the energy in `mels` bands of the 25 ms around 10 ms · t, equally wide on the mel scale

    mels : bands · rate : samples a second; recordings of other rates are resampled, None takes the most frequent one
    of the training data · longest : seconds; longer recordings are refused
    """

    mels: int = 40
    rate: int | None = None
    longest: float = 60.0
    kind: ClassVar[str] = "audio"

    def learn(self, values: Sequence[Any]) -> AudioReader:
        """A reader for recordings like these: their rate, and mean and spread of every band."""
        import torch

        positive("mels", self.mels)
        positive("longest", self.longest)
        rate = self.rate or Counter(length(value, self.longest)[1] for value in values).most_common(1)[0][0]
        reader = AudioReader(self, int(rate), torch.tensor([[0.0] * self.mels, [1.0] * self.mels]))
        some = np.unique(np.linspace(0, len(values) - 1, min(LEARNED, len(values))).astype(int))
        frames = torch.cat([reader.spectra(values[k]) for k in some])
        return AudioReader(self, int(rate), torch.stack([frames.mean(0), frames.std(0).clamp_min(1e-3)]))

    def restore(self, learned: dict[str, Any], tensors: dict[str, Tensor]) -> AudioReader:
        """The reader that `describe` and `tensors` tell of."""
        return AudioReader(self, learned["rate"], tensors["scale"])


@dataclass(frozen=True)
class AudioReader:
    """Reads recordings as spectra (T, mels), one each 10 ms; statistics (2, mels): mean and spread of each band."""

    options: Audio
    rate: int
    statistics: Tensor

    @property
    def size(self) -> int:
        """Bands."""
        return self.options.mels

    def items(self, values: Sequence[Any]) -> LazySequences:
        """Recordings as items; files are opened for their lengths now, and read when they are asked for."""
        seconds = [length(value, self.options.longest) for value in values]
        lengths = [1 + int((round(n * self.rate / rate) / self.rate - SHORTEST) / SHIFT + 1e-6) for n, rate in seconds]
        cache = Cache(lambda row: self.spectra(values[row])[: lengths[row]])
        return LazySequences(cache, np.array(lengths, dtype=np.int64))

    def spectra(self, value: Any) -> Tensor:
        """The spectra (T, mels) of one recording."""
        samples, rate = wave(value)
        if rate != self.rate:
            samples = resample(samples, rate, self.rate)
        return self.filter(samples)

    def filter(self, samples: Wave) -> Tensor:
        """Samples (n,) in -1 … 1 to spectra (T, mels)."""
        import torch

        bank = self.online()
        bank.accept_waveform(self.rate, samples)
        bank.input_finished()
        return torch.from_numpy(np.stack([bank.get_frame(k) for k in range(bank.num_frames_ready)]))

    def online(self) -> Any:
        """A filter bank that takes samples piece by piece."""
        knf = library("kaldi_native_fbank", NEEDS)
        options = knf.FbankOptions()
        options.frame_opts.dither = 0.0
        options.frame_opts.samp_freq = self.rate
        options.frame_opts.snip_edges = True
        options.mel_opts.num_bins = self.options.mels
        return knf.OnlineFbank(options)

    def describe(self) -> dict[str, Any]:
        """What a file must know."""
        return {"kind": "audio", "options": asdict(self.options), "learned": {"rate": self.rate}}

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold."""
        return {"scale": self.statistics}


def length(value: Any, longest: float) -> tuple[int, int]:
    """Samples and rate of a recording, without reading it; one that cannot be used is refused with the reason."""
    if is_file(value):
        soundfile, path = library("soundfile", NEEDS), present(value, "recording")
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            why = str(error.error_string).strip().rstrip(".")
            raise DataError(f"{path} is no recording that can be read: {why}") from None
        n, rate = int(info.frames), int(info.samplerate)
    else:
        n, rate = len(value[0]), int(value[1])
    if n < SHORTEST * rate:
        name = named(value, "recording")
        raise DataError(f"{name} is shorter than {SHORTEST * 1000:.0f} ms: there is nothing to hear")
    check_length(value, "recording", n / rate, longest)
    return n, rate


def wave(value: Any) -> tuple[Wave, int]:
    """Samples (n,) in -1 … 1, channels averaged, and their rate."""
    if not is_file(value):
        return np.ascontiguousarray(value[0], dtype=np.float32), int(value[1])
    soundfile, path = library("soundfile", NEEDS), os.fspath(value)
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path} is damaged: {str(error.error_string).strip().rstrip('.')}") from None
    mono: Wave = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise DataError(f"{path} holds samples that are not finite")
    return mono, int(rate)


def resample(samples: Wave, rate: int, wanted: int) -> Wave:
    """Samples at another rate."""
    made: Wave = library("soxr", NEEDS).resample(samples, rate, wanted)
    return made
