"""``--html``: a page with everything about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrcore.cli._say import Refusal


def check_page(path: str) -> None:
    """Refuse a page that could not be written, before any work is done."""
    if Path(path).is_dir():
        raise Refusal(f"--html {path}: is a directory")
    if not Path(path).absolute().parent.is_dir():
        raise Refusal(f"--html {path}: there is no directory {Path(path).parent}")


def write_page(path: str, title: str, lang: str = "en", **parts: Any) -> None:
    """Write the page; `parts` are those of ``lrcore.report.write``."""
    from lrcore import report

    try:
        report.write(path, title=title, lang=lang, **parts)
    except OSError as error:
        raise Refusal(f"--html {path}: cannot be written ({error.strerror})") from None
