"""Movement prediction: whether a person will change rooms, from the strength of four radio signals."""

import pandas as pd

import rekur
from common import asked

a = asked(__doc__)
rows = pd.read_csv(a.data / "indoor_movement/rss.csv.gz")
frame = pd.read_csv(a.data / "indoor_movement/sequences.csv")
frame = frame[frame.group < 3].sample(frac=1, random_state=0)
walks = {key: part.sort_values("step").filter(like="rss").to_numpy() for key, part in rows.groupby("sequence")}
x, y = [walks[key] for key in frame.sequence], frame.label.to_numpy()
model = rekur.Classifier().fit(x[:140], y[:140], epochs=a.epochs)
print(model.evaluate(x[140:], y[140:]))
