"""Optax's schedules that go from boundary to boundary."""

from __future__ import annotations

from collections.abc import Mapping

from lrcore._domain import Items
from lrcore._schedule import LENGTH, POSITIONS, POSITIVE, RATE, Schedule
from lrcore.schedules import CosineAnneal, LinearAnneal, PiecewiseConstant
from lrcore.schedules.compat._common import FRACTION, Piece, check, one_of, phases

SHAPES: dict[str, Piece] = {"linear": LinearAnneal, "cosine": CosineAnneal}


def piecewise_constant_schedule(
    init_value: float, boundaries_and_scales: Mapping[int, float] | None = None
) -> Schedule:
    """`init_value` times the scales of all boundaries <= t.

    Parameters
    ----------
    init_value : float in [0, inf)
        Value before the first boundary.
    boundaries_and_scales : dict of int >= 0 to float in [0, inf), default None
        What the value is multiplied by, by the update that is the first to have it.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> piecewise_constant_schedule(1.0, {3: 0.1})(range(6)).tolist()
    [1.0, 1.0, 1.0, 0.1, 0.1, 0.1]
    """
    init, ends = _scaled("piecewise_constant_schedule", init_value, boundaries_and_scales)
    return PiecewiseConstant([b for b, _ in ends], [init, *(value for _, value in ends)])


def _scaled(
    who: str, init: float, scales: Mapping[int, float] | None
) -> tuple[float, list[tuple[int, float]]]:
    """Return the first value, and each boundary with the value that the scales make from it on."""
    boundaries, factors = check(
        who,
        boundaries=(sorted(scales or {}), POSITIONS),
        scales=([scale for _, scale in sorted((scales or {}).items())], Items(RATE)),
    )
    (first,) = check(who, init_value=(init, RATE))
    values = [first]
    for factor in factors:
        values.append(values[-1] * factor)
    return first, list(zip(boundaries, values[1:], strict=True))


def piecewise_interpolate_schedule(
    interpolate_type: str,
    init_value: float,
    boundaries_and_scales: Mapping[int, float] | None = None,
) -> Schedule:
    """From boundary to boundary, where the value is `init_value` times all scales so far.

    Parameters
    ----------
    interpolate_type : {"linear", "cosine"}
        Shape of the ways.
    init_value : float in [0, inf)
        Value at update 0.
    boundaries_and_scales : dict of int >= 0 to float in [0, inf), default None
        What the value is multiplied by from the boundary before, or from 0, to this one.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> piecewise_interpolate_schedule("linear", 1.0, {2: 0.5, 4: 0.5})(range(6)).tolist()
    [1.0, 0.75, 0.5, 0.375, 0.25, 0.25]
    """
    who = "piecewise_interpolate_schedule"
    piece = SHAPES[one_of(who, "interpolate_type", interpolate_type, SHAPES)]
    init, ends = _scaled(who, init_value, boundaries_and_scales)
    return phases(piece, init, ends)


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up to `peak_value`, as far down again, then to all but nothing; straight lines.

    Parameters
    ----------
    transition_steps : int >= 1
        Updates until the end; the last value is reached at t = `transition_steps`, which is one
        update later than in torch.
    peak_value : float in [0, inf)
        Highest value.
    pct_start : float in [0, 1], default 0.3
        Share of the updates, rounded down, at which the peak is.
    pct_final : float in [0, 1], default 0.85
        Share of the updates, rounded down, at which the first value is reached again.
    div_factor : float in (0, inf), default 25.0
        The first value is ``peak_value / div_factor``.
    final_div_factor : float in (0, inf), default 1e4
        The last value is ``peak_value / div_factor / final_div_factor``.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> linear_onecycle_schedule(10, 1.0)([0, 3, 8, 10]).round(6).tolist()
    [0.04, 1.0, 0.04, 4e-06]
    """
    who = "linear_onecycle_schedule"
    steps, peak, start, final, first, last = check(
        who,
        transition_steps=(transition_steps, LENGTH),
        peak_value=(peak_value, RATE),
        pct_start=(pct_start, FRACTION),
        pct_final=(pct_final, FRACTION),
        div_factor=(div_factor, POSITIVE),
        final_div_factor=(final_div_factor, POSITIVE),
    )
    scales = {int(start * steps): first, int(final * steps): 1 / first, steps: 1 / last}
    return piecewise_interpolate_schedule("linear", peak / first, scales)


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up to `peak_value`, then down to all but nothing; half cosines.

    Parameters
    ----------
    transition_steps : int >= 1
        Updates until the end; the last value is reached at t = `transition_steps`, which is one
        update later than in torch, and so is the peak.
    peak_value : float in [0, inf)
        Highest value.
    pct_start : float in [0, 1], default 0.3
        Share of the updates, rounded down, at which the peak is.
    div_factor : float in (0, inf), default 25.0
        The first value is ``peak_value / div_factor``.
    final_div_factor : float in (0, inf), default 1e4
        The last value is ``peak_value / div_factor^2 / final_div_factor`` times `div_factor`.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> cosine_onecycle_schedule(10, 1.0)(range(11)).round(2).tolist()
    [0.04, 0.28, 0.76, 1.0, 0.95, 0.81, 0.61, 0.39, 0.19, 0.05, 0.0]
    """
    steps, peak, start, first, last = check(
        "cosine_onecycle_schedule",
        transition_steps=(transition_steps, LENGTH),
        peak_value=(peak_value, RATE),
        pct_start=(pct_start, FRACTION),
        div_factor=(div_factor, POSITIVE),
        final_div_factor=(final_div_factor, POSITIVE),
    )
    scales = {int(start * steps): first, steps: 1 / (first * last)}
    return piecewise_interpolate_schedule("cosine", peak / first, scales)
