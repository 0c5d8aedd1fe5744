"""Parts of a page as HTML: cards, legends, places of charts, tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def section(title: str, body: str, kind: str = "") -> str:
    """One card of the page; `title` and `body` are HTML."""
    return f'<section class="{kind}"><h2>{title}</h2>\n{body}</section>' if body else ""


def legend(items: Sequence[tuple[str, str]], chart: str) -> str:
    """Swatches and their texts: (class of the swatch, text)."""
    lines = "".join(f'<li><i class="{kind}"></i>{escape(text)}</li>' for kind, text in items)
    return f'<ul class="legend" data-chart="{chart}">{lines}</ul>'


def chart_area(chart: str, description: str, kind: str = "") -> str:
    """The element that a chart is drawn in."""
    size = f"plot {kind}".strip()
    label = escape(description)
    return f'<div class="{size}" id="{chart}" data-chart="{chart}" role="img" aria-label="{label}"></div>'


def bullet_list(lines: Sequence[str]) -> str:
    """Sentences as a list."""
    return f'<ul class="plain">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table of HTML cells; cells carry their heading, which stands beside them on a narrow page."""
    top = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    lines = (
        "".join(f'<td data-label="{heading}">{cell}</td>' for heading, cell in zip(headings, row, strict=True))
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
