"""Small pieces of HTML: everything that comes in is escaped here, and nowhere else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from numbers import Integral, Real
from typing import Any

#: What HTML may not hold, however it is written.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --dim: #5c5c5c; --paper: #fbfbfa;
  --card: #ffffff; --line: #dcdcd8; --accent: #0b3c66; --alarm: #a8480c; --calm: #2f6b57; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececea; --dim: #a5a5a2; --paper: #16181b; --card: #1e2125; --line: #363a40;
    --accent: #9cc3e8; --alarm: #f0a36c; --calm: #8fd0b8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55;
  font: 16px/1.55 system-ui, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei",
  sans-serif; overflow-wrap: anywhere; }
main { max-width: 54rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
header { border-bottom: 1px solid var(--line); margin-bottom: 1.5rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .35rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { margin: .4rem 0; }
.dim { color: var(--dim); font-size: .875rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  border-left: 5px solid var(--accent); padding: .9rem 1.1rem; margin: .75rem 0;
  break-inside: avoid; }
.card.alarm { border-left-color: var(--alarm); }
.card.calm { border-left-color: var(--calm); }
.verdict { font-size: 1.2rem; font-weight: 600; margin: 0; }
.big { font-size: 1.6rem; font-weight: 600; }
figure { margin: .75rem 0; background: #fff; border: 1px solid var(--line); border-radius: 6px;
  padding: .75rem; break-inside: avoid; }
figure img { display: block; width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; font-size: .925rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0;
  border-bottom: 1px solid var(--line); }
thead th { color: var(--dim); font-weight: 500; }
tbody th { font-weight: 400; }
td.number, th.number { text-align: right; }
tr.strong > * { font-weight: 650; }
.facts { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .6rem 0 0;
  font-size: .875rem; }
.facts div { display: flex; gap: .4rem; }
dt { color: var(--dim); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .925em; }
@media screen and (prefers-color-scheme: dark) {
  figure { background: #1e2125; }
  figure img { filter: invert(0.88) hue-rotate(180deg); } }
@media print {
  :root { --ink: #000; --dim: #444; --paper: #fff; --card: #fff; --line: #bbb; --accent: #0b3c66;
    --alarm: #a8480c; --calm: #2f6b57; color-scheme: light; }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; } }
"""


def text(value: object) -> str:
    """Return any value as text of a page, escaped."""
    return escape(FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(value)))


def number(value: object) -> str:
    """Return a value as a person reads it: numbers in four digits, thousands apart; escaped."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return "\N{EN DASH}" if value is None else text(value)
    if isinstance(value, Integral):
        return f"{int(value):,}"
    plain = float(value)
    if not math.isfinite(plain):
        return "NaN" if math.isnan(plain) else "inf" if plain > 0 else "-inf"
    return f"{plain:,.0f}" if 1e4 <= abs(plain) < 1e15 else f"{plain:.4g}"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Any]],
    caption: str = "",
    strong: Iterable[int] = (),
) -> str:
    """Return a table: names first, then columns of numbers, set to the right, or of text."""
    rows = [list(row) for row in rows]
    chosen = set(strong)
    right = [
        all(isinstance(row[i], Real) or row[i] is None for row in rows) and i > 0
        for i in range(len(head))
    ]
    kind = [' class="number"' if one else "" for one in right]
    title = f"<caption>{text(caption)}</caption>" if caption else ""
    top = "".join(
        f'<th scope="col"{one}>{text(name)}</th>' for one, name in zip(kind, head, strict=True)
    )
    body = []
    for i, row in enumerate(rows):
        first = f'<th scope="row">{number(row[0])}</th>'
        rest = "".join(
            f"<td{one}>{number(cell)}</td>" for one, cell in zip(kind[1:], row[1:], strict=True)
        )
        mark = ' class="strong"' if i in chosen else ""
        body.append(f"<tr{mark}>{first}{rest}</tr>")
    return (
        f'<div class="wide"><table>{title}<thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def pairs(head: Sequence[str], given: Mapping[Any, Any], caption: str = "") -> str:
    """Return numbers by name: those at the top in one table, each mapping in one of its own.

    A list of mappings is a table of a row each.
    """
    top, parts = [], []
    for name, value in given.items():
        if isinstance(value, Mapping):
            parts.append(pairs(head, value, str(name)))
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
            columns = list(dict.fromkeys(key for row in value for key in row))
            rows = [[row.get(key) for key in columns] for row in value]
            parts.append(table([str(key) for key in columns], rows, str(name)))
        else:
            top.append((str(name), value))
    return "".join(([table(head, top, caption)] if top else []) + parts)


def facts(given: Mapping[str, object]) -> str:
    """Return a row of names and values."""
    each = (f"<div><dt>{text(k)}</dt><dd>{number(v)}</dd></div>" for k, v in given.items())
    return f'<dl class="facts">{"".join(each)}</dl>'


def page(lang: str, title: str, body: str) -> str:
    """Return the whole document."""
    return (
        f'<!DOCTYPE html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
