"""Inputs: arrays, text, words, recordings and videos to sequences; batches of them; examples from files and folders."""

from __future__ import annotations

import json
import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from rekur import inputs
from rekur.core import DataError, OptionError
from rekur.data.batching import Batcher, LazySequences, train_validation_split
from rekur.inputs.audio import Audio, count_samples
from rekur.inputs.datasets import DatasetColumns, read
from rekur.inputs.media_files import Cache
from rekur.inputs.numbers import Numbers
from rekur.inputs.text import Text
from rekur.inputs.tokenizer import END, PAD, SPECIAL, START, UNKNOWN, Tokenizer, Vocabulary
from rekur.inputs.video import Video, count_frames
from rekur.inputs.words import Words
from rekur.registry import COMMANDS

LINES = ["the cat sat on the mat", "a dog lay by the door", "the dog sat", "Ärger im Büro"] * 5


def rows(n: int, seed: int = 0) -> LazySequences:
    """Sequences of unequal length that hold their own number."""
    lengths = np.random.default_rng(seed).integers(1, 40, n)
    return LazySequences.from_list([torch.full((int(T), 1), float(k)) for k, T in enumerate(lengths)])


def test_batches_hold_every_row_once_and_like_lengths_together() -> None:
    made = Batcher(rows(500), torch.arange(500), size=16)
    padding = []
    for batches in (list(made.shuffled(0)), list(made.ordered())):
        assert len(batches) == len(made)
        seen = torch.cat([batch.rows for batch in batches])
        assert sorted(seen.tolist()) == list(range(500))
        for batch in batches:
            torch.testing.assert_close(batch.x[:, 0, 0].long(), batch.rows)
            torch.testing.assert_close(batch.y, batch.rows)
            sizes = torch.tensor([int(made.x.lengths[k]) for k in batch.rows])
            padding.append(float(1 - sizes.float().mean() / batch.x.shape[1]))
    assert np.mean(padding) < 0.25  # rows put together blindly would leave half of a batch empty


def test_the_order_is_that_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        made = Batcher(rows(90), torch.arange(90), 8, seed)
        return torch.cat([batch.rows for batch in made.shuffled(epoch)]).tolist()

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_long_rows_make_small_batches() -> None:
    lengths = [10] * 99 + [1000]
    made = Batcher(LazySequences.from_list([torch.zeros(T, 1) for T in lengths]), None, size=32)
    assert max(batch.x.shape[0] * batch.x.shape[1] for batch in made.ordered()) <= 1000
    assert sum(len(batch.x) for batch in made.ordered()) == 100


def test_rows_of_equal_length_are_mixed_as_a_whole() -> None:
    made = Batcher(LazySequences.from_list([torch.full((3, 1), float(k)) for k in range(4000)]), None, size=4)
    first = next(iter(made.shuffled(0)))
    assert first.lengths is None
    assert int(first.rows.max() - first.rows.min()) > 300


def test_targets_are_padded_and_weighed() -> None:
    made = Batcher(rows(3), LazySequences.from_list([torch.ones(k + 1).long() for k in range(3)]), size=3)
    batch = next(iter(made.ordered()))
    assert batch.weight is not None
    assert sorted(batch.weight.sum(1).tolist()) == [1, 2, 3]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9])
def test_a_stratified_split_keeps_the_shares_of_the_labels(share: float) -> None:
    """To one row for each label; a label that occurs once is never held out."""
    labels = np.repeat([3, 1, 2, 0], [1, 7, 40, 150])
    train, held = train_validation_split(len(labels), share, 5, labels=labels)
    assert sorted([*train, *held]) == list(range(len(labels)))
    for label in (0, 1, 2):
        assert abs((labels[held] == label).sum() - share * (labels == label).sum()) <= 1
    assert 3 not in labels[held]
    assert train_validation_split(10, share, ordered=True)[1].tolist() == list(range(10 - round(10 * share), 10))


def test_pieces_bring_text_back_and_know_the_special_ones() -> None:
    made = Tokenizer.learn(LINES, 80)
    for line in LINES[:4]:
        numbers = made.encode(line)
        assert min(numbers) >= SPECIAL
        assert made.decode([START, *numbers, END, PAD]) == line
    assert made.encode("☃")[-1] == UNKNOWN
    again = Tokenizer.restore(made.tensor())
    assert again.encode(LINES[0]) == made.encode(LINES[0])
    assert Tokenizer.learn(LINES, 80).model == made.model


