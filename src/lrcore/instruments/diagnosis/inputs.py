"""What `diagnose` is given, as arrays in the order of the steps, and what was wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import STATS

__all__ = ["Given", "read"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Given:
    """Arrays as long as `loss`; `notes` are (code, values) of what was put right."""

    loss: Array
    lr: Array | None
    val_loss: Array | None
    stats: dict[str, Array]
    steps: NDArray[np.float64] | None
    notes: tuple[tuple[str, dict[str, Any]], ...]


def read(losses: Any, lrs: Any, val_losses: Any, stats: Any, steps: Any) -> Given:
    """Check and sort everything."""
    loss = numbers("losses", losses)
    n = len(loss)
    columns = _columns(stats, n)
    lr = None if lrs is None else _as_long("lrs", numbers("lrs", lrs), n)
    at = None if steps is None else _as_long("steps", numbers("steps", steps), n)
    if at is not None and not np.isfinite(at).all():
        bad = int(np.flatnonzero(~np.isfinite(at))[0])
        raise ValueError(f"diagnose: steps[{bad}] must be a finite number, got {at[bad]}")
    notes: list[tuple[str, dict[str, Any]]] = []
    keep = np.arange(n)
    if at is not None:
        keep = _in_order(at, notes)
        at = at[keep]
    val = _validation(val_losses, n, keep, at, notes)
    return Given(
        loss[keep],
        None if lr is None else lr[keep],
        val,
        {name: column[keep] for name, column in columns.items()},
        at,
        tuple(notes),
    )


def numbers(name: str, values: Any) -> Array:
    """Return an array of one dimension, or say which value is no number."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(
        values, (Iterable, np.ndarray, float, int)
    ):
        raise TypeError(f"diagnose: {name} must be a list of numbers, got {values!r}")
    if not isinstance(values, np.ndarray):
        values = list(values) if isinstance(values, Iterable) else [values]
    try:
        array = np.asarray(values)
    except ValueError:  # of unequal lengths
        array = np.empty(0, object)
    mixed = isinstance(values, list) and any(type(x) is bool for x in values)
    if array.dtype.kind not in "fiu" or mixed:
        array = np.array([_number(name, i, x) for i, x in enumerate(values)], np.float64)
    if array.ndim != 1:
        if array.size != array.shape[0]:
            raise ValueError(
                f"diagnose: {name} must have one dimension, got an array of shape {array.shape}"
            )
        array = array.reshape(-1)
    return array.astype(np.float64)


def _number(name: str, i: int, value: Any) -> float:
    """One value as a float; None is NaN."""
    if value is None:
        return float("nan")
    if not isinstance(value, (str, bytes, bool, np.bool_, complex)):
        try:
            return float(value)
        except OverflowError:  # an integer of more than 308 digits
            return float("inf") if value > 0 else float("-inf")
        except (TypeError, ValueError, RuntimeError):
            pass
    raise TypeError(f"diagnose: {name}[{i}] must be a number, got {value!r}")


def _as_long(name: str, array: Array, n: int) -> Array:
    if len(array) != n:
        raise ValueError(
            f"diagnose: {name} must have as many values as there are losses, {n}, got {len(array)}"
        )
    return array


def _columns(stats: Any, n: int) -> dict[str, Array]:
    """The statistics that are known by name; those of a list of StepStats by attribute."""
    if stats is None:
        return {}
    if isinstance(stats, Mapping):
        unknown = [name for name in stats if name not in STATS]
        if unknown:
            raise ValueError(
                f"diagnose: stats must be of {', '.join(STATS)}, got {', '.join(map(str, unknown))}"
            )
        given = stats
    elif isinstance(stats, Sequence) and all(hasattr(one, "cos") for one in stats):
        names = [name for name in STATS if stats and hasattr(stats[0], name)]
        given = {name: [getattr(one, name) for one in stats] for name in names}
        if not stats and n:
            raise ValueError(f"diagnose: stats must have {n} values as the losses, got 0")
    else:
        raise TypeError(
            f"diagnose: stats must be a dict of arrays or a list of StepStats, got {stats!r}"
        )
    return {
        name: _as_long(f"stats[{name!r}]", numbers(f"stats[{name!r}]", column), n)
        for name, column in given.items()
        if column is not None
    }


def _in_order(at: Array, notes: list[tuple[str, dict[str, Any]]]) -> NDArray[np.int64]:
    """Return the places of the last value of each step, in the order of the steps."""
    order = np.argsort(at, kind="stable")
    late = int((np.diff(at) < 0).sum())
    sorted_at = at[order]
    last = np.append(sorted_at[1:] != sorted_at[:-1], True) if len(at) else np.ones(0, bool)
    if late:
        notes.append(("unsorted_steps", {"count": late}))
    if not last.all():
        notes.append(("repeated_steps", {"count": int((~last).sum())}))
    kept = order[last]
    gaps = np.diff(at[kept])
    if len(gaps) >= 3:
        usual = float(np.median(gaps))
        wide = gaps > 1.5 * usual
        # Where steps come at every distance, none of them is a gap.
        if 0 < wide.sum() <= 0.1 * len(gaps) or gaps.max() > 10 * usual:
            place = int(np.argmax(gaps))
            values = {
                "count": int(wide.sum()),
                "longest": float(gaps.max()),
                "usual": usual,
                "place": place,
            }
            notes.append(("gap", values))
    return np.asarray(kept, np.int64)


def _validation(
    given: Any,
    n: int,
    keep: NDArray[np.int64],
    at: Array | None,
    notes: list[tuple[str, dict[str, Any]]],
) -> Array | None:
    """Validation losses beside the losses; pairs (step, value) go to their step."""
    if given is None:
        return None
    pairs = _pairs(given, n)
    if pairs is None:
        return _as_long("val_losses", numbers("val_losses", given), n)[keep]
    out = np.full(len(keep), np.nan)
    where, values = pairs
    known = np.arange(len(keep), dtype=np.float64) if at is None else at
    # To the last loss logged at or before that step: validation often comes between two of them.
    place = np.searchsorted(known, where, side="right") - 1
    end = known[-1] + max(float(known[-1] - known[-2]), 1.0) if len(known) > 1 else np.inf
    inside = (place >= 0) & (where <= end)
    if not inside.all():
        notes.append(("outside_steps", {"count": int((~inside).sum())}))
    out[place[inside]] = values[inside]
    return out


def _pairs(given: Any, n: int) -> tuple[Array, Array] | None:
    """Steps and values, or None if it is one value for each loss."""
    if isinstance(given, Mapping):
        given = list(given.items())
    if isinstance(given, np.ndarray):
        if given.ndim != 2 or given.shape[1] != 2:
            return None
        table = given
    else:
        if not isinstance(given, Sequence) or isinstance(given, (str, bytes)) or not given:
            return None if not isinstance(given, Sequence) or n or given else (np.empty(0),) * 2
        if not all(isinstance(x, (tuple, list, np.ndarray)) and len(x) == 2 for x in given):
            return None
        table = np.empty((len(given), 2), object)
        table[:] = [list(x) for x in given]
    steps = numbers("val_losses' steps", table[:, 0])
    return steps, numbers("val_losses", table[:, 1])
