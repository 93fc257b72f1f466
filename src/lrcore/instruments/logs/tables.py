"""The text of a training log to columns of numbers, whatever it is written as.

A field that is empty (or ``null``, ``None``, ``NA``) was not measured; a field ``nan`` or ``inf``
was measured and is what it says. The two are kept apart: a loss of NaN is a fact about the run.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Column", "LogError", "Table", "csv_table", "records_table"]

PIECE = 1 << 22  # characters read at a time
NOT_MEASURED = {"", "null", "none", "na", "n/a", "-", "--"}


class LogError(ValueError):
    """A log that cannot be read; the message says what was found and what to do."""


@dataclass
class Column:
    """Numbers of one column; where `there` is false nothing was measured, and the value is NaN.

    Attributes
    ----------
    values : ndarray of float64
    there : ndarray of bool
    wrong : tuple of (int, str) or None
        Line (or number of the record) and text of the first field that is not a number.
    """

    values: NDArray[np.float64]
    there: NDArray[np.bool_]
    wrong: tuple[int, str] | None = None


@dataclass
class Table:
    """Columns of equal length, and what was odd about the lines."""

    kind: str
    names: list[str]
    columns: dict[str, Column] = field(default_factory=dict)
    rows: int = 0
    notes: list[str] = field(default_factory=list)
    place: str = "line"  # what `Column.wrong` counts


# ---------------------------------------------------------------------- tables of text


def csv_table(
    text: str, names: list[str], separator: str | None, wanted: Sequence[str], first_line: int
) -> Table:
    """Read lines of fields, a comma or another separator between them; None: blanks.

    Parameters
    ----------
    text : str
        The lines after the header, each ended by a newline.
    names : list of str
        Of all columns.
    separator : str or None
        One character, or None for any number of blanks.
    wanted : sequence of str
        The columns to read; others may hold anything.
    first_line : int
        Number of the first line of `text` in its file.
    """
    reader = _Fields(names, separator, [names.index(name) for name in wanted])
    line = first_line
    for piece in _pieces(text):
        reader.add(piece, line)
        line += piece.count("\n")
    return reader.table(wanted)


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = (
            len(text) if start + PIECE >= len(text) else text.rfind("\n", start, start + PIECE) + 1
        )
        end = end or len(text)
        yield text[start:end]
        start = end


class _Fields:
    """Collects the wanted columns piece by piece."""

    def __init__(self, names: list[str], separator: str | None, wanted: list[int]) -> None:
        self.names = names
        self.separator = separator
        self.wanted = wanted
        self.values: list[NDArray[np.float64]] = []
        self.there: list[NDArray[np.bool_]] = []
        self.wrong: dict[int, tuple[int, str]] = {}
        self.short: list[int] = []
        self.headers: list[int] = []

    def add(self, piece: str, line: int) -> None:
        """Read whole lines, the first of which has the number `line`."""
        values, there = self._fast(piece) or self._slow(piece, line)
        self.values.append(values)
        self.there.append(there)

    def table(self, wanted: Sequence[str]) -> Table:
        """Return what was read."""
        empty = np.empty((0, len(self.wanted)))
        values = np.concatenate([empty, *self.values])
        there = np.concatenate([empty.astype(bool), *self.there])
        columns = {
            name: Column(values[:, i].copy(), there[:, i].copy(), self.wrong.get(i))
            for i, name in enumerate(wanted)
        }
        notes = []
        if self.headers:
            notes.append(f"the header is repeated in {_places(self.headers)}: left out")
        if self.short:
            notes.append(f"fields are missing in {_places(self.short)}: taken as not measured")
        return Table("CSV", self.names, columns, len(values), notes)

    def _fast(self, piece: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
        """Read a piece that is as it should be; None for any other."""
        width = len(self.names)
        if self.separator is None or '"' in piece or not self.wanted or not piece.isascii():
            return None
        raw = np.frombuffer(piece.encode("ascii"), np.uint8)
        ends = np.flatnonzero((raw == ord(self.separator)) | (raw == ord("\n")))
        if len(ends) % width or not len(ends) or ends[-1] != len(raw) - 1:
            return None
        newline = (raw[ends] == ord("\n")).reshape(-1, width)
        if newline[:, :-1].any() or not newline[:, -1].all():
            return None
        lengths = np.diff(ends, prepend=-1).reshape(-1, width) - 1
        there = lengths[:, self.wanted] > 0
        if width == 1 and not there.all():
            return None
        if not there.all():
            piece = self._filled(piece)
        try:
            values = np.loadtxt(
                io.StringIO(piece),
                delimiter=self.separator,
                comments=None,
                usecols=self.wanted,
                ndmin=2,
            )
        except ValueError:
            return None
        return (values, there) if len(values) == len(there) else None

    def _filled(self, piece: str) -> str:
        """Put ``nan`` in the empty fields."""
        s = str(self.separator)
        for _ in range(2):  # of a,,,b the first pass fills every other field
            piece = piece.replace(s + s, f"{s}nan{s}")
        piece = piece.replace(f"{s}\n", f"{s}nan\n").replace(f"\n{s}", f"\nnan{s}")
        return f"nan{piece}" if piece.startswith(s) else piece

    def _slow(self, piece: str, line: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Read a piece field by field, and say which line is wrong."""
        cells: list[list[str]] = []
        lines: list[int] = []
        for number, row in self._rows(piece, line):
            if not any(field.strip() for field in row):
                continue
            if [field.strip() for field in row] == self.names:
                self.headers.append(number)
                continue
            extra = [field for field in row[len(self.names) :] if field.strip()]
            if extra:
                raise LogError(
                    f"line {number} has {len(row)} fields, but the header has {len(self.names)}; "
                    "mend that line"
                )
            if len(row) < len(self.names):
                self.short.append(number)
                row = row + [""] * (len(self.names) - len(row))
            cells.append([row[i] for i in self.wanted])
            lines.append(number)
        values = np.full((len(cells), len(self.wanted)), np.nan)
        there = np.zeros(values.shape, bool)
        for i in range(len(self.wanted)):
            column = number_column((row[i] for row in cells), lines, comma=self.separator != ",")
            values[:, i], there[:, i] = column.values, column.there
            if column.wrong:
                self.wrong.setdefault(i, column.wrong)
        return values, there

    def _rows(self, piece: str, line: int) -> Iterator[tuple[int, list[str]]]:
        if self.separator is None:
            for i, text in enumerate(piece.split("\n")):
                yield line + i, text.split()
            return
        reader = csv.reader(io.StringIO(piece), delimiter=self.separator, skipinitialspace=True)
        before = 0
        try:
            for row in reader:
                yield line + before, row
                before = reader.line_num
        except csv.Error as error:
            raise LogError(f"line {line + before}: {error}; check the quotes") from None


