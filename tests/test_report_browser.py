"""The report in a browser: everything drawn, nothing to scroll sideways, nothing loaded, light and dark."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from rekur import report
from report_cases import make_all, make_backtest, make_prediction, make_table

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=15000"]


@pytest.fixture(scope="module")
def page() -> str:
    return report.html(*make_all())


LISTEN = """<script>
const wrong = [];
addEventListener("error", (e) => wrong.push(String(e.message || e.target)), true);
addEventListener("unhandledrejection", (e) => wrong.push(String(e.reason)));
addEventListener("securitypolicyviolation", (e) => wrong.push(e.violatedDirective + " " + e.blockedURI));
for (const kind of ["error", "warn"]) console[kind] = (...said) => wrong.push(said.join(" "));
const size = (e) => { const box = e.getBoundingClientRect(); return [box.width, box.height]; };
function measure() {
  const plots = [...document.querySelectorAll(".plot")].filter((plot) => !plot.hidden);
  return {
    inner: innerWidth,
    scroll: document.documentElement.scrollWidth,
    plots: plots.map((plot) => plot.querySelector("svg.main-svg") ? size(plot.querySelector("svg.main-svg")) : [0, 0]),
    lines: plots.map((plot) => [...plot.querySelectorAll(".scatterlayer .trace path")].filter(
      (path) => path.getBBox().width || path.getBBox().height).length),
    table: [...document.querySelectorAll(".scroll")].map((e) => e.scrollWidth - e.clientWidth),
    taps: [...document.querySelectorAll("select")].map((e) => size(e)[1]),
    ink: [...document.querySelectorAll(".xtick text")].map((e) => getComputedStyle(e).fill)[0],
    card: getComputedStyle(document.querySelector("section:not(.verdict)")).backgroundColor,
    loaded: performance.getEntriesByType("resource").map((entry) => entry.name),
    wrong,
  };
}
addEventListener("load", () => setTimeout(() => {
  const found = measure(), select = document.querySelector("select"), plot = document.getElementById("forecast");
  const before = JSON.stringify(plot.data);
  if (select) { select.value = "5"; select.dispatchEvent(new Event("change")); }
  setTimeout(() => {
    const after = measure();
    found.switched = JSON.stringify(plot.data) !== before;
    found.after = [after.scroll, after.plots];
    parent.postMessage(found, "*");
  }, 300);
}, 500));
</script>"""

FRAMES = """<!DOCTYPE html><body style="margin:0"><script>
const found = {}, wanted = WANTED;
addEventListener("message", (e) => {
  const name = [...document.querySelectorAll("iframe")].find((frame) => frame.contentWindow === e.source).id;
  found[name] = e.data;
  if (Object.keys(found).length === wanted.length) document.title = JSON.stringify(found);
});
for (const [name, width] of wanted) {
  const frame = document.createElement("iframe");
  frame.id = name + " " + width;
  frame.style = `border:0;width:${width}px;height:900px`;
  frame.src = name + ".html";
  document.body.append(frame);
}
</script></body>"""


def browse(folder: Path, pages: dict[str, str], widths: tuple[int, ...], *flags: str) -> dict:
    """Open every page in frames of these widths and return what it measures of itself, by "name width"."""
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text.replace("<head>", "<head>" + LISTEN, 1), encoding="utf-8")
    wanted = [[name, width] for name in pages for width in widths]
    frames = folder / "frames.html"
    frames.write_text(FRAMES.replace("WANTED", json.dumps(wanted)))
    command = [BROWSER, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000"]
    done = subprocess.run([*command, "--dump-dom", frames.as_uri()], capture_output=True, text=True, timeout=100)
    title = done.stdout.partition("<title>")[2].partition("</title>")[0]
    assert title, f"the pages did not report: {done.stderr[-2000:]}"
    return json.loads(title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


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
        assert one["after"][0] <= width, f"{name}: the page scrolls sideways after another series was chosen"
        assert one["wrong"] == one["loaded"] == [], name
        assert len(one["plots"]) == (3 if "many" in name else 2), name
        for size in one["plots"] + one["after"][1]:
            assert 0.6 * width < size[0] < width, (name, size)
            assert size[1] > 200, (name, size)
        assert min(one["lines"]) >= 2, name
        assert all(height >= 44 for height in one["taps"]), name
        assert one["switched"] == ("many" in name)
    assert found["many 390"]["table"] == [0]


@needs_browser
def test_browser_dark(tmp_path: Path, page: str) -> None:
    """Where the reader prefers dark, cards are dark and the writing of the plots is light."""
    (one,) = browse(tmp_path, {"many": page}, (390,), "--blink-settings=preferredColorScheme=0").values()
    dark, light = (
        sum(float(part) for part in one[key].removeprefix("rgb(").removesuffix(")").split(",")[:3]) / 3
        for key in ("card", "ink")
    )
    assert dark < 60
    assert light > 140
