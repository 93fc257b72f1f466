"""Every schedule, small, on one picture; an example of each over 100 updates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import schedules as s
from ._style import BLUE, need_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 100
COLUMNS = 6


def _plateau() -> s.Schedule:
    """A metric that stops getting better does not show in a function of t: its reductions do."""
    rate = s.Plateau(1.0, factor=0.4, patience=1)
    values = [1.0]
    for loss in (3.0, 2.0, 1.5, 1.5, 1.5, 1.2, 1.2, 1.2, 1.1, 1.1, 1.1):
        rate.update(loss)
        values.append(rate(0))
    return s.PiecewiseConstant([8 * i for i in range(1, len(values))], values)


#: kind: an example whose shape shows what it is
EXAMPLES: dict[str, Callable[[], s.Schedule]] = {
    "chebyshev": lambda: s.Chebyshev(1.0, 64, end=0.1),
    "clip": lambda: s.Cosine(1.0, 100).clip(0.2, 0.8),
    "constant": lambda: s.Constant(0.6, warmup=20),
    "cosine": lambda: s.Cosine(1.0, 100, warmup=10),
    "cosine_anneal": lambda: s.CosineAnneal(0.1, 1.0, length=50.5, begin=20.5),
    "cosine_restarts": lambda: s.CosineRestarts(1.0, 14, mult=2, gamma=0.8),
    "cyclic": lambda: s.Cyclic(0.1, 1.0, up=12, mode="triangular2"),
    "every": lambda: s.Linear(1.0, 10).every(10),
    "exponential": lambda: s.Exponential(1.0, 0.96, warmup=10),
    "exponential_anneal": lambda: s.ExponentialAnneal(0.01, 1.0, length=80, begin=10),
    "hyperbolic": lambda: s.Hyperbolic(1.0, 100, upper_bound=110),
    "inverse_sqrt": lambda: s.InverseSqrt(1.0, timescale=10, warmup=10),
    "inverse_time": lambda: s.InverseTime(1.0, rate=0.1),
    "join": lambda: s.join([s.Linear(0.3, 40, 1.0), s.Cosine(0.6, 60)], [40]),
    "knee": lambda: s.Knee(1.0, 100, knee=60, warmup=10),
    "lambda": lambda: s.Lambda(lambda t: 0.5 + 0.4 * math.sin(t / 8) * math.exp(-t / 60)),
    "linear": lambda: s.Linear(1.0, 100, warmup=10),
    "linear_anneal": lambda: s.LinearAnneal(1.0, 0.1, length=60.5, begin=20.5, k_decay=0.5),
    "maximum": lambda: s.maximum(s.Exponential(1.0, 0.95), s.Constant(0.3)),
    "minimum": lambda: s.minimum(s.Linear(0.1, 60, 1.5), s.Cosine(1.0, 100)),
    "multistep": lambda: s.MultiStep(1.0, [40, 70, 85], 0.4),
    "natural_exponential": lambda: s.NaturalExponential(1.0, 0.03),
    "noam": lambda: s.Noam(512, 20, 60.0),
    "one_cycle": lambda: s.OneCycle(1.0, 100),
    "piecewise_constant": lambda: s.PiecewiseConstant([30, 50, 80], [0.4, 1.0, 0.6, 0.2]),
    "piecewise_cosine": lambda: s.PiecewiseCosine([0, 30, 60, 100], [0.2, 1.0, 0.4, 0.0]),
    "piecewise_linear": lambda: s.PiecewiseLinear([0, 30, 60, 100], [0.2, 1.0, 0.4, 0.0]),
    "plateau": _plateau,
    "polynomial": lambda: s.Polynomial(1.0, 100, power=2.0, warmup=10),
    "power": lambda: s.Power(1.0, scale=3.0, power=0.5),
    "product": lambda: s.Cyclic(0.4, 1.0, up=8) * s.Linear(1.0, 100),
    "repeat": lambda: s.Linear(1.0, 25, 0.2).repeat(25),
    "rex": lambda: s.REX(1.0, 100),
    "scale": lambda: s.Cosine(1.0, 100) * 0.5,
    "shift": lambda: s.Linear(1.0, 60).shift(-30),
    "step": lambda: s.Step(1.0, 25, 0.5),
    "sum": lambda: s.Linear(0.6, 100) + s.Wave(0.4, 0.0, 25),
    "tanh_anneal": lambda: s.TanhAnneal(0.0, 1.0, length=60.5, begin=20.5, lb=-3.0),
    "tanh_decay": lambda: s.TanhDecay(1.0, 100),
    "wave": lambda: s.Wave(1.0, 0.1, period=50),
    "wsd": lambda: s.WSD(1.0, 100, decay_steps=30, warmup=10, shape="1-sqrt"),
}


def gallery() -> tuple[Axes, ...]:
    """Draw every schedule, small, on one sheet, in the order of their names.

    Returns
    -------
    tuple of matplotlib Axes
        One for each schedule, of one figure.

    Raises
    ------
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> from lrcore import plot
    >>> [ax.get_title(loc="left") for ax in plot.gallery()[:3]]
    ['Chebyshev', 'Clip', 'Constant']
    """
    from .._describe import schedule_kinds

    need_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    kinds = schedule_kinds()
    rows = -(-len(kinds) // COLUMNS)
    space = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.05)
    figure = Figure(figsize=(2 * COLUMNS, 1.4 * rows), dpi=75, layout=space)
    for axes, (kind, cls) in zip(figure.subplots(rows, COLUMNS).flat, kinds.items(), strict=False):
        _small(axes, cls.__name__, EXAMPLES[kind]())
    for axes in figure.axes[len(kinds) :]:
        axes.set_visible(False)
    return tuple(figure.axes[: len(kinds)])


def _small(axes: Axes, name: str, schedule: s.Schedule) -> None:
    t = np.arange(STEPS + 1)
    values = schedule(t)
    axes.fill_between(t, values, color=BLUE, alpha=0.12, linewidth=0)
    axes.plot(t, values, color=BLUE, linewidth=1.6)
    axes.set_title(name, fontsize=10, loc="left", pad=3)
    axes.set_ylim(0, 1.08 * max(values.max(), 1e-9))
    axes.set_xlim(0, STEPS)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
