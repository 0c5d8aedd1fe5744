"""Jobs of `sequences.py`: data set, model and target score of each.

A job reads its data, trains one model with the defaults of its task, except where stated, and returns the scores on the
standard test part. The test part is not read before the model is trained; models are selected on validation data held
out of the training part.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import wave
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import clips
import rekur
from rekur.data.ingest import files
from rekur.inputs import datasets as examples
from rekur.inputs.numbers import Numbers
from rekur.inputs.text import Text
from rekur.registry import TASKS
from rekur.sequence.generation import SUMMARY

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("REKUR_DATA", ROOT.parent / "shared" / "data"))
Scores = dict[str, float]
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Job:
    """Job: function that trains and tests, description, decisive score, target, stretch target and reference."""

    run: Callable[[int, bool], Scores]
    what: str
    score: str
    must: float
    stretch: float | None
    reference: str
    less: bool = False  # whether less is better


def table(name: str) -> pd.DataFrame:
    """A table of the data folder, as pandas reads it."""
    return pd.read_csv(DATA / name)


def texts(folder: str, end: str, **options: Any) -> Callable[[int, bool], Scores]:
    """Labels of texts: `train` and `test` files with the columns label and text."""

    def run(seed: int, show: bool) -> Scores:
        train, test = table(f"{folder}/train.csv.{end}"), table(f"{folder}/test.csv.{end}")
        held = (DATA / folder / f"dev.csv.{end}").exists()
        dev = table(f"{folder}/dev.csv.{end}") if held else None
        validation = None if dev is None else (dev.text.tolist(), dev.label)
        model = rekur.Classifier(random_state=seed, **options)
        model.fit(train.text.tolist(), train.label, validation=validation, progress=show)
        return model.evaluate(test.text.tolist(), test.label)

    return run


def few_texts(folder: str, end: str, rows: int) -> Callable[[int, bool], Scores]:
    """Labels of texts, learned from rows of the training file drawn by the seed, without the development file."""

    def run(seed: int, show: bool) -> Scores:
        train, test = table(f"{folder}/train.csv.{end}"), table(f"{folder}/test.csv.{end}")
        train = train.iloc[np.random.default_rng(seed).permutation(len(train))[:rows]]
        model = rekur.Classifier(random_state=seed).fit(train.text.tolist(), train.label, progress=show)
        return model.evaluate(test.text.tolist(), test.label)

    return run


def intents(seed: int, show: bool) -> Scores:
    """Intents and slots of sentences: two models."""
    parts = {part: table(f"slots/snips_{part}.csv.gz") for part in ("train", "valid", "test")}
    words = {part: [tokens.split() for tokens in frame.tokens] for part, frame in parts.items()}
    slots = {part: [tags.split() for tags in frame.slots] for part, frame in parts.items()}
    tagger = rekur.Tagger(random_state=seed)
    tagger.fit(words["train"], slots["train"], validation=(words["valid"], slots["valid"]), progress=show)
    slot_scores = tagger.evaluate(words["test"], slots["test"])
    held = (parts["valid"].tokens.tolist(), parts["valid"].intent)
    model = rekur.Classifier(random_state=seed)
    model.fit(parts["train"].tokens.tolist(), parts["train"].intent, validation=held, progress=show)
    scores = model.evaluate(parts["test"].tokens.tolist(), parts["test"].intent)
    return {"intent": scores["accuracy"], "baseline intent": scores["baseline_accuracy"], **slot_scores}


def conllu(part: str) -> tuple[list[Any], list[Any] | None]:
    """Words and parts of speech of a part of the English Web Treebank."""
    sentences = examples.read(str(DATA / f"ud_ewt/en_ewt-ud-{part}.conllu.xz"), TASKS["Tagger"].dataset)
    return sentences.x, sentences.y


def speech_parts(seed: int, show: bool) -> Scores:
    """Parts of speech."""
    model = rekur.Tagger(random_state=seed).fit(*conllu("train"), validation=conllu("dev"), progress=show)
    return model.evaluate(*conllu("test"))


def lines(name: str) -> list[str]:
    """The lines of a packed text."""
    return files.read_text(str(DATA / name)).splitlines()


def translation(source: str, target: str) -> Callable[[int, bool], Scores]:
    """Descriptions of pictures from one language to the other."""

    def run(seed: int, show: bool) -> Scores:
        part = {p: [lines(f"multi30k/{p}.{k}.gz") for k in (source, target)] for p in ("train", "val")}
        model = rekur.Translator(input=Text(vocabulary_size=5000), random_state=seed)
        model.fit(*part["train"], validation=tuple(part["val"]), progress=show)
        return model.evaluate(*(lines(f"multi30k/test_2016_flickr.{k}.gz") for k in (source, target)))

    return run


def few_pairs(seed: int, show: bool) -> Scores:
    """The same from German to English, learned from the first 2,000 pairs."""
    x, y = (lines(f"multi30k/train.{k}.gz")[:2000] for k in ("de", "en"))
    model = rekur.Translator(random_state=seed).fit(x, y, progress=show)
    return model.evaluate(*(lines(f"multi30k/test_2016_flickr.{k}.gz") for k in ("de", "en")))


def headlines(seed: int, show: bool) -> Scores:
    """The headline of a piece of news: rows 0-6,000 to train, 800 to choose, 800 to test."""
    frame = table("ag_news/ag_news_test.csv.gz")
    x, y = frame.description.tolist(), frame.title.tolist()
    model = rekur.Translator(generation=SUMMARY, input=Text(vocabulary_size=3000), random_state=seed)
    model.fit(x[:6000], y[:6000], validation=(x[6000:6800], y[6000:6800]), epochs=20, progress=show)
    return model.evaluate(x[6800:], y[6800:])


def papers(seed: int, show: bool) -> Scores:
    """One sentence for the abstract of a paper."""
    part = {p: pd.read_json(DATA / f"scitldr/{p}.jsonl.gz", lines=True) for p in ("train", "dev", "test")}
    x = {p: [" ".join(sentences) for sentences in frame.source] for p, frame in part.items()}
    model = rekur.Translator(generation=SUMMARY, input=Text(vocabulary_size=5000, max_length=400), random_state=seed)
    held = (x["dev"], [targets[0] for targets in part["dev"].target])
    model.fit(x["train"], [targets[0] for targets in part["train"].target], validation=held, progress=show)
    return model.evaluate(x["test"], part["test"].target.tolist())


def treebank(seed: int, show: bool) -> Scores:
    """The next word of the Penn Treebank."""
    part = {p: [line.strip() for line in lines(f"ptb/ptb.{p}.txt.gz")] for p in ("train", "valid", "test")}
    part = {p: [line.replace("<unk>", "⁇") for line in lines] for p, lines in part.items()}
    model = rekur.LanguageModel(input=Text(pieces="word", vocabulary_size=10_003), random_state=seed)
    model.fit(part["train"], validation=part["valid"], progress=show)
    return model.evaluate(part["test"])


def commands(seed: int, show: bool) -> Scores:
    """Letters, digits and commands, spoken; 13 cepstra, each recording normalised; a tenth of the speakers held out."""
    stored, frame = np.load(DATA / "an4/mfcc13_float16.npz"), table("an4/utterances.csv")
    parts = np.split(stored["features"].astype(np.float32), np.cumsum(stored["lengths"])[:-1])
    x = [(part - part.mean(0)) / (part.std(0) + 1e-3) for part in parts]
    speakers = frame.speaker[frame.split == "train"].unique()
    held = np.random.default_rng(seed).choice(speakers, len(speakers) // 10, replace=False)
    where = np.where(frame.split == "test", "test", np.where(frame.speaker.isin(held), "held", "train"))
    data = {p: ([x[k] for k in np.flatnonzero(where == p)], frame.transcript[where == p].tolist()) for p in set(where)}
    model = rekur.Transcriber(input=Numbers(deltas=True), random_state=seed)
    model.fit(*data["train"], validation=data["held"], progress=show)
    return model.evaluate(*data["test"], num_beams=16)


def digits(folder: Path) -> pd.DataFrame:
    """Unpack the recordings of spoken digits; columns path, digit, speaker, index."""
    for packed in sorted((DATA / "fsdd").glob("*.zip")):
        zipfile.ZipFile(packed).extractall(folder)
    rows = [(path, *path.stem.split("_")) for path in sorted(folder.rglob("*.wav"))]
    frame = pd.DataFrame(rows, columns=["path", "digit", "speaker", "index"])
    return frame.assign(index=frame["index"].astype(int))


def spoken_digits(seed: int, show: bool) -> Scores:
    """One of ten digits: recordings 0-4 of each digit and speaker are the test."""
    with tempfile.TemporaryDirectory() as folder:
        frame = digits(Path(folder))
        train, test = frame[frame["index"] >= 5], frame[frame["index"] < 5]
        model = rekur.Classifier(random_state=seed).fit(train.path.tolist(), train.digit, progress=show)
        return model.evaluate(test.path.tolist(), test.digit)


def speakers_held_out(seed: int, show: bool) -> Scores:
    """One of ten digits of a speaker never heard: mean over all speakers."""
    with tempfile.TemporaryDirectory() as folder:
        frame, scores = digits(Path(folder)), {}
        for speaker in frame.speaker.unique():
            train, test = frame[frame.speaker != speaker], frame[frame.speaker == speaker]
            model = rekur.Classifier(random_state=seed).fit(train.path.tolist(), train.digit, progress=show)
            scores[speaker] = model.evaluate(test.path.tolist(), test.digit)
    means = {key: float(np.mean([one[key] for one in scores.values()])) for key in ("accuracy", "f1")}
    return means | {speaker: one["accuracy"] for speaker, one in scores.items()}


def spoken_strings(frame: pd.DataFrame, count: int, rng: np.random.Generator) -> tuple[list[Any], list[str]]:
    """Recordings of 3 to 6 digits of one speaker in words, between pauses with the faint noise of a room."""

    def pause(shortest: float, longest: float) -> np.ndarray:
        return rng.normal(0, 3e-4, int(8000 * rng.uniform(shortest, longest)))

    waves = {path: wave_samples(path) for path in frame.path}
    x, y = [], []
    for _ in range(count):
        picked = frame.iloc[rng.integers(len(frame), size=rng.integers(3, 7))]
        parts = [pause(0.2, 0.5)]
        for path in picked.path:
            parts += [waves[path], pause(0.05, 0.2)]
        x.append((np.concatenate([*parts, pause(0.15, 0.3)]), 8000))
        y.append(" ".join(DIGITS[int(digit)] for digit in picked.digit))
    return x, y


def wave_samples(path: Path) -> np.ndarray:
    """Samples of a recording in -1 … 1."""
    with wave.open(str(path)) as recording:
        return np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2") / 2**15


def one_speaker(seed: int, show: bool) -> Scores:
    """Thirty strings of digits of one speaker (george), from recordings 20-49; tested on sixty strings from 0-19."""
    with tempfile.TemporaryDirectory() as folder:
        frame, rng = digits(Path(folder)), np.random.default_rng(seed)
        frame = frame[frame.speaker == "george"]
        train = spoken_strings(frame[frame["index"] >= 20], 30, rng)
        test = spoken_strings(frame[frame["index"] < 20], 60, rng)
        model = rekur.Transcriber(random_state=seed).fit(*train, progress=show)
        return model.evaluate(*test)


def joined(frame: pd.DataFrame, folder: Path, count: int, rng: np.random.Generator) -> tuple[list[Path], list[str]]:
    """Files of 3 to 7 joined recordings of one speaker, and their transcripts."""
    folder.mkdir()
    paths, said = [], []
    speakers = frame.speaker.unique()
    for k in range(count):
        speaker_rows = frame[frame.speaker == rng.choice(speakers)]
        picked = speaker_rows.iloc[rng.integers(len(speaker_rows), size=rng.integers(3, 8))]
        with wave.open(str(folder / f"{k:05d}.wav"), "wb") as recording:
            recording.setparams((1, 2, 8000, 0, "NONE", ""))
            for path in picked.path:
                with wave.open(str(path)) as one:
                    recording.writeframes(one.readframes(one.getnframes()))
        paths.append(folder / f"{k:05d}.wav")
        said.append("".join(picked.digit))
    return paths, said


def connected_digits(seed: int, show: bool) -> Scores:
    """Strings of digits of a speaker never heard (theo), by CTC; written as digits, so that each is one label.

    The character error rate is the digit error rate. With another speaker (nicolas) held out, 15.8 % of the digits
    were wrong, and 18 to 19 % where they were spelled ("three one") and a letter model helped.
    """
    with tempfile.TemporaryDirectory() as folder:
        frame, rng = digits(Path(folder)), np.random.default_rng(seed)
        known, new = frame[frame.speaker != "theo"], frame[frame.speaker == "theo"]
        train = joined(known, Path(folder) / "train", 3000, rng)
        test = joined(new, Path(folder) / "test", 300, rng)
        model = rekur.Transcriber(random_state=seed).fit(*train, progress=show)
        return model.evaluate(*test, num_beams=16)


def movement(rows: int | None = None) -> Callable[[int, bool], Scores]:
    """Whether a person will change room: buildings 1 and 2, two thirds to train and a third to test, drawn by 0.

    `rows` trains on the first of the sequences drawn alone.
    """

    def run(seed: int, show: bool) -> Scores:
        values, frame = table("indoor_movement/rss.csv.gz"), table("indoor_movement/sequences.csv")
        parts = {
            key: part.sort_values("step").filter(like="rss").to_numpy() for key, part in values.groupby("sequence")
        }
        frame = frame[frame.group < 3].sample(frac=1, random_state=0)
        x, n = [parts[key] for key in frame.sequence], len(frame) * 2 // 3
        train = slice(rows or n)
        model = rekur.Classifier(random_state=seed).fit(x[train], frame.label[train], progress=show)
        return model.evaluate(x[n:], frame.label[n:])

    return run


def ts(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """Sequences (T, I) and labels of a file of the UEA archive: a line for each, columns and label split by colons."""
    text = path.read_text(encoding="utf-8")
    rows = [line.split(":") for line in text[text.lower().index("@data") :].splitlines()[1:] if line.strip()]
    x = [np.array([part.split(",") for part in columns], dtype=np.float32).T for *columns, _ in rows]
    return x, [row[-1].strip() for row in rows]


def archive(name: str) -> Callable[[int, bool], Scores]:
    """A set of the UEA archive, as the package aeon ships it (pip install --no-deps aeon): train and test part."""

    def run(seed: int, show: bool) -> Scores:
        spec = importlib.util.find_spec("aeon")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("it needs the data of aeon: pip install --no-deps aeon")
        folder = Path(spec.origin).parent / "datasets" / "data" / name
        model = rekur.Classifier(random_state=seed).fit(*ts(folder / f"{name}_TRAIN.ts"), progress=show)
        return model.evaluate(*ts(folder / f"{name}_TEST.ts"))

    return run


def skeletons(rows: int | None = None) -> Callable[[int, bool], Scores]:
    """Actions from the joint positions of a body relative to its centre; mean of three splits.

    `rows` trains on so many clips of the training part of each split, drawn by 0, alone.
    """

    def run(seed: int, show: bool) -> Scores:
        stored, frame = np.load(DATA / "jhmdb_joints/joints.npz"), table("jhmdb_joints/clips.csv")
        joints = stored["joints"]  # (frames, 15, 2)
        centre = joints.mean(1, keepdims=True)
        flat = np.concatenate([(joints - centre).reshape(len(joints), -1), centre[:, 0]], axis=1)
        whole = np.split(flat, np.cumsum(stored["lengths"])[:-1])
        scores = []
        for split in ("split1", "split2", "split3"):
            train, test = (np.flatnonzero(frame[split] == part) for part in ("train", "test"))
            train = np.random.default_rng(0).permutation(train)[:rows]
            model = rekur.Classifier(random_state=seed)
            model.fit([whole[k] for k in train], frame.label[train], progress=show)
            scores.append(model.evaluate([whole[k] for k in test], frame.label[test]))
        return {key: float(np.mean([one[key] for one in scores])) for key in scores[0]}

    return run


def features(seed: int, show: bool) -> Scores:
    """Actions from features of video frames."""
    x, frame = (
        np.load(DATA / "ucf101_vgg16_9cls/features_float16.npy").astype(np.float32),
        table("ucf101_vgg16_9cls/videos.csv"),
    )
    train, test = (frame.split == "train").to_numpy(), (frame.split == "test").to_numpy()
    model = rekur.Classifier(random_state=seed).fit(x[train], frame["class"][train], progress=show)
    return model.evaluate(x[test], frame["class"][test])


def made_clips(folder: Path) -> tuple[dict[str, list[Path]], pd.DataFrame]:
    """The rendered clips, 1,200 to train and 400 to test."""
    frame = clips.make(folder, 1600, 0)
    return {p: [folder / path for path in frame.path[frame.split == p]] for p in ("train", "test")}, frame


def actions(seed: int, show: bool) -> Scores:
    """Motions of rendered digits, from video files."""
    with tempfile.TemporaryDirectory() as folder:
        x, frame = made_clips(Path(folder))
        label = {p: frame.label[frame.split == p].tolist() for p in x}
        model = rekur.Classifier(random_state=seed).fit(x["train"], label["train"], progress=show)
        still = rekur.Classifier(input=rekur.inputs.find("video")(num_frames=1), random_state=seed)
        still.fit(x["train"], label["train"], progress=show)
        alone = still.evaluate(x["test"], label["test"])["accuracy"]
        return {**model.evaluate(x["test"], label["test"]), "single frame": alone}


def captions(seed: int, show: bool) -> Scores:
    """Sentences for the same clips."""
    with tempfile.TemporaryDirectory() as folder:
        x, frame = made_clips(Path(folder))
        said = {p: frame.text[frame.split == p].tolist() for p in x}
        model = rekur.Captioner(random_state=seed).fit(x["train"], said["train"], progress=show)
        return model.evaluate(x["test"], said["test"])


JOBS = {
    "sst2": Job(texts("sst2", "gz"), "sentiment of sentences", "accuracy", 0.825, 0.85, "linear SVM 81.3 %"),
    "sst2_500": Job(few_texts("sst2", "gz", 500), "the same from 500 sentences", "accuracy", 0, None, "linear model"),
    "imdb": Job(texts("imdb", "xz"), "sentiment of reviews", "accuracy", 0.895, 0.915, "linear SVM 90.0 %"),
    "trec": Job(texts("trec", "gz"), "kind of question", "accuracy", 0.91, 0.94, "linear SVM 89.8 %"),
    "snips": Job(intents, "intent and slots", "span f1", 0.89, 0.94, "slot-gated BiLSTM 88.8 %, intent 97.0 %"),
    "ud_ewt": Job(speech_parts, "parts of speech", "accuracy", 0.93, 0.95, "most frequent tag 86.9 %"),
    "de_en": Job(translation("de", "en"), "German to English", "bleu", 34, 38, "attention GRU about 36 to 38"),
    "en_de": Job(translation("en", "de"), "English to German", "bleu", 32, 36, "attention GRU about 36 to 38"),
    "multi30k_2000": Job(few_pairs, "German to English, 2,000 pairs", "bleu", 12, None, "4.6 before defaults by rows"),
    "scitldr": Job(papers, "one sentence for an abstract", "rouge1", 0, None, "first sentence"),
    "ag_news": Job(headlines, "headline of a piece of news", "rouge1", 0, None, "first sentence"),
    "ptb": Job(treebank, "next word", "perplexity", 95, 80, "LSTM 82.7 to 114.5", True),
    "an4": Job(commands, "speech, precomputed features", "word error rate", 0.18, 0.10, "DeepSpeech2 5.1 %", True),
    "fsdd": Job(spoken_digits, "spoken digits", "accuracy", 0.97, 0.99, "97 to 99 %"),
    "fsdd_joined": Job(
        connected_digits, "strings of digits, new speaker", "character error rate", 0.08, 0.03, "", True
    ),
    "fsdd_speakers": Job(speakers_held_out, "spoken digits, each speaker held out in turn", "accuracy", 0.93, None, ""),
    "digits_one_speaker": Job(
        one_speaker, "strings of digits, 30 recordings of one speaker", "word error rate", 0.02, None, "", True
    ),
    "indoor": Job(movement(), "movement from radio signals", "accuracy", 0.93, 0.97, "echo state network 95.95 %"),
    "indoor_60": Job(
        movement(60), "the same, 60 training rows", "accuracy", 0.885, None, "defaults of many rows 88.6 %"
    ),
    "vowels": Job(
        archive("JapaneseVowels"), "speaker of a vowel", "accuracy", 0.97, 0.99, "nearest neighbour (DTW) 94.9 %"
    ),
    "motions": Job(archive("BasicMotions"), "activity", "accuracy", 0.97, 1.0, "nearest neighbour (DTW) 97.5 %"),
    "jhmdb": Job(skeletons(), "action from joint positions", "accuracy", 0.72, 0.78, "DD-Net 77.2 % on 21 classes"),
    "jhmdb_200": Job(
        skeletons(200), "the same, 200 training clips", "accuracy", 0.70, 0.75, "defaults of many rows 58.6 %"
    ),
    "ucf101": Job(features, "action from features of frames", "accuracy", 0.965, 0.98, "mean over frames 96.2 %"),
    "clips": Job(actions, "action of rendered digits in video files", "accuracy", 0.95, None, "single frame"),
    "captions": Job(captions, "sentence for the same clips", "exact match", 0.90, None, ""),
}
