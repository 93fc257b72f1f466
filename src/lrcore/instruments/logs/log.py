"""A log: which of its columns are the losses and rates of a run, and what else it says."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrcore.instruments.logs import roles
from lrcore.instruments.logs.formats import decode, table
from lrcore.instruments.logs.tables import Column, LogError, Table

if TYPE_CHECKING:
    from lrcore.instruments.diagnosis.verdict import Diagnosis

__all__ = ["Log", "LogError", "parse", "read"]

LEAVE_OUT = "none"  # given instead of a column, it leaves out what would be guessed
OPTIONS = {"loss": "--loss", "lr": "--lr", "val_loss": "--val-loss", "step": "--step"}


@dataclass(frozen=True, eq=False)
class Log:
    """A run as its log has it: one entry a logged loss, in the order of the file.

    Attributes
    ----------
    source : str
        Name of the file; empty if there is none.
    kind : str
        What it is written as, such as ``"CSV"``.
    columns : dict of str to str
        Which column was taken for what.
    found : tuple of str
        All columns.
    losses : ndarray of float64, (n,)
        Training losses; NaN and infinity as logged.
    lrs : ndarray of float64, (n,), or None
        Learning rates; where a row has none, that of the row before.
    val_losses : ndarray of float64, (n,), or None
        Validation losses beside the last training loss before them; NaN where there is none.
    steps : ndarray of int64, (n,), or None
        Numbers of the updates or epochs as logged: not sorted, repeated ones included.
    unit : str
        What `steps` counts: ``"update"``, ``"epoch"``, or ``"row"`` if there is no such column.
    stats : dict of str to ndarray of float64, (n,)
        ``"grad_norm"``, ``"cos"`` and so on as far as logged; NaN where not measured.
    notes : tuple of str
        What else was decided, a sentence each.
    """

    source: str
    kind: str
    columns: dict[str, str]
    found: tuple[str, ...]
    losses: NDArray[np.float64]
    lrs: NDArray[np.float64] | None = None
    val_losses: NDArray[np.float64] | None = None
    steps: NDArray[np.int64] | None = None
    unit: str = "row"
    stats: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        taken = ", ".join(f"{role} = {name!r}" for role, name in self.columns.items())
        lines = [f"{self.kind}: {len(self.losses):,} losses; {taken}", *self.notes]
        return "\n  ".join(lines)

    def diagnose(self, *, rule: str | None = None, lang: str = "en") -> Diagnosis:
        """Judge the run, as :func:`lrcore.diagnose` does.

        Parameters
        ----------
        rule : str, optional
            Name of the optimizer, such as ``"AdamW"``.
        lang : str, default "en"
            Language of the words.
        """
        from lrcore.instruments.diagnosis.verdict import diagnose

        return diagnose(
            self.losses,
            lrs=self.lrs,
            val_losses=self.val_losses,
            stats=self.stats or None,
            steps=self.steps,
            rule=rule,
            lang=lang,
        )


def read(
    path: str | Path,
    *,
    loss: str | None = None,
    lr: str | None = None,
    val_loss: str | None = None,
    step: str | None = None,
) -> Log:
    r"""Read a log from a file.

    Parameters
    ----------
    path : str or Path
        CSV (commas, semicolons, tabs, bars or blanks), JSON, JSON lines, or what a program printed;
        ``"-"`` reads the standard input.
    loss, lr, val_loss, step : str, optional
        Names of the columns; those not given are guessed. ``"none"`` leaves one out.

    Returns
    -------
    Log
        Losses, and what else was found.

    Raises
    ------
    LogError
        The file cannot be read, has no such column or no loss, or a loss that is not a number; the
        message lists what was found.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "run.csv")
    >>> _ = file.write_text("epoch,accuracy,loss,val_loss\n0,0.5,0.7,0.8\n1,0.6,0.5,0.7\n")
    >>> read(file).val_losses
    array([0.8, 0.7])
    """
    source = str(path)
    if source == "-" and sys.stdin is None:
        raise LogError("standard input: is closed")
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(path).read_bytes()
    except FileNotFoundError:
        raise LogError(f"{source}: no such file") from None
    except IsADirectoryError:
        raise LogError(f"{source}: is a directory; give the file of a log") from None
    except OSError as error:
        raise LogError(f"{source}: cannot be read ({error.strerror})") from None
    source = "standard input" if source == "-" else source
    try:
        text = decode(raw)
    except LogError as error:
        raise LogError(f"{source}: {error}") from None
    return parse(text, loss=loss, lr=lr, val_loss=val_loss, step=step, source=source)


def parse(
    text: str,
    *,
    loss: str | None = None,
    lr: str | None = None,
    val_loss: str | None = None,
    step: str | None = None,
    source: str = "",
) -> Log:
    """Read a log from its text; the arguments are those of `read`.

    Raises
    ------
    LogError
        As `read` does.
    """
    given = {"loss": loss, "lr": lr, "val_loss": val_loss, "step": step}
    try:
        return _log(text, {role: name for role, name in given.items() if name is not None}, source)
    except LogError as error:
        raise LogError(f"{source}: {error}" if source else str(error)) from None


def _log(text: str, given: Mapping[str, str], source: str) -> Log:
    def wanted(names: Sequence[str]) -> list[str]:
        said = {_resolved(name, names) for name in given.values()} - {None}
        ranks = roles.candidates(names)
        if not ranks["loss"] and not said:
            return []
        return [name for name in names if name in said or any(name in r for r in ranks.values())]

    found = table(text, wanted)
    taken = _taken(found, given)
    if taken["loss"] not in found.columns:
        raise LogError(_no_loss(found))
    return _assembled(found, taken, source)


def _taken(found: Table, given: Mapping[str, str]) -> dict[str, str]:
    """Return the column of every role that has one; those given come first."""
    taken: dict[str, str] = {}
    for role, name in given.items():
        if name == LEAVE_OUT and role != "loss":
            continue
        column = _resolved(name, found.names)
        if column is None:
            raise LogError(_no_column(name, found, OPTIONS[role]))
        taken[role] = column
    ranks = roles.candidates(found.names)
    counts = {name: int(column.there.sum()) for name, column in found.columns.items()}
    wrong = {name: column.wrong for name, column in found.columns.items() if column.wrong}
    losses = {name: count + (name in wrong) for name, count in counts.items()}
    for role in roles.ROLES:
        free = {
            name: rank
            for name, rank in ranks[role].items()
            if name in counts and (name not in taken.values())
        }
        if role in given:
            continue
        column = roles.choose(free, losses if role == "loss" else counts)
        if column in wrong and role != "loss":
            line, cell = wrong[column]
            found.notes.append(
                f"{column!r} is not all numbers ({found.place} {line}: {cell[:40]!r}): left out"
            )
        elif column is not None:
            taken[role] = column
    if "loss" not in taken:
        empty = [name for name in ranks["loss"] if name in counts and not found.rows]
        if not empty:
            raise LogError(_no_loss(found))
        taken["loss"] = empty[0]
    for name in taken.values():
        if name in wrong:
            line, cell = wrong[name]
            raise LogError(f"{found.place} {line}: {name} must be a number, got {cell[:40]!r}")
    return {role: taken[role] for role in roles.ROLES if role in taken}


def _resolved(name: str, names: Sequence[str]) -> str | None:
    same = [known for known in names if known.lower() == name.strip().lower()]
    return name if name in names else same[0] if len(same) == 1 else None


def _no_column(name: str, found: Table, option: str) -> str:
    close = roles.near(name, found.names)
    hint = f" (did you mean {roles.listed(close, ' or ')}?)" if close else ""
    return f"{option}: no column {name!r}{hint}; the columns are {roles.listed(found.names)}"


def _no_loss(found: Table) -> str:
    ranks = roles.candidates(found.names)
    nearly = [name for role in ("loss", "val_loss") for name in ranks[role]]
    nearly += [n for n in found.names if "loss" in n.lower() and n not in nearly]
    hint = f", {roles.listed(nearly, ' or ')} looks near" if nearly else ""
    return (
        f"no column is plainly the training loss; the columns are {roles.listed(found.names)}"
        f"{hint}: say which with --loss NAME"
    )


# ------------------------------------------------------------------------------ assembly


def _assembled(found: Table, taken: dict[str, str], source: str) -> Log:
    """Put what stands on different rows beside the loss it belongs to."""
    columns = {role: found.columns[name] for role, name in taken.items()}
    notes = list(found.notes)
    loss = columns["loss"]
    rows = np.flatnonzero(loss.there & ~_validation_rows(loss, columns.get("val_loss")))
    log: dict[str, Any] = {}
    if "lr" in columns:
        log["lrs"] = _carried(columns["lr"])[rows]
    if "val_loss" in columns:
        log["val_losses"] = _beside(columns["val_loss"], rows)
    stats = {role: _beside(columns[role], rows) for role in roles.STATS if role in columns}
    log["stats"] = {role: values for role, values in stats.items() if np.isfinite(values).any()}
    steps, unit, note = _steps(columns, rows)
    notes += note
    others = [
        name
        for name, rank in roles.candidates(found.names)["loss"].items()
        if rank < roles.RARE
        and name not in taken.values()
        and 2 * found.columns[name].there.sum() >= len(rows) > 0
    ]
    if others:
        notes.append(f"{roles.listed(others)} could be the loss too: say which with --loss NAME")
    role = {"update": "step", "epoch": "epoch"}.get(unit)
    kept = {"loss", "lr", "val_loss", role, *log["stats"]}
    return Log(
        source=source,
        kind=found.kind,
        columns={role: name for role, name in taken.items() if role in kept},
        found=tuple(found.names),
        losses=loss.values[rows],
        steps=steps,
        unit=unit,
        notes=tuple(notes),
        **log,
    )


def _validation_rows(loss: Column, val: Column | None) -> NDArray[np.bool_]:
    """Rows of a validation, where a table without gaps has NaN for the training loss.

    They are that if every row with a validation loss is so, and losses follow.
    """
    none = np.zeros(len(loss.values), bool)
    if val is None:
        return none
    measured = val.there & np.isfinite(val.values)
    blank = loss.there & np.isnan(loss.values)
    rows = measured & blank
    if not rows.any() or (measured & ~blank).any() or not np.isfinite(loss.values).any():
        return none
    return rows


def _carried(column: Column) -> NDArray[np.float64]:
    """Fill each row with the last value before it, the first rows with the first value."""
    at = np.flatnonzero(column.there)
    if not len(at):
        return column.values
    last = np.searchsorted(at, np.arange(len(column.values)), side="right") - 1
    return column.values[at[np.maximum(last, 0)]]


def _beside(column: Column, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the values of a column at the last of `rows` before each of them; NaN elsewhere."""
    values = np.full(len(rows), np.nan)
    at = np.flatnonzero(column.there & ~np.isnan(column.values))
    if len(rows) and len(at):
        place = np.searchsorted(rows, at, side="right") - 1
        values[np.maximum(place, 0)] = column.values[at]
    return values


def _steps(
    columns: Mapping[str, Column], rows: NDArray[np.intp]
) -> tuple[NDArray[np.int64] | None, str, list[str]]:
    """Return the numbers of the losses, what they count, and what was decided about them."""
    epochs = _numbers(_carried(columns["epoch"])[rows]) if "epoch" in columns else None
    if "step" in columns:
        steps = _numbers(_carried(columns["step"])[rows])
        if steps is None:
            return None, "row", ["steps are not whole numbers: rows are counted instead"]
        falls = np.flatnonzero(np.diff(steps) < 0)
        if len(falls) and epochs is not None and (np.diff(epochs)[falls] > 0).all():
            return None, "row", ["steps start again each epoch: rows are counted instead"]
        return steps, "update", []
    if epochs is None or len(epochs) < 2 or (np.diff(epochs) == 0).mean() > 0.5:
        return None, "row", []
    return epochs, "epoch", []


def _numbers(values: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return whole numbers as such; None if not all are."""
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(values) & (np.abs(values) < 2**53) & (values == np.rint(values))
    return values.astype(np.int64) if whole.all() else None
