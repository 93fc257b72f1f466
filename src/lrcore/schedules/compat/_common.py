"""What the peers' constructors share: checks under the peer's names, phases, cycles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from ..._domain import Interval, Items
from ..._schedule import LAST, POSITIONS, SCHEDULE, Domain, Schedule
from .. import Constant, Join, LinearAnneal, join

FRACTION = Interval(0, 1)
INSIDE = Interval(0, 1, closed_low=False, closed_high=False)
COUNT_OF_CYCLES = Interval(1, 10_000, integer=True)
Piece = Callable[[float, float, float, float], Schedule]  # start, end, length, begin


def check(who: str, **arguments: tuple[object, Domain]) -> list[Any]:
    """Return the arguments as plain values, each checked by its domain under the peer's name."""
    return [domain.check(who, name, value) for name, (value, domain) in arguments.items()]


def one_of(who: str, name: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`, or raise ValueError."""
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(f"{who}: {name} must be one of {names}, got {value!r}")
    return value


def joined(
    who: str, parts: Iterable[Schedule], boundaries: Iterable[int], names: tuple[str, str]
) -> Schedule:
    """`join`, with the peer's names for `parts` and `boundaries`."""
    pairs: dict[str, tuple[object, Domain]] = {
        names[0]: (parts, Items(SCHEDULE)),
        names[1]: (boundaries, POSITIONS),
    }
    schedules, positions = check(who, **pairs)
    if len(schedules) != len(positions) + 1:
        raise ValueError(
            f"{who}: the number of {names[0]} must be {len(positions) + 1}, {names[1]} and one, "
            f"got {len(schedules)}"
        )
    return join(schedules, positions)


def warmed(schedule: Schedule, lr: float, warmup: int, start: float = 0.0) -> Schedule:
    """Rise linearly from `start` towards `lr`, then `schedule` with t counted from there."""
    if not warmup:
        return schedule
    return join([LinearAnneal(start, lr, warmup), schedule], [warmup])


def phases(piece: Piece, start: float, ends: Iterable[tuple[float, float]]) -> Schedule:
    """One piece after another: from `start` to each (time, value), the times being real numbers.

    A phase without an update in it is left out; what follows still begins where it ended.
    """
    parts: list[Schedule] = []
    boundaries: list[int] = []
    begin, first = 0.0, 0
    for time, value in ends:
        last = max(math.ceil(time), first)
        if last > first:
            parts.append(piece(start, value, time - begin, begin - first))
            boundaries.append(last)
        start, begin, first = value, time, last
    parts.append(Constant(start))
    return join(parts, boundaries)


def cycles(
    piece: Piece,
    peak: float,
    low: float,
    length: float,
    *,
    mult: float = 1.0,
    decay: float = 1.0,
    limit: int = 1,
    offset: int = 0,
) -> Schedule:
    """`limit` pieces from a peak to `low`, each `mult` times as long as the one before.

    The peaks are multiplied by `decay`; after the last piece the value is `low`. The result begins
    at update `offset` of it all. A cycle without an update in it is left out.
    """
    parts: list[Schedule] = []
    starts: list[int] = []
    begin = float(-offset)
    for _ in range(limit):
        first, after = max(math.ceil(begin), 0), math.ceil(begin + length)
        if after > first:
            parts.append(piece(peak, low, length, begin - first))
            starts.append(first)
        begin += length
        peak, length = peak * decay, length * mult
        if begin > LAST:
            break
    parts.append(Constant(low))
    starts.append(max(math.ceil(begin), 0))
    return Join(parts, starts[1:])