# ------------------------------------------------------------------------------ records


def records_table(records: Sequence[dict[str, Any]], kind: str, lines: Sequence[int]) -> Table:
    """Return the columns of dicts; those of dicts in them are named ``outer/inner``."""
    flat = [_flat(record) for record in records]
    names: dict[str, None] = {}
    for record in flat:
        names.update(dict.fromkeys(record))
    table = Table(kind, list(names), rows=len(flat))
    for name in names:
        table.columns[name] = number_column((record.get(name) for record in flat), lines)
    return table


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    if not any(isinstance(value, dict) for value in record.values()):
        return record
    flat: dict[str, Any] = {}
    for name, value in record.items():
        inner = _flat(value) if isinstance(value, dict) else None
        flat.update(
            {name: value} if inner is None else {f"{name}/{k}": v for k, v in inner.items()}
        )
    return flat


def loads(text: str) -> Any:
    """Read JSON, or what Python prints of a dict; raise ValueError for anything else."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        if "'" not in text:
            raise
    return json.loads(_as_json(text))


def _as_json(text: str) -> str:
    """Return the dict that Python printed in JSON's spelling; strings are taken as they are."""
    spelling = {"nan": "NaN", "inf": "Infinity", "None": "null", "True": "true", "False": "false"}

    def respell(match: re.Match[str]) -> str:
        single, double, word = match.groups()
        if single is not None:
            return json.dumps(single)
        return f'"{double}"' if double is not None else spelling[word]

    return re.sub(
        r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|\b(nan|inf|None|True|False)\b""", respell, text
    )


# ------------------------------------------------------------------------------ numbers


def number_column(cells: Iterable[Any], lines: Sequence[int], *, comma: bool = False) -> Column:
    """Return cells as numbers; `comma`: whether 0,5 is a half."""
    given = list(cells)
    if set(map(type, given)) == {float}:
        return Column(np.array(given, np.float64), np.ones(len(given), bool))
    values = np.full(len(given), np.nan)
    there = np.ones(len(given), bool)
    wrong = None
    for i, cell in enumerate(given):
        if type(cell) is float or type(cell) is int:
            values[i] = _float(cell)
            continue
        if cell is None or (isinstance(cell, str) and cell.strip().lower() in NOT_MEASURED):
            there[i] = False
            continue
        number = _number(cell, comma)
        if number is None:
            there[i] = False
            wrong = wrong or (lines[i], str(cell).strip())
        else:
            values[i] = number
    return Column(values, there, wrong)


def _number(cell: Any, comma: bool) -> float | None:
    if isinstance(cell, list) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return _float(cell)
    if not isinstance(cell, str):
        return None
    try:
        return float(cell.replace(",", ".") if comma else cell)
    except ValueError:
        return None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if value > 0 else -math.inf


def _places(lines: Sequence[int]) -> str:
    return f"line {lines[0]}" if len(lines) == 1 else f"{len(lines)} lines, the first {lines[0]}"
