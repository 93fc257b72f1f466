"""How commands speak: a table, an object for machines, a refusal in one sentence."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class Refusal(Exception):
    """A request that cannot be met: one sentence on stderr, exit status 2."""

    def __init__(self, sentence: str, command: str | None = None) -> None:
        super().__init__(sentence)
        self.command = command


def need(module: str, command: str, extra: str = "demo") -> ModuleType:
    """Import a module of an extra, or say which extra is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise Refusal(
            f'needs the {extra} extra ({error.name} is missing): pip install "lrcore[{extra}]"',
            command=f"lrcore {command}",
        ) from None


def print_json(value: Any) -> None:
    """One JSON object on stdout; numbers that JSON does not have become null."""
    print(json.dumps(_finite(value), indent=2))


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give a function of (done, all) that draws a bar on stderr; None where nobody watches."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError:
        yield None
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(what)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """Print a table: by rich if it is there, by hand if not; plain text when piped.

    `right` are the numbers of the columns that hold figures. An empty header is left out.
    """
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError:
        _print_plain(header, rows, right)
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        _print_plain(header, rows, right)
        return
    table = Table(box=None, show_header=any(header), padding=(0, 2, 0, 0), header_style="dim")
    for i, name in enumerate(header):
        table.add_column(
            name, justify="right" if i in right else "left", style="bold" if i == 0 else None
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _print_plain(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]
) -> None:
    lines = [list(header), *map(list, rows)] if any(header) else [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
