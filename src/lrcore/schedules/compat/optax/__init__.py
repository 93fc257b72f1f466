"""Optax's schedules, and its ``contrib.reduce_on_plateau``.

Optax's arguments under Optax's names; the value at t is ``schedule(t)``, which
``optax.scale_by_schedule`` uses for update t = 0, 1, 2, ... Optax computes in float32 unless JAX is
told otherwise, these in float64. Where Optax replaces an argument it cannot use by another, so
that ``transition_steps=0`` is a constant, so do these; what makes no sense at all is refused.

Examples
--------
>>> from lrcore.schedules.compat import optax
>>> optax.warmup_cosine_decay_schedule(0.0, 1.0, 2, 10)(range(5)).round(3).tolist()
[0.0, 0.5, 1.0, 0.962, 0.854]
"""

from ._composed import (
    join_schedules,
    reduce_on_plateau,
    sgdr_schedule,
    warmup_constant_schedule,
    warmup_cosine_decay_schedule,
    warmup_exponential_decay_schedule,
)
from ._decays import (
    constant_schedule,
    cosine_decay_schedule,
    exponential_decay,
    linear_schedule,
    polynomial_schedule,
)
from ._pieces import (
    cosine_onecycle_schedule,
    linear_onecycle_schedule,
    piecewise_constant_schedule,
    piecewise_interpolate_schedule,
)

__all__ = [
    "constant_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "exponential_decay",
    "join_schedules",
    "linear_onecycle_schedule",
    "linear_schedule",
    "piecewise_constant_schedule",
    "piecewise_interpolate_schedule",
    "polynomial_schedule",
    "reduce_on_plateau",
    "sgdr_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
]
