"""How a training log is written: told from its first characters, then read as a table."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from lrcore.instruments.logs import roles
from lrcore.instruments.logs.tables import (
    LogError,
    Table,
    csv_table,
    loads,
    number_column,
    records_table,
)

__all__ = ["decode", "table"]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
NUMBER = r"[-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)"
FIRST_WORDS = "train|training|val|valid|validation|eval|test|learning|grad|gradient|global|avg"
#: ``loss: 0.5``, ``lr=1e-3``, ``iter 100``, ``val loss 0.7`` in a line of prose.
PAIR = re.compile(
    rf"((?:\b(?:{FIRST_WORDS})[ ])?\b[A-Za-z_][\w./-]*)(?:\s*[:=]\s*|\s+)({NUMBER})(?![\w.])",
    re.IGNORECASE,
)
BRACES = re.compile(r"\{[^{}]*\}")
#: A number as torch, JAX and NumPy 2 print it: ``tensor(2.5, device='cuda:0')``.
WRAPPED = re.compile(
    r"\b(?:tensor|[Aa]rray|(?:np\.)?(?:float|int)(?:16|32|64))"
    rf"\(\[?\s*({NUMBER})\s*\]?(?:,\s*\w+=[^()\n]*)?\)"
)
WRAPPERS = ("tensor(", "rray(", "16(", "32(", "64(")  # what a text has that has one of these
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # and what else a terminal is told
DEEP = 3  # levels at which the records of a JSON object are looked for

#: What of the columns is wanted: the names to read of those that there are.
Wanted = Callable[[Sequence[str]], list[str]]


def decode(raw: bytes) -> str:
    """Return the text of a file, lines ended by newlines; UTF-8, or UTF-16 if it says so."""
    utf16 = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    if b"\0" in raw and not utf16:
        raise LogError("is not a text file; give a log as CSV, JSON lines or text")
    try:
        text = raw.decode("utf-16" if utf16 else "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = len(raw[: error.start + 1].splitlines())
        raise LogError(f"line {line} is not UTF-8 text") from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def table(text: str, wanted: Wanted) -> Table:
    """Read the columns that are wanted, in whatever form the text has.

    Parameters
    ----------
    text : str
        The whole log, as `decode` gives it.
    wanted : callable
        Told the names of all columns, it gives those to read; with none, other forms are tried.

    Raises
    ------
    LogError
        There is nothing in it, or a line is not what the others are.
    """
    text = _bare(text)
    if not text.strip():
        raise LogError("is empty")
    start = text.lstrip()
    if start[0] in "{[":
        found = _json_table(text, start)
        if found is not None:
            return found
        prose = _prose_table(text)
        if prose is None or not wanted(prose.names):
            raise LogError("begins like JSON, but is neither JSON nor JSON lines")
        return prose
    header = _header(text)
    if not wanted(header.names) or PAIR.search(header.line):
        prose = _prose_table(text)
        if prose is not None and wanted(prose.names):
            return prose
    return _csv(header, wanted)


def _bare(text: str) -> str:
    """Return the text without colours, and numbers without what is printed round them."""
    if "\x1b" in text:
        text = COLOUR.sub("", text)
    return WRAPPED.sub(r"\1", text) if any(word in text for word in WRAPPERS) else text


# ----------------------------------------------------------------------------------- CSV


class _Header(NamedTuple):
    """The line that names the columns, and what follows from it."""

    line: str
    names: list[str]
    separator: str | None  # None: blanks
    body: str
    first: int  # number of the first line of the body


def _csv(header: _Header, wanted: Wanted) -> Table:
    take = wanted(header.names)
    if not header.body.strip():
        return Table("CSV", header.names, {name: number_column([], []) for name in take})
    body = header.body if header.body[-1] == "\n" else f"{header.body}\n"
    read = csv_table(body, header.names, header.separator, take, header.first)
    if header.separator is None:
        read.kind = "table"
    elif header.separator != ",":
        read.kind = f"CSV with {SEPARATORS[header.separator]}"
    return read


def _header(text: str) -> _Header:
    """Return the names of the columns; remarks before them are skipped."""
    first = 1
    while True:
        line, _, body = text.partition("\n")
        following = body.partition("\n")[0]
        bare = line.lstrip("# ").strip() if line.startswith("#") else line.strip()
        if bare and (not line.startswith("#") or _is_number(following.split()[:1])):
            break
        if not body:
            raise LogError("is empty but for remarks")
        text, first = body, first + 1
    separator: str | None = max(SEPARATORS, key=bare.count)
    if str(separator) not in bare and len(bare.split()) > 1 and _is_number(following.split()):
        separator = None
    names = _split(bare, separator)
    if _is_number(names):  # no header: columns are called by their numbers, one alone is the loss
        names = ["loss"] if len(names) == 1 else [str(i + 1) for i in range(len(names))]
        return _Header("", names, separator, text, first)
    if repeated := sorted({name for name in names if name and names.count(name) > 1}):
        raise LogError(f"two columns are named {roles.listed(repeated)}; rename one")
    return _Header(bare, names, separator, body, first + 1)


def _split(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    try:
        row = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise LogError(f"the header cannot be read: {error}") from None
    return [name.strip() for name in row]


def _is_number(fields: Iterable[str]) -> bool:
    """Whether there are fields and all of them are numbers."""
    try:
        return bool([float(field.replace(",", ".")) for field in fields])
    except ValueError:
        return False


# ---------------------------------------------------------------------------------- JSON


def _json_table(text: str, start: str) -> Table | None:
    """Read one JSON value, or one a line; None if it is neither."""
    try:
        value = json.loads(start)
    except (ValueError, RecursionError):
        return _json_lines(text)
    if isinstance(value, list) and value and all(_is_numeric(item) for item in value):
        return records_table([{"loss": item} for item in value], "JSON", range(1, len(value) + 1))
    records = _records(value)
    if records is None and isinstance(value, dict):
        records = [value]
    if not records:
        raise LogError("is JSON, but holds no list of records")
    found = records_table(records, "JSON", range(1, len(records) + 1))
    found.place = "record"
    return found


def _records(value: Any, deep: int = DEEP) -> list[dict[str, Any]] | None:
    """Return the longest list of records, or columns of numbers, in a JSON value."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict)] or None
    if not isinstance(value, dict) or not deep:
        return None
    lists = {name: item for name, item in value.items() if isinstance(item, list)}
    columns = {
        name: item for name, item in lists.items() if item and all(_is_numeric(x) for x in item)
    }
    found: list[list[dict[str, Any]]] = []
    if any(roles.candidates(list(columns)).values()):
        found.append(_transposed(columns))
    found += [records for item in value.values() if (records := _records(item, deep - 1))]
    return max(found, key=lambda records: (_has_loss(records), len(records)), default=None)


