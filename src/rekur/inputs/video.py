"""Videos: files to a few frames each, read batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rekur.core import DataError, library, positive
from rekur.data.items import LazySequences
from rekur.inputs.cache import Cache
from rekur.inputs.media_files import check_length, is_file, named, present

if TYPE_CHECKING:
    from torch import Tensor

NEEDS = 'videos need PyAV: pip install "rekur[video]"'

Frames = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Video:
    """Videos, as files or as arrays of frames (T, height, width, 3) of bytes.

    frames : how many are taken at most, evenly over the video · size : height and width they are scaled to ·
    longest : seconds; longer videos are refused
    """

    frames: int = 16
    size: int = 48
    longest: float = 600.0
    kind: ClassVar[str] = "video"

    def learn(self, values: Sequence[Any]) -> VideoReader:
        """A reader for videos; nothing has to be learned of them."""
        for name in ("frames", "size", "longest"):
            positive(name, getattr(self, name))
        return VideoReader(self)

    def restore(self, learned: dict[str, Any], tensors: dict[str, Tensor]) -> VideoReader:
        """The reader that `describe` tells of."""
        return VideoReader(self)


@dataclass(frozen=True)
class VideoReader:
    """Reads videos as frames (T, 3, size, size) of bytes."""

    options: Video

    def items(self, values: Sequence[Any]) -> LazySequences:
        """Videos as items; files are opened for their lengths now, and decoded when they are asked for."""
        totals = [count(value, self.options.longest) for value in values]
        lengths = [min(self.options.frames, total) for total in totals]
        cache = Cache(lambda row: self.read(values[row], lengths[row], totals[row]))
        return LazySequences(cache, np.array(lengths, dtype=np.int64))

    def read(self, value: Any, T: int, total: int) -> Tensor:
        """T of `total` frames, evenly spaced, the last repeated where fewer can be decoded than were promised."""
        import torch

        wanted = np.linspace(0, total - 1, T).round().astype(int)
        frames: list[Frames] = []
        for k, frame in enumerate(decoded(value, self.options.size)):
            while len(frames) < T and wanted[len(frames)] == k:
                frames.append(frame)
            if len(frames) == T:
                break
        if not frames:
            raise DataError(f"{named(value, 'video')} holds no frame that can be decoded")
        frames += [frames[-1]] * (T - len(frames))
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()  # (T, 3, size, size)

    def describe(self) -> dict[str, Any]:
        """What a file must know."""
        return {"kind": "video", "options": asdict(self.options), "learned": {}}

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold besides: nothing."""
        return {}


def opened(value: str | os.PathLike[str]) -> Any:
    """An open container, or one line that says why there is none."""
    av, path = library("av", NEEDS), present(value, "video")
    try:
        container = av.open(path)
    except av.FFmpegError as error:
        raise DataError(f"{path} is no video that can be read: {error.strerror}") from None
    if not container.streams.video:
        kinds = ", ".join(stream.type for stream in container.streams) or "nothing"
        container.close()
        raise DataError(f"{path} holds no pictures, only {kinds}")
    return container


def count(value: Any, longest: float) -> int:
    """How many frames a video has; one that cannot be used is refused with the reason."""
    if not is_file(value):
        return len(value)
    av = library("av", NEEDS)
    with opened(value) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
        check_length(value, "video", max(seconds, stream.frames / rate), longest)
        if stream.frames:
            return int(stream.frames)
        try:
            found = sum(1 for _ in container.decode(video=0))
        except av.FFmpegError as error:
            raise DataError(f"{named(value, 'video')} is damaged: {error.strerror}") from None
    if not found:
        raise DataError(f"{named(value, 'video')} holds no frame")
    return found


def decoded(value: Any, size: int) -> Iterator[Frames]:
    """The frames (size, size, 3) of a video, one after another."""
    av = library("av", NEEDS)
    if not is_file(value):
        for frame in value:
            yield av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(size, size).to_ndarray(format="rgb24")
        return
    try:
        with opened(value) as container:
            for frame in container.decode(video=0):
                yield frame.reformat(width=size, height=size, format="rgb24").to_ndarray()
    except av.FFmpegError as error:
        raise DataError(f"{named(value, 'video')} is damaged: {error.strerror}") from None
