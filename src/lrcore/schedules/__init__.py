r"""Schedules: a hyper-parameter as a pure function of the update.

``s(t)`` is the value used by update t, t = 0 for the first. *Positions* (`steps`, `milestones`,
`boundaries`) count all updates, warm-up included; *durations* (`step_size`, `period`, the n in
``gamma**n``) count from the end of the warm-up. In the formulas n = t - `warmup`.

The values are computed in float64 by ``schedules.c``, each with the bits of
:mod:`lrcore.reference`, and depend on t alone: to resume is to know t. `Plateau`, which listens to
a metric, is the exception; its state is saved with the optimizer's.

Every schedule takes a warm-up:

- `warmup` (int >= 0, default 0): so many updates rise from `warmup_start` to the value of the
  schedule proper at its start, which is at t = `warmup`. Where a schedule is made of others, or of
  pieces that count all updates, the warm-up is in place of their first values;
  ``s.with_warmup(n)`` puts one before them.
- `warmup_start` (float, default 0.0): the value of update 0.
- `warmup_shape`: how it rises, from start + (peak - start) 0 to 1. With x = t / warmup: "linear"
  (default) x, "cosine" (1 - cos(pi x)) / 2, "1-sqrt" 1 - sqrt(1 - x), "1-square" 1 - (1 - x)^2,
  "logarithmic" log(1 + t) / log(1 + warmup).

And the algebra: ``a * 0.1``, ``a * b``, ``a + b``, ``minimum(a, b)``, ``maximum(a, b)``,
``join([a, b], boundaries=[n])``, ``a.clip(low, high)``, ``a.shift(by)``, ``a.every(updates)``,
``a.repeat(period)``, ``a.with_warmup(updates)``.

Examples
--------
>>> from lrcore import schedules
>>> s = schedules.Cosine(1.0, steps=10, warmup=2)
>>> s(1)
0.5
>>> s(range(5)).round(3).tolist()
[0.0, 0.5, 1.0, 0.962, 0.854]
>>> s * 0.1
Scale(schedule=Cosine(lr=1.0, steps=10, warmup=2), factor=0.1)
"""

from __future__ import annotations

from importlib import import_module

from .._schedule import Schedule
from ._algebra import Clip, Maximum, Minimum, Product, Scale, Sum, maximum, minimum
from ._anneal import CosineAnneal, ExponentialAnneal, LinearAnneal, TanhAnneal, Wave
from ._curves import REX, Cosine, Hyperbolic, Linear, Polynomial, TanhDecay
from ._custom import Lambda, from_epochs
from ._decays import Exponential, InverseSqrt, InverseTime, NaturalExponential, Noam, Power
from ._plans import WSD, Chebyshev, CosineRestarts, Cyclic, Knee, OneCycle
from ._plateau import Plateau
from ._steps import Constant, MultiStep, PiecewiseConstant, PiecewiseCosine, PiecewiseLinear, Step
from ._time import Every, Join, Repeat, Shift, join

__all__ = [
    "REX",
    "WSD",
    "Chebyshev",
    "Clip",
    "Constant",
    "Cosine",
    "CosineAnneal",
    "CosineRestarts",
    "Cyclic",
    "Every",
    "Exponential",
    "ExponentialAnneal",
    "Hyperbolic",
    "InverseSqrt",
    "InverseTime",
    "Join",
    "Knee",
    "Lambda",
    "Linear",
    "LinearAnneal",
    "Maximum",
    "Minimum",
    "MultiStep",
    "NaturalExponential",
    "Noam",
    "OneCycle",
    "PiecewiseConstant",
    "PiecewiseCosine",
    "PiecewiseLinear",
    "Plateau",
    "Polynomial",
    "Power",
    "Product",
    "Repeat",
    "Scale",
    "Schedule",
    "Shift",
    "Step",
    "Sum",
    "TanhAnneal",
    "TanhDecay",
    "Wave",
    "from_epochs",
    "join",
    "maximum",
    "minimum",
]


def __getattr__(name: str) -> object:
    """Import the peers' schedules when they are asked for."""
    if name == "compat":
        return import_module(f"{__name__}.compat")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
