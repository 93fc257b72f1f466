"""A user's file to a data frame, or one sentence that says what is wrong with it."""

from __future__ import annotations

import csv
import difflib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from lrcore.tasks._task import DataError

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read(path: str | Path) -> pd.DataFrame:
    """Read a table whose first line names its columns.

    Commas, semicolons, tabs or bars may separate the fields: whichever the first line has most of.

    Raises
    ------
    DataError
        The file is missing, not text, empty, ragged, without a header or without rows.
    """
    import pandas as pd

    text = _text(Path(path))
    separator = max(SEPARATORS, key=text[: text.find("\n")].count)
    _check_shape(str(path), text, separator)
    frame = pd.read_csv(
        io.StringIO(text), sep=separator, skipinitialspace=True, index_col=False, low_memory=False
    )
    frame.columns = frame.columns.astype(str).str.strip()
    return frame


def column(frame: pd.DataFrame, name: str, path: str | Path) -> pd.Series:
    """Return the column `name`; a name that is not there gets the close ones in the message."""
    names = list(frame.columns)
    if name in names:
        return frame[name]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    lower = [known for known in names if known.lower() == name.lower()]
    if hint := (lower or close):
        raise DataError(f"{path}: no column {name!r}; did you mean {_listed(hint, ' or ')}?")
    raise DataError(f"{path}: no column {name!r}; the columns are {_listed(names)}")


def _text(path: Path) -> str:
    if path.is_dir():
        raise DataError(f"{path}: is a directory; give a CSV file")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if b"\0" in raw:
        raise DataError(f"{path}: is not a text file; save the table as CSV")
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = len(raw[: error.start + 1].splitlines())
        raise DataError(
            f"{path}: line {line} is not UTF-8 text; save the table as CSV in UTF-8"
        ) from None
    if not text.strip():
        raise DataError(f"{path}: is empty; the first line must name the columns")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_shape(path: str, text: str, separator: str) -> None:
    """Refuse what pandas would quietly repair: short rows, long rows, no header."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    header: list[str] = []
    rows = 0
    try:
        for row in reader:
            if not row:
                continue
            if not header:
                header = [name.strip() for name in row]
                continue
            rows += 1
            if len(row) != len(header):
                raise DataError(
                    f"{path}: line {reader.line_num} has {len(row)} fields, but the header has "
                    f"{len(header)} (separated by {SEPARATORS[separator]}); mend that line"
                )
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {error}; check the quotes") from None
    if all(_is_number(name) for name in header):
        raise DataError(f"{path}: the first line is numbers; it must name the columns")
    if repeated := {name for name in header if name and header.count(name) > 1}:
        raise DataError(f"{path}: two columns are named {_listed(sorted(repeated))}; rename one")
    if len(header) < 2:
        raise DataError(
            f"{path}: has one column, {header[0]!r}; a target and something to predict it from "
            "are needed"
        )
    if rows == 0:
        raise DataError(f"{path}: has a header and no rows")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _listed(names: list[str], joint: str = ", ") -> str:
    shown = joint.join(repr(name) for name in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
