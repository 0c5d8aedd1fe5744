"""Summarization: one sentence for the abstract of a paper, with words copied from it."""

import pandas as pd

import rekur
from common import asked
from rekur.inputs.text import Text
from rekur.sequence.generation import SUMMARY

a = asked(__doc__)
part = {name: pd.read_json(a.data / f"scitldr/{name}.jsonl.gz", lines=True) for name in ("train", "dev", "test")}
x = {name: [" ".join(sentences) for sentences in frame.source] for name, frame in part.items()}
y = {name: [targets[0] for targets in frame.target] for name, frame in part.items()}
model = rekur.Translator(generation=SUMMARY, input=Text(max_length=400))
model.fit(
    x["train"][: a.rows], y["train"][: a.rows], validation=(x["dev"][: a.rows], y["dev"][: a.rows]), epochs=a.epochs
)
print(model.evaluate(x["test"][: a.rows], part["test"].target.tolist()[: a.rows]))
print(model.predict(x["test"][:1])[0])