@pytest.mark.parametrize(("pieces", "n"), [("word", 6), ("char", 22)])
def test_pieces_may_be_words_or_letters(pieces: str, n: int) -> None:
    made = Tokenizer.learn(LINES, 200, pieces)
    assert len(made.encode("the cat sat on the mat")) in (n, n + 1)
    assert made.decode(made.encode("the cat sat")) == "the cat sat"


def test_small_and_large_letters_may_be_alike() -> None:
    made = Text(vocabulary_size=60, lowercase=True).learn(LINES)
    torch.testing.assert_close(made.items(["THE CAT"])[0], made.items(["the cat"])[0])
    assert len(Text(vocabulary_size=60, max_length=3).learn(LINES).items(LINES)[0]) == 3


def test_a_vocabulary_counts_and_keeps_room_for_what_is_not_known() -> None:
    made = Vocabulary.learn(["b", "a", "b", "c"], min_count=1)
    assert [made.number(word) for word in ("b", "a", "c", "d")] == [4, 5, 6, UNKNOWN]
    assert len(Vocabulary.learn(["a", "b", "b"], min_count=2)) == SPECIAL + 1


@pytest.mark.parametrize(
    ("values", "text"),
    [(["a", None], "row 1 of x is not a text but None"), ([], "no text"), (["a", 3.0], "row 1")],
)
def test_what_is_no_text_is_named(values: list, text: str) -> None:
    with pytest.raises(DataError, match=text):
        Text().learn(values)


def test_words_are_read_with_their_letters() -> None:
    made = Words(min_count=2, max_letters=4).learn([["The", "cat", "sat"], ["the", "zebra", "7"]])
    first = made.items([["the", "cat", "unbelievable"]])[0]
    assert first.shape == (3, 5)
    assert first[0, 0] == made.words.number("the") != UNKNOWN
    assert first[1, 0] == UNKNOWN
    again = inputs.restore(made.describe(), made.tensors())
    torch.testing.assert_close(again.items([["The", "z"]])[0], made.items([["The", "z"]])[0])
    torch.testing.assert_close(made.items(["the z!"])[0], made.items([["the", "z", "!"]])[0])
    for bad in ([[]], [["a", 1]]):
        with pytest.raises(DataError, match="sentence 0"):
            made.items(bad)


def test_words_are_stored_once_and_read_word_by_word() -> None:
    sentences = [["The", "cat", "sat", "on", "The", "mat"], ["a", "7th", "cat"], ["zebra", "ΣΑΣ", "The"]]
    reader = Words(min_count=1, max_letters=4).learn(sentences, rows=np.array([0, 1]))
    assert reader.words.words == ["cat", "the", "0th", "a", "mat", "on", "sat"]
    assert reader.letters.words == ["a", "t", "h", "T", "c", "e", "7", "m", "n", "o", "s"]
    items = reader.items(sentences)
    expected = [torch.tensor([reader.read(word) for word in words]) for words in sentences]
    assert items.lengths.tolist() == [6, 3, 3]
    assert all(torch.equal(items[row], each) for row, each in enumerate(expected))
    padded, lengths = items.padded(np.array([2, 1]))
    assert torch.equal(padded, torch.stack([expected[2], expected[1]]))
    assert lengths.tolist() == [3, 3]


def test_numbers_are_scaled_by_what_was_learned() -> None:
    x = [np.random.default_rng(k).normal(3, 2, (k + 2, 2)) for k in range(9)]
    made = Numbers(deltas=True).learn(x)
    assert made.size == 4
    joined = np.concatenate(x)
    np.testing.assert_allclose(made.statistics[0, :2], joined.mean(0), rtol=1e-5)
    np.testing.assert_allclose(made.statistics[1, :2], joined.std(0), rtol=1e-5)
    np.testing.assert_allclose(made.items(x)[3][1:, 2:], np.diff(x[3], axis=0), rtol=1e-4, atol=1e-6)
    with pytest.raises(DataError, match="3 columns, but the model was fitted with 2"):
        made.items([np.zeros((4, 3))])
    with pytest.raises(DataError, match="sequence 1 of x holds NaN at T=1, I=0"):
        made.items([np.zeros((1, 2)), np.array([[0.0, 0], [np.nan, 0]])])


