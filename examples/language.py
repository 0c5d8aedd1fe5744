"""Language modelling: a character model of Shakespeare, its perplexity and a generated text."""

import rekur
from common import asked
from rekur.data.ingest import files
from rekur.inputs.text import Text
from rekur.training.config import Training

a = asked(__doc__)
file = next((a.data / "tinyshakespeare").glob("*.txt*"))
lines = [line for line in files.read_text(str(file)).splitlines() if line.strip()][: a.rows]
training = Training(batch_size=32, learning_rate=3e-3, bptt=100, max_epochs=10, schedule="cosine")
model = rekur.LanguageModel(hidden_size=256, dropout=0.1, training=training, input=Text(pieces="char"))
model.fit(lines, epochs=a.epochs)
print(model.evaluate(lines[-1000:]))
print(model.sample("What is", max_tokens=60, temperature=0.7))
