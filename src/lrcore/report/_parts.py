"""The parts of the page: a run and its diagnosis, a range test, a sweep, numbers and versions."""

from __future__ import annotations

import base64
import io
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plot._sweep import lost_runs
from ..plot._training import ALARMS
from . import _html as html

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..instruments.diagnosis.verdict import Diagnosis, Finding
    from ..instruments.finder.find import LRFindResult
    from ..instruments.trials.sweep import SweepResult

Words = Mapping[str, str]
INSTALL = 'pip install "lrcore[demo]"'
#: Verdicts and notes that ask for nothing to be done.
CALM = ("healthy", "converged")


def picture(draw: Callable[[], Axes], alt: str) -> str:
    """Return a figure with the picture in it, as SVG; nothing without matplotlib."""
    try:
        from matplotlib import rc_context
    except ModuleNotFoundError:
        return ""
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "lrcore"}):
        out = io.BytesIO()
        figure: Any = draw().figure
        figure.savefig(out, format="svg", metadata={"Date": None})
    data = base64.b64encode(out.getvalue()).decode("ascii")
    source = f"data:image/svg+xml;base64,{data}"
    return f'<figure><img src="{source}" alt="{html.text(alt)}"></figure>'


def section(title: str, *parts: str) -> str:
    """Return a part of the page under its title."""
    return f"<section>\n<h2>{html.text(title)}</h2>\n{''.join(parts)}\n</section>"


def verdict(found: Diagnosis, words: Words, lang: str) -> str:
    """The verdict in words, and what to do next."""
    first, *_ = [*found.text(lang).strip().splitlines(), found.verdict]
    parts = [f'<p class="verdict">{html.text(first)}</p>']
    if advice := said(found, lang):
        parts.append(f"<p><strong>{words['advice']}</strong> {html.text(advice)}</p>")
    return f'<section class="card {_kind(found.verdict)}">{"".join(parts)}</section>'


def said(found: Diagnosis, lang: str) -> str:
    """The advice of a diagnosis in the language of the page."""
    if getattr(found, "lang", lang) == lang:
        return found.advice
    from ..instruments.diagnosis import words as spoken

    return spoken.next_step(found, lang)


def findings(found: Diagnosis, words: Words, lang: str) -> str:
    """A card for each finding."""
    if not found.findings:
        return ""
    return section(words["findings"], *(_card(one, words, lang) for one in found.findings))


def _card(one: Finding, words: Words, lang: str) -> str:
    first, rest = _first_sentence(one.text(lang))
    parts = [f"<h3>{html.text(first)}</h3>"]
    parts += [f"<p>{html.text(more)}</p>" for more in (rest, one.advice(lang)) if more]
    if one.statistic != "count" and np.isfinite(one.threshold):
        measured = {"value": one.value, "null": one.null, "threshold": one.threshold}
        numbers: dict[str, object] = {words["statistic"]: one.statistic}
        numbers |= {words[name]: x for name, x in measured.items()}
        numbers[words["confidence"]] = f"{100 * one.confidence:.0f} %"
        parts.append(html.facts(numbers))
    return f'<article class="card {_kind(one.code)}">{"".join(parts)}</article>'


def _first_sentence(text: str) -> tuple[str, str]:
    """A text up to its first full stop, and the rest."""
    found = re.search(r"\.\s|\N{IDEOGRAPHIC FULL STOP}", text)
    return (text[: found.end()].strip(), text[found.end() :].strip()) if found else (text, "")


def _kind(code: str) -> str:
    return "alarm" if code in ALARMS else "calm" if code in CALM else ""


def range_test(found: LRFindResult, words: Words) -> str:
    """What the finder suggests, how surely, and by which method what."""
    from .. import plot
    from ..plot._style import rate

    low, high = found.interval
    between = words["interval"].format(low=rate(low), high=rate(high))
    what = f'<span class="big">{html.number(found.suggested)}</span>'
    known = np.isfinite([low, high]).all()
    parts = [f"<p>{words['suggested']} {what}{f' ({html.text(between)})' if known else ''}</p>"]
    if not found.reliable:
        parts.append(f"<p><strong>{words['unreliable']}</strong></p>")
    parts += [f"<p>{html.text(reason)}</p>" for reason in found.reasons]
    card = f'<div class="card {"calm" if found.reliable else "alarm"}">{"".join(parts)}</div>'
    rows = [(name, _plain(at)) for name, at in found.suggestions.items()]
    return section(
        words["find"],
        card,
        picture(lambda: plot.lr_find(found), words["alt_find"]),
        html.table([words["method"], words["rate"]], rows),
    )


def sweep(found: SweepResult, words: Words) -> str:
    """Score by rate, the best and the choice set off."""
    from .. import plot

    rows: list[tuple[Any, ...]] = []
    strong: list[int] = []
    lost = lost_runs(found)
    for i in np.argsort(found.lrs):
        lr = float(found.lrs[i])
        marks = [words[name] for name in ("best", "chosen") if getattr(found, name) == lr]
        strong += [len(rows)] if marks else []
        diverged, failed, made = lost[lr]
        error = _plain(found.errors[i])
        mean = float(found.means[i]) if made else None
        rows.append((lr, mean, error, made, diverged + failed, ", ".join(marks)))
    head = [words[name] for name in ("rate", "mean", "error", "runs", "lost")]
    note = f"<p>{words['interrupted']}</p>" if found.interrupted else ""
    notes = "".join(f"<p>{html.text(one)}</p>" for one in getattr(found, "notes", ()))
    return section(
        words["sweep"],
        note,
        picture(lambda: plot.sweep(found), words["alt_sweep"]),
        notes,
        html.table([*head, ""], rows, strong=strong),
    )


def versions() -> dict[str, str]:
    """What made the page."""
    from .._core import build_info

    built = build_info()
    made = {
        "lrcore": str(built["version"]),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
    }
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        return {**made, "platform": platform.platform()}
    return {**made, "matplotlib": mpl.__version__, "platform": platform.platform()}


def _plain(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def parts(
    words: Words,
    lang: str,
    run: Callable[[], Axes] | None,
    diagnosis: Diagnosis | None,
    find: LRFindResult | None,
    swept: SweepResult | None,
    numbers: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Iterator[str]:
    """The sections of the page, in their order."""
    if diagnosis is not None:
        yield verdict(diagnosis, words, lang)
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        yield f'<p class="dim">{words["no_pictures"]}<code>{html.text(INSTALL)}</code></p>'
    if run is not None:
        shown = picture(run, words["alt_training"])
        if shown:
            yield section(words["run"], shown)
    if diagnosis is not None:
        yield findings(diagnosis, words, lang)
    if find is not None:
        yield range_test(find, words)
    if swept is not None:
        yield sweep(swept, words)
    head = (words["name"], words["amount"])
    for name, given in (("numbers", numbers), ("settings", settings), ("versions", versions())):
        if given:
            yield section(words[name], html.pairs(head, given))
