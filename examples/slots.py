"""Slot filling: a label for each word of a request."""

import pandas as pd

import rekur
from common import asked

a = asked(__doc__)
part = {name: pd.read_csv(a.data / f"slots/snips_{name}.csv.gz") for name in ("train", "valid", "test")}
x = {name: [tokens.split() for tokens in frame.tokens] for name, frame in part.items()}
y = {name: [slots.split() for slots in frame.slots] for name, frame in part.items()}
model = rekur.Tagger().fit(
    x["train"][: a.rows], y["train"][: a.rows], validation=(x["valid"], y["valid"]), epochs=a.epochs
)
print(model.evaluate(x["test"], y["test"]))
words = ["book", "a", "table", "for", "four", "people", "in", "rome"]
print(*zip(words, model.predict([words])[0], strict=True))