@pytest.mark.parametrize("scale", ["auto", "column", "global", "none"])
@pytest.mark.parametrize(("columns", "most"), [(64, 10), (64, 1000), (3, 10)])
def test_columns_of_one_kind_keep_their_proportions(scale: str, columns: int, most: float) -> None:
    spreads = np.geomspace(1, most, columns)
    x = np.random.default_rng(0).normal(5, spreads, (20, 30, columns))
    mean, divisor = Numbers(scale=scale, deltas=True).learn(x).statistics[:, :columns].numpy()
    if scale == "none":
        assert (mean == 0).all()
        assert (divisor == 1).all()
        return
    np.testing.assert_allclose(mean, x.mean((0, 1)), rtol=1e-4)
    one = scale == "global" or (scale == "auto" and (columns, most) == (64, 10))
    each = x.std((0, 1))
    np.testing.assert_allclose(divisor, np.full(columns, (each**2).mean() ** 0.5) if one else each, rtol=1e-4)


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(OptionError, match="'column', 'global', 'none'"):
        Numbers(scale="row").learn(np.zeros((3, 4, 2)))


def tone(folder: Path, name: str, seconds: float = 0.5, rate: int = 8000, pitch: float = 440.0) -> Path:
    """A recording of a tone."""
    t = np.arange(round(seconds * rate)) / rate
    soundfile.write(folder / name, 0.5 * np.sin(2 * np.pi * pitch * t), rate)
    return folder / name


@pytest.mark.parametrize("seconds", [0.025, 0.0351, 0.5, 1.2345])
def test_the_length_of_a_recording_is_known_before_it_is_read(tmp_path: Path, seconds: float) -> None:
    made = Audio(n_mels=20).learn([tone(tmp_path, "a.wav")])
    for rate, name in ((8000, "b.wav"), (16000, "c.flac")):
        items = made.items([tone(tmp_path, name, seconds, rate)])
        assert items[0].shape == (items.lengths[0], 20)
        assert np.isfinite(items[0].numpy()).all()


def test_a_tone_is_loud_in_its_band_at_any_rate(tmp_path: Path) -> None:
    made = Audio(n_mels=30).learn([tone(tmp_path, "a.wav")])
    loud = [
        int(made.items([tone(tmp_path, f"{rate}.wav", 0.5, rate, pitch)])[0].mean(0).argmax())
        for pitch in (300.0, 2000.0)
        for rate in (8000, 22050)
    ]
    assert loud[0] == loud[1] < loud[2] == loud[3]
    again = inputs.restore(made.describe(), made.tensors())
    path = tone(tmp_path, "d.wav")
    torch.testing.assert_close(again.items([path])[0], made.items([path])[0])


def test_recordings_that_cannot_be_used_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "noise.wav").write_bytes(os.urandom(200))
    cases = {
        tmp_path / "gone.wav": "does not exist",
        tmp_path / "empty.wav": "it is empty",
        tmp_path / "noise.wav": "cannot be read as a recording",
        tone(tmp_path, "short.wav", 0.01): "shorter than 25 ms",
        tone(tmp_path, "long.wav", 3.0): "lasts 3 s, longer than 2 s",
    }
    for path, why in cases.items():
        with pytest.raises(DataError, match=why) as raised:
            count_samples(path, 2.0)
        assert str(path) in str(raised.value)


