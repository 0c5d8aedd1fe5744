"""Sentiment classification: positive (1) or negative (0) sentences of film reviews."""

import pandas as pd

import rekur
from common import asked

a = asked(__doc__)
train, dev, test = (pd.read_csv(a.data / f"sst2/{part}.csv.gz") for part in ("train", "dev", "test"))
train = train[: a.rows]
model = rekur.Classifier()
model.fit(train.text.tolist(), train.label, validation=(dev.text.tolist(), dev.label), epochs=a.epochs)
print(model.evaluate(test.text.tolist()[: a.rows], test.label[: a.rows]))
for text in ("a warm and funny film", "two hours that i will never get back"):
    print(text, "->", dict(zip(model.classes_.tolist(), model.predict_proba([text])[0].round(2).tolist(), strict=True)))
