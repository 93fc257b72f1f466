r"""Schedules: a hyper-parameter as a pure function of the update.

``s(t)`` is the value used by update t, t = 0 for the first. Every schedule takes `warmup` and
`warmup_start`: the first `warmup` updates rise linearly from `warmup_start` to the value of the
schedule proper at its start, which is at t = `warmup`. *Positions* (`steps`, `milestones`,
`boundaries`) count all updates, warm-up included; *durations* (`step_size`, the n in
``gamma**n``) count from the end of the warm-up. In the formulas below n = t - `warmup`.

The values are computed in float64 by ``schedules.c``, each with the bits of
:mod:`lrcore.reference`, and depend on t alone: to resume is to know t.

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

from .._schedule import Schedule
from ._algebra import Join, Scale, join
from ._curves import Cosine, Linear, Polynomial
from ._custom import Lambda
from ._decays import Exponential, InverseTime, NaturalExponential
from ._steps import Constant, MultiStep, PiecewiseConstant, Step

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "InverseTime",
    "Join",
    "Lambda",
    "Linear",
    "MultiStep",
    "NaturalExponential",
    "PiecewiseConstant",
    "Polynomial",
    "Scale",
    "Schedule",
    "Step",
    "join",
]
