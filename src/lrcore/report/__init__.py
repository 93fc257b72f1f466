"""One self-contained page about a run: the verdict in words, pictures, numbers.

The page is one HTML file that asks no network for anything: style and pictures are in it. It
follows the reader's choice of dark or light, and can be printed. Without matplotlib it has no
pictures, and says what to install.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _html as html
from ._parts import parts, versions
from ._words import WORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from ..instruments.diagnosis.verdict import Diagnosis
    from ..instruments.finder.find import LRFindResult
    from ..instruments.trials.sweep import SweepResult

__all__ = ["write"]

WHO = "report.write"


def write(
    path: str | os.PathLike[str],
    *,
    title: str,
    diagnosis: Diagnosis | None = None,
    losses: ArrayLike | None = None,
    lrs: ArrayLike | None = None,
    val_losses: Any = None,
    find: LRFindResult | None = None,
    sweep: SweepResult | None = None,
    numbers: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    lang: str = "en",
) -> Path:
    """Write a page about a run.

    The file is there whole or not at all: it is written beside its place and then moved to it.

    Parameters
    ----------
    path : str or path
        Where to; what is there is replaced.
    title : str
        What the page is about, in a few words.
    diagnosis : Diagnosis, default None
        What `diagnose` or ``Monitor.report`` said: the verdict, a card for each finding, advice.
    losses, lrs, val_losses : array_like, default None
        What `plot.training` draws; without losses it draws the curve of the diagnosis.
    find : LRFindResult, default None
        A range test, drawn and tabled.
    sweep : SweepResult, default None
        A sweep, drawn and tabled.
    numbers, settings : dict, default None
        What else to say, by name: a number or text; a dict, which is a table of its own; or a
        list of dicts, a table of a row each.
    lang : str, default "en"
        "en" or "zh". Pictures have English words.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    TypeError, ValueError
        There is no such language, the title is no text, or the losses are not numbers.
    OSError
        The file cannot be written; nothing has changed then.

    Examples
    --------
    >>> import tempfile, lrcore
    >>> folder = tempfile.mkdtemp()
    >>> page = lrcore.report.write(
    ...     f"{folder}/report.html", title="Digits", losses=[2.3, 1.9], numbers={"accuracy": 0.97}
    ... )
    >>> page.read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    if lang not in WORDS:
        known = " or ".join(f'"{name}"' for name in WORDS)
        raise ValueError(f"{WHO}: lang must be {known}, got {lang!r}")
    if not isinstance(title, str):
        raise TypeError(f"{WHO}: title must be a str, got {title!r:.60}")
    words = WORDS[lang]
    run = _run(diagnosis, losses, lrs, val_losses)
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    made = words["made"].format(when=when, version=versions()["lrcore"])
    top = f'<header><h1>{html.text(title)}</h1><p class="dim">{html.text(made)}</p></header>'
    given = (run, diagnosis, find, sweep, numbers or {}, settings or {})
    body = "\n".join([top, *parts(words, lang, *given)])
    return _put(Path(path), html.page(lang, title, body))


def _run(diagnosis: Any, losses: Any, lrs: Any, val_losses: Any) -> Any:
    """What draws the run, or None if there is none."""
    from .. import plot

    def draw() -> Axes:
        if losses is None:
            return plot.training(diagnosis, val_losses=val_losses)
        found: Sequence[Any] = () if diagnosis is None else diagnosis.findings
        at = None if diagnosis is None else diagnosis.at
        return plot.training(losses, lrs, found, val_losses, steps=at)

    return None if losses is None and diagnosis is None else draw


def _put(path: Path, text: str) -> Path:
    """Write a file beside its place, then move it there."""
    data = text.encode("utf-8", "replace")
    mask = os.umask(0)
    os.umask(mask)
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return path
