"""The report in a browser: everything drawn, nothing to scroll sideways, nothing loaded, light and dark."""

from __future__ import annotations

import io
import json
import queue
import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest

from rekur import report
from report_cases import make_all, make_backtest, make_prediction, make_table
from test_report_sequences import PAGES

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"]
PATIENCE = 100  # seconds until the pages must have reported


@pytest.fixture(scope="module")
def page() -> str:
    return report.html(*make_all())


LISTEN = """<script>
const wrong = [], blobs = new Map();
addEventListener("error", (e) => wrong.push(String(e.message || e.target)), true);
addEventListener("unhandledrejection", (e) => wrong.push(String(e.reason)));
addEventListener("securitypolicyviolation", (e) => wrong.push(e.violatedDirective + " " + e.blockedURI));
for (const kind of ["error", "warn"]) console[kind] = (...said) => wrong.push(said.join(" "));
const makeURL = URL.createObjectURL.bind(URL);
URL.createObjectURL = (blob) => { const url = makeURL(blob); blobs.set(url, blob); return url; };
const size = (e) => { const box = e.getBoundingClientRect(); return [box.width, box.height]; };
const all = (selector) => [...document.querySelectorAll(selector)];
function inked(plot) { // pixels of a chart that are drawn
  const canvas = plot.querySelector("canvas");
  if (!canvas || !canvas.width) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, k) => k % 4 === 3 && value > 0).length;
}
function measure() {
  const plots = all(".plot").filter((plot) => !plot.hidden);
  return {
    inner: innerWidth,
    scroll: document.documentElement.scrollWidth,
    plots: plots.map((plot) => plot.querySelector("canvas") ? size(plot.querySelector("canvas")) : [0, 0]),
    inked: plots.map(inked),
    table: all(".scroll").map((e) => e.scrollWidth - e.clientWidth),
    outside: all(".examples td").filter((e) => e.getBoundingClientRect().right > innerWidth).length,
    stretched: all("img[alt^=frames]").filter((e) => {
      const [width, height] = size(e);
      return Math.abs((width * e.naturalHeight) / (height * e.naturalWidth) - 1) > 0.02;
    }).length,
    uneven: all(".examples tbody tr").filter((row) => {
      const [, first, second] = [...row.children].map((cell) => cell.getBoundingClientRect().top);
      return first !== second;
    }).length,
    taps: all("input, #series button, .button").map((e) => size(e)[1]),
    rows: all("#numbers tbody tr").map((row) => [...row.children].map((cell) => cell.textContent)),
    names: all(".name").map((e) => e.textContent),
    ink: getComputedStyle(document.body).color,
    card: getComputedStyle(document.querySelector("section:not(.verdict)")).backgroundColor,
    loaded: performance.getEntriesByType("resource").map((entry) => entry.name),
    wrong,
  };
}
async function until(condition) { // or half a minute: what is then measured shows what is missing
  for (let k = 0; k < 600 && !condition(); k++) await new Promise((done) => setTimeout(done, 50));
}
const drawn = () => all(".plot").filter((plot) => !plot.hidden).every(inked);
addEventListener("load", async () => {
  await until(drawn);
  const found = measure(), search = document.getElementById("search"), link = document.getElementById("download");
  found.csv = link ? await blobs.get(link.href).text() : "";
  found.listed = all("#series button").length;
  const whole = document.getElementById("whole"), forecast = document.getElementById("forecast");
  if (whole) {
    const before = inked(forecast);
    whole.click();
    await until(() => inked(forecast) !== before);
    found.whole = inked(forecast) !== before;
    whole.click();
  }
  if (search) {
    search.value = "SERIES 17";
    search.dispatchEvent(new Event("input"));
    found.matches = all("#series button").map((button) => button.firstChild.textContent);
    document.querySelector("#series button").click();
  }
  await until(drawn);
  found.after = measure();
  parent.postMessage(found, "*");
});
</script>"""

FRAMES = """<!DOCTYPE html><body style="margin:0"><script>
const found = {}, wanted = WANTED;
addEventListener("message", (e) => {
  const name = [...document.querySelectorAll("iframe")].find((frame) => frame.contentWindow === e.source).id;
  found[name] = e.data;
  if (Object.keys(found).length === wanted.length) fetch("/", { method: "POST", body: JSON.stringify(found) });
});
for (const [name, width] of wanted) {
  const frame = document.createElement("iframe");
  frame.id = name + " " + width;
  frame.style = `border:0;width:${width}px;height:900px`;
  frame.src = name + ".html";
  document.body.append(frame);
}
</script></body>"""


