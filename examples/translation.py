"""Translation: German image descriptions to English."""

import rekur
from common import asked
from rekur.data.ingest import files
from rekur.inputs.text import Text

a = asked(__doc__)


def lines(name: str) -> list[str]:
    """The lines of a packed file."""
    return files.read_text(str(a.data / "multi30k" / name)).splitlines()


train = [lines(f"train.{language}.gz")[: a.rows] for language in ("de", "en")]
held = (lines("val.de.gz")[: a.rows], lines("val.en.gz")[: a.rows])
model = rekur.Translator(input=Text(vocabulary_size=5000)).fit(*train, validation=held, epochs=a.epochs)
test = [lines(f"test_2016_flickr.{language}.gz")[: a.rows] for language in ("de", "en")]
print(model.evaluate(*test))
for source, target, written in zip(test[0][:3], test[1][:3], model.predict(test[0][:3]), strict=True):
    print(f"{source}\n  should be: {target}\n  is: {written}")