def film(folder: Path, name: str, frames: int = 12, rate: int = 10) -> Path:
    """A video whose frames grow lighter."""
    with av.open(str(folder / name), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for k in range(frames):
            picture = np.full((32, 32, 3), 240 * k // frames, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return folder / name


@pytest.mark.parametrize("name", ["a.avi", "b.mp4", "c.mkv"])
def test_frames_are_taken_evenly(tmp_path: Path, name: str) -> None:
    path = film(tmp_path, name)
    made = Video(num_frames=4, size=16).learn([path])
    items = made.items([path])
    assert items.lengths.tolist() == [4]
    assert items[0].shape == (4, 3, 16, 16)
    light = items[0].float().mean((1, 2, 3)).numpy()
    np.testing.assert_allclose(light, [240 * k // 12 for k in (0, 4, 7, 11)], atol=6)
    whole = Video(num_frames=50, size=16).learn([path]).items([path])
    assert whole[0].shape[0] == whole.lengths[0] == 12


def test_videos_may_be_arrays() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (9, 20, 30, 3), dtype=np.uint8)
    assert Video(num_frames=3, size=8).learn([frames]).items([frames])[0].shape == (3, 3, 8, 8)


def test_videos_that_cannot_be_used_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.avi").write_bytes(b"")
    (tmp_path / "noise.avi").write_bytes(os.urandom(500))
    tone(tmp_path, "sound.wav").rename(tmp_path / "sound.avi")
    cases = {
        tmp_path / "gone.avi": "does not exist",
        tmp_path / "empty.avi": "it is empty",
        tmp_path / "noise.avi": "cannot be read as a video",
        tmp_path / "sound.avi": "holds no pictures, only audio",
        film(tmp_path, "long.avi", 60): "lasts 6 s, longer than 5 s",
    }
    for path, why in cases.items():
        with pytest.raises(DataError, match=why) as raised:
            count_frames(path, 5.0)
        assert str(path) in str(raised.value)


def test_the_memory_of_what_was_read_is_bounded() -> None:
    reads: list[int] = []

    def make(key: int) -> torch.Tensor:
        reads.append(key)
        return torch.zeros(100)

    cache = Cache(make, max_bytes=1000)
    for key in (0, 1, 0, 1, 2, 3, 0):
        cache(key)
    assert reads == [0, 1, 2, 3, 0]
    assert cache.num_bytes <= 1000


def test_examples_are_read_from_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,text\n1,good\n0,\n0,bad\n")
    found = read(str(tmp_path / "a.csv"), COMMANDS["classify"].dataset)
    assert (found.x, found.y, found.names) == (["good", "bad"], [1, 0], ["row 2", "row 4"])
    assert found.skipped == [("row 3", "no value in 'text'")]
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps({"source": s, "target": s.upper()}) for s in ("a", "b")))
    assert read(str(tmp_path / "b.jsonl"), COMMANDS["translate"].dataset).y == ["A", "B"]
    (tmp_path / "c.tsv").write_text("tokens\tslots\nfly to Rome\tO O B-city\n")
    assert read(str(tmp_path / "c.tsv"), COMMANDS["tag"].dataset).y == [["O", "O", "B-city"]]
    (tmp_path / "d.csv").write_text("who,v,label\n1,0.5,x\n1,0.6,x\n2,0.1,y\n")
    found = read(str(tmp_path / "d.csv"), COMMANDS["classify"].dataset, DatasetColumns(id="who"))
    assert [one.shape for one in found.x] == [(2, 1), (1, 1)]
    assert (found.y, found.names) == (["x", "y"], ["1", "2"])
    (tmp_path / "e.txt").write_text("one line\n\nanother\n")
    assert read(str(tmp_path / "e.txt"), COMMANDS["classify"].dataset, targets=False).x == ["one line", "another"]


def test_examples_are_read_from_conll_files(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("fly O\nRome B-city\n\nnow O\n")
    assert read(str(tmp_path / "a.conll"), COMMANDS["tag"].dataset).x == [["fly", "Rome"], ["now"]]
    row = "{}\t{}\t_\t{}\t_\t_\t0\t_\t_\t_\n"
    text = "# text = I am\n" + row.format("1-2", "I'm", "_") + row.format(1, "I", "PRON") + row.format(2, "am", "AUX")
    (tmp_path / "b.conllu").write_text(text)
    found = read(str(tmp_path / "b.conllu"), COMMANDS["tag"].dataset)
    assert (found.x, found.y) == ([["I", "am"]], [["PRON", "AUX"]])
    (tmp_path / "named.conll").write_text("# sent_id = 0007.train\n" + text)
    named = read(str(tmp_path / "named.conll"), COMMANDS["tag"].dataset)
    assert (named.x, named.y) == (found.x, found.y)
    (tmp_path / "d.conll").write_text("# id 12 of train\nfly O\n# O\n\n# O\n1 B-no\n")
    assert read(str(tmp_path / "d.conll"), COMMANDS["tag"].dataset).x == [["fly", "#"], ["#", "1"]]
    (tmp_path / "tabs.conll").write_text("# x = 1\nNew York\tB-city\t\n\nnow \tO\n")
    tabs = read(str(tmp_path / "tabs.conll"), COMMANDS["tag"].dataset)
    assert (tabs.x, tabs.y) == ([["New York"], ["now"]], [["B-city"], ["O"]])
    (tmp_path / "blank.conll").write_text("Rome\tproper noun\n")
    with pytest.raises(DataError, match=r"the tag 'proper noun' in line 1 of .* holds a blank: write 'proper_noun'"):
        read(str(tmp_path / "blank.conll"), COMMANDS["tag"].dataset)
    (tmp_path / "c.conll").write_text("fly O\nRome\n")
    with pytest.raises(DataError, match="line 2 of"):
        read(str(tmp_path / "c.conll"), COMMANDS["tag"].dataset)


def test_examples_are_read_from_folders_without_the_bad_files(tmp_path: Path) -> None:
    for label in ("low", "high"):
        (tmp_path / label).mkdir()
        tone(tmp_path / label, "a.wav")
    (tmp_path / "low" / "b.wav").write_bytes(b"")
    found = read(str(tmp_path), COMMANDS["classify"].dataset)
    assert (found.y, found.names) == (["high", "low"], ["high/a.wav", "low/a.wav"])
    assert [name for name, _ in found.skipped] == ["low/b.wav"]
    (tmp_path / "low" / "a.txt").write_text("low tone\n")
    found = read(str(tmp_path / "low"), COMMANDS["transcribe"].dataset)
    assert found.y == ["low tone"]
    tone(tmp_path, "c.wav")
    with pytest.raises(DataError, match=r"c\.wav is not in a folder of its label"):
        read(str(tmp_path), COMMANDS["classify"].dataset)


@pytest.mark.parametrize(
    ("name", "content", "task", "text"),
    [
        ("a.csv", b"label,text\n", "classify", "no rows"),
        ("a.csv", b"label,words_of\n1,b\n", "classify", "--x"),
        ("a.csv", b"text,b\nx,1\n", "classify", "--y"),
        ("a.csv", b"label,text\n1,\x81\n", "classify", "neither UTF-8 nor"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text"\n', "classify", "line 2 of"),
        ("a.jsonl", b"[1]\n", "classify", "is not a JSON object"),
        ("a.txt", b"one\n", "classify", "no targets"),
        ("a.csv", b"label,path\n1,gone.wav\n", "classify", "does not exist"),
    ],
)
def test_files_without_examples_are_refused(tmp_path: Path, name: str, content: bytes, task: str, text: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=text):
        read(str(tmp_path / name), COMMANDS[task].dataset)


def test_unknown_inputs_and_pieces_are_refused() -> None:
    with pytest.raises(OptionError, match="'unigram'"):
        Text(pieces="syllable").learn(LINES)
    with pytest.raises(OptionError, match="n_mels"):
        Audio(n_mels=0).learn([])


def test_tensors_in_a_list_are_checked_like_arrays() -> None:
    made = Numbers().learn([torch.zeros(3, 2, dtype=torch.float64), torch.ones(2, 2, requires_grad=True)])
    items = made.items([torch.full((2, 2), 0.5, dtype=torch.float64)])
    assert items[0].dtype is torch.float32
    assert items[0].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    with pytest.raises(DataError, match="sequence 1 of x holds NaN at T=1, I=0"):
        made.items([torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [torch.nan, 0.0]])])
    with pytest.raises(DataError, match="3 columns, but the model was fitted with 2"):
        made.items([torch.zeros(4, 3)])


def test_inputs_are_importable_from_their_package() -> None:
    for kind in inputs.INPUTS:
        assert getattr(inputs, kind.capitalize()) is inputs.find(kind)
        assert inputs.find(kind).kind == kind
    with pytest.raises(AttributeError, match="no attribute 'Images'"):
        inputs.Images  # noqa: B018
    with pytest.raises(OptionError, match="choose one of 'audio', 'numbers'"):
        inputs.find("image")