class Handler(SimpleHTTPRequestHandler):
    """Serves the pages and takes what they report."""

    def do_POST(self) -> None:
        self.server.found.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def browse(folder: Path, pages: dict[str, str], widths: tuple[int, ...], *flags: str) -> dict:
    """Open every page in frames of these widths and return what it measures of itself, by "name width"."""
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text.replace("<head>", "<head>" + LISTEN, 1), encoding="utf-8")
    wanted = [[name, width] for name in pages for width in widths]
    (folder / "frames.html").write_text(FRAMES.replace("WANTED", json.dumps(wanted)))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        server.found = queue.Queue()
        Thread(target=server.serve_forever, daemon=True).start()
        command = [BROWSER, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000"]
        url = f"http://127.0.0.1:{server.server_port}/frames.html"
        browser = subprocess.Popen([*command, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return json.loads(server.found.get(timeout=PATIENCE))
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()


needs_browser = pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine: apt-get install chromium")


@needs_browser
def test_browser(tmp_path: Path, page: str) -> None:
    """At 1280 and 390 px: nothing to scroll sideways, every plot drawn, no errors, nothing loaded."""
    table = make_table([None], freq="3", size=1e12)
    single = report.html(make_prediction(table, 1), make_backtest(table, 1, 8))
    found = browse(tmp_path, {"many": page, "single": single}, (1280, 390))
    assert len(found) == 4
    for name, one in found.items():
        width = int(name.split()[1])
        assert one["inner"] == width, name
        assert one["scroll"] <= width, f"{name}: the page scrolls sideways"
        assert one["after"]["scroll"] <= width, f"{name}: the page scrolls sideways after another series was chosen"
        assert one["wrong"] == one["loaded"] == one["after"]["wrong"] == [], name
        assert len(one["plots"]) == (8 if "many" in name else 5), name
        for size in one["plots"] + one["after"]["plots"]:
            assert 0.2 * width < size[0] < width, (name, size)
            assert size[1] > 200, (name, size)
        assert min(one["inked"]) > 500, (name, one["inked"])
        assert all(height >= 44 for height in one["taps"]), name
    assert found["many 390"]["table"] == [0, 0]


@needs_browser
def test_numbers_and_search(tmp_path: Path, page: str) -> None:
    """The download is the forecast as a table; the table of a series has the same numbers; a search finds a series."""
    forecast = make_all()[0]
    (one,) = browse(tmp_path, {"many": page}, (390,)).values()
    expected = forecast.frame(level=[80, 95])
    loaded = pd.read_csv(io.StringIO(one["csv"]), parse_dates=[forecast.panel.parts[0].columns.time])
    assert loaded.columns.tolist() == expected.columns.tolist()
    loaded, expected = (each.sort_values(each.columns[:2].tolist(), ignore_index=True) for each in (loaded, expected))
    pd.testing.assert_frame_equal(loaded, expected, check_dtype=False, atol=1e-5)
    assert one["listed"] == 30
    assert one["whole"]
    assert one["matches"] == ["series 17"]
    assert one["names"] == [forecast.panel.ids[0]] * 3
    assert one["after"]["names"] == ["series 17"] * 3
    rows = expected[expected["id"] == "series 17"].iloc[:, 1:]
    assert [row[0] for row in one["after"]["rows"]] == rows.iloc[:, 0].dt.strftime("%Y-%m-%d").tolist()
    shown = [[float(cell.replace(",", "")) for cell in row[1:]] for row in one["after"]["rows"]]
    assert shown == pytest.approx(rows.iloc[:, 1:].to_numpy(), abs=1e-3)


@needs_browser
def test_browser_dark(tmp_path: Path, page: str) -> None:
    """Where the reader prefers dark, cards are dark and the writing is light."""
    (one,) = browse(tmp_path, {"many": page}, (390,), "--blink-settings=preferredColorScheme=0").values()
    dark, light = (
        sum(float(part) for part in one[key].removeprefix("rgb(").removesuffix(")").split(",")[:3]) / 3
        for key in ("card", "ink")
    )
    assert dark < 60
    assert light > 140


@needs_browser
def test_sequences_in_a_browser(tmp_path: Path) -> None:
    """Reports of sequences at 390 px: no cell beyond the edge, however long the texts, and the training is drawn."""
    found = browse(tmp_path, {name: make() for name, make in PAGES.items()}, (390, 1280))
    for name, one in found.items():
        assert one["scroll"] <= one["inner"], f"{name}: the page scrolls sideways"
        assert one["outside"] == 0, name
        assert one["stretched"] == 0, f"{name}: frames of a video are out of proportion"
        assert one["uneven"] == 0, f"{name}: true and predicted do not stand side by side"
        assert one["wrong"] == one["loaded"] == [], name
        assert one["plots"], name
        assert min(one["inked"]) > 500, name
