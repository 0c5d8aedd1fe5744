"""Video input: files or arrays as a few evenly spaced frames, read batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from rekur.core import CheckedArguments, DataError, library, positive
from rekur.data.batching import LazySequences
from rekur.inputs.media_files import Cache, check_duration, existing_path, is_file, label_of

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array
    from rekur.inputs.reader import Description, Learned

NEEDS = "videos need PyAV: pip install av"

Frames: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"
VideoValue: TypeAlias = "str | os.PathLike[str] | Frames"
"""A file, or frames (T, height, width, 3)."""


@dataclass(frozen=True)
class Video(CheckedArguments):
    """Videos, as files or as arrays of frames (T, height, width, 3) uint8.

    Parameters
    ----------
    num_frames : int, default 16
        Largest number of frames of a video, evenly spaced.
    size : int, default 48
        Height and width in pixels to which frames are scaled.
    max_seconds : float, default 600.0
        Largest duration in seconds; longer files are refused.

    Examples
    --------
    >>> import numpy as np
    >>> video = np.zeros((9, 20, 30, 3), dtype=np.uint8)
    >>> reader = Video(num_frames=3, size=8).learn([video])
    >>> reader.items([video])[0].shape
    torch.Size([3, 3, 8, 8])
    """

    num_frames: int = 16
    size: int = 48
    max_seconds: float = 600.0
    kind: ClassVar[str] = "video"

    def learn(self, values: Sequence[VideoValue], rows: Array | None = None) -> VideoReader:
        """Reader of videos, without fitted state.

        Raises
        ------
        OptionError
            An option is not positive.
        """
        positive("num_frames", self.num_frames)
        positive("size", self.size)
        positive("max_seconds", self.max_seconds)
        return VideoReader(self)

    def restore(self, learned: Learned, tensors: dict[str, Tensor]) -> VideoReader:
        """Reader with these options."""
        return VideoReader(self)


@dataclass(frozen=True)
class VideoReader:
    """Videos to frames (T, 3, size, size) uint8.

    Parameters
    ----------
    options : Video
        Options of the input.
    """

    options: Video

    @property
    def size(self) -> int:
        """Number of values of a frame."""
        return 3 * self.options.size**2

    def items(self, values: Sequence[VideoValue]) -> LazySequences:
        """Frames of each video; files are opened for their lengths now, and decoded on demand."""
        totals = [count_frames(value, self.options.max_seconds) for value in values]
        lengths = [min(self.options.num_frames, total) for total in totals]
        cache = Cache(lambda row: self.read(values[row], lengths[row], totals[row]))
        return LazySequences(cache, np.array(lengths, dtype=np.int64))

    def read(self, value: VideoValue, T: int, total: int) -> Tensor:
        """T evenly spaced frames of `total` ones; the last is repeated where fewer can be decoded."""
        import torch

        positions = np.linspace(0, total - 1, T).round().astype(int)
        frames: list[Frames] = []
        for k, frame in enumerate(decoded(value, self.options.size)):
            while len(frames) < T and positions[len(frames)] == k:
                frames.append(frame)
            if len(frames) == T:
                break
        if not frames:
            raise DataError(f"{label_of(value, 'video')} holds no frame that can be decoded")
        frames += [frames[-1]] * (T - len(frames))
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()  # (T, 3, size, size)

    def describe(self) -> Description:
        """Options, for a file."""
        return {"kind": "video", "options": asdict(self.options), "learned": {}}

    def tensors(self) -> dict[str, Tensor]:
        """No tensors."""
        return {}


def open_video(value: str | os.PathLike[str]) -> Any:
    """Open container of PyAV with a video stream; a DataError names the reason if there is none."""
    av, path = library("av", NEEDS), existing_path(value, "video")
    try:
        container = av.open(path)
    except av.FFmpegError as error:
        raise DataError(f"{path} cannot be read as a video: {error.strerror}") from None
    if not container.streams.video:
        kinds = ", ".join(stream.type for stream in container.streams) or "nothing"
        container.close()
        raise DataError(f"{path} holds no pictures, only {kinds}")
    return container


def count_frames(value: VideoValue, max_seconds: float) -> int:
    """Number of frames of a video.

    Raises
    ------
    DataError
        The video cannot be read, or is too long.
    """
    if not is_file(value):
        return len(value)
    av = library("av", NEEDS)
    with open_video(value) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
        check_duration(value, "video", max(seconds, stream.frames / rate), max_seconds)
        if stream.frames:
            return int(stream.frames)
        try:
            total = sum(1 for _ in container.decode(video=0))
        except av.FFmpegError as error:
            raise DataError(f"{label_of(value, 'video')} is damaged: {error.strerror}") from None
    if not total:
        raise DataError(f"{label_of(value, 'video')} holds no frame")
    return total


def decoded(value: VideoValue, size: int) -> Iterator[Frames]:
    """Frames (size, size, 3) of a video, one after another."""
    av = library("av", NEEDS)
    if not is_file(value):
        for frame in value:
            yield av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(size, size).to_ndarray(format="rgb24")
        return
    try:
        with open_video(value) as container:
            for frame in container.decode(video=0):
                yield frame.reformat(width=size, height=size, format="rgb24").to_ndarray()
    except av.FFmpegError as error:
        raise DataError(f"{label_of(value, 'video')} is damaged: {error.strerror}") from None
