"""Action recognition: the motion of a digit in a video."""

import tempfile

import rekur
from common import asked
from films import films

a = asked(__doc__)
with tempfile.TemporaryDirectory() as folder:
    x, frame = films(folder, a.rows)
    y, n = frame.label.tolist(), len(x) * 3 // 4
    model = rekur.Classifier().fit(x[:n], y[:n], epochs=a.epochs)
    print(model.evaluate(x[n:], y[n:]))
