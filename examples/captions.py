"""Video captioning: a sentence for each video."""

import tempfile

import rekur
from common import asked
from films import films

a = asked(__doc__)
with tempfile.TemporaryDirectory() as folder:
    x, frame = films(folder, a.rows)
    y, n = frame.text.tolist(), len(x) * 3 // 4
    model = rekur.Captioner().fit(x[:n], y[:n], epochs=a.epochs)
    print(model.evaluate(x[n:], y[n:]))
    print(*zip(y[n : n + 3], model.predict(x[n : n + 3]), strict=True), sep="\n")