def _has_loss(records: Sequence[dict[str, Any]]) -> bool:
    names = list(dict.fromkeys(name for record in records for name in record))
    return bool(roles.candidates(names)["loss"])


def _transposed(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    most = max(map(len, columns.values()))
    return [
        {name: column[i] for name, column in columns.items() if i < len(column)}
        for i in range(most)
    ]


def _is_numeric(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _json_lines(text: str) -> Table | None:
    lines = text.split("\n")
    numbers = [i for i, line in enumerate(lines, 1) if line.strip()]
    given = [line for line in lines if line.strip()]
    try:
        values = json.loads(f"[{','.join(given)}]")
    except (ValueError, RecursionError):
        values = [_record_of(line) for line in given]
    if len(values) != len(given):  # a line with two values
        values = [_record_of(line) for line in given]
    good = [i for i, value in enumerate(values) if isinstance(value, dict)]
    bad = [numbers[i] for i, value in enumerate(values) if not isinstance(value, dict)]
    if len(bad) >= len(good) > 0:
        raise LogError(f"line {bad[0]} and {len(bad) - 1} more are not JSON objects")
    if not good:
        return None
    found = records_table([values[i] for i in good], "JSON lines", [numbers[i] for i in good])
    if bad:
        found.notes.append(
            f"line {bad[0]} is not a JSON object"
            + (f", nor are {len(bad) - 1} more" if bad[1:] else "")
            + ": left out"
        )
    return found


def _record_of(line: str) -> dict[str, Any] | None:
    try:
        value = loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


# --------------------------------------------------------------------------------- prose


def _prose_table(text: str) -> Table | None:
    """Read what a program printed: dicts, or names and numbers, among other words."""
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    for i, line in enumerate(text.split("\n"), 1):
        record: dict[str, Any] = {}
        for braces in BRACES.findall(line):
            record.update(_record_of(braces) or {})
        if not record:
            record = {name.strip().lower(): float(number) for name, number in PAIR.findall(line)}
        if record:
            records.append(record)
            lines.append(i)
    return records_table(records, "text", lines) if records else None
