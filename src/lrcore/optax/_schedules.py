"""lrcore's schedules as optax's: a function of the count that compiled code may call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _core
from .._schedule import Schedule
from ._crossing import call
from ._keys import key_of

__all__ = ["check_pure", "schedule"]

_KNOWN: dict[int, Schedule] = {}


def check_pure(who: str, name: str, s: Schedule) -> None:
    """Refuse a schedule that is no function of the count alone."""
    if any(True for _ in s._stateful()):
        raise TypeError(
            f"{who}: {name} must be a function of the count alone, got a Plateau; use "
            "optax.contrib.reduce_on_plateau, or optax.inject_hyperparams and set "
            "state.hyperparams between steps"
        )


def schedule(s: Schedule | float, dtype: DTypeLike = np.float32) -> Callable[[Any], jax.Array]:
    """An lrcore schedule as an optax schedule, for use inside and outside of `jax.jit`.

    Parameters
    ----------
    s : Schedule or float
        Any of :mod:`lrcore.schedules` but `Plateau`, which has a state; a number is a constant.
        The function of a `Lambda` runs on the host while compiled code waits: it must be plain
        Python or NumPy, since what it asks of JAX may wait for ever.
    dtype : {float32, float64}, default float32
        Of the values; float64 needs ``jax_enable_x64``.

    Returns
    -------
    callable
        ``count -> value``: `count` is an integer array of any shape, from 0 to 2**31 - 1, or an
        int; the value has its shape and is ``s(count)``, computed in float64 by lrcore's C code
        and rounded once. Works in `jit`, `vmap`, `scan` and loops, on the CPU.

    Raises
    ------
    TypeError
        `s` is no schedule, or a `Plateau`; or `count` is no integer.
    ValueError
        `count` is negative; inside `jit` an error of the runtime that says so.

    Examples
    --------
    >>> import jax, optax, lrcore.optax
    >>> from lrcore import schedules
    >>> rate = lrcore.optax.schedule(schedules.Cosine(0.1, steps=100, warmup=10))
    >>> print(jax.jit(rate)(5))
    0.05
    >>> tx = optax.adamw(rate, weight_decay=0.01)
    """
    who = "lrcore.optax.schedule"
    if isinstance(s, (int, float)) and not isinstance(s, bool):
        s = Schedule._kinds["constant"](lr=s)
    if not isinstance(s, Schedule):
        raise TypeError(f"{who}: s must be a schedule or a number, got {s!r}")
    check_pure(who, "s", s)
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"{who}: dtype must be float32 or float64, got {dtype}")
    if dtype == np.float64 and not jax.config.jax_enable_x64:
        raise ValueError(f"{who}: dtype float64 needs jax_enable_x64, got it off")
    return _Rate(s, dtype)


class _Rate:
    """What `schedule` returns."""

    def __init__(self, s: Schedule, dtype: np.dtype[Any]) -> None:
        self._schedule, self._dtype = s, dtype
        self._key = key_of(["schedule", repr(s)], [s])
        if self._key not in _KNOWN:
            _KNOWN[self._key] = s
            _core.add_schedule(self._key, s._curve, type(s).__name__)
        self._traced = jax.custom_jvp(self._cross)
        self._traced.defjvp(self._flat)

    def __repr__(self) -> str:
        return f"lrcore.optax.schedule({self._schedule!r})"

    def __call__(self, count: Any) -> jax.Array:
        if not isinstance(count, jax.core.Tracer):
            return jnp.asarray(self._on_host(np.asarray(count)))
        if not jnp.issubdtype(count.dtype, jnp.integer):
            name = type(self._schedule).__name__
            raise TypeError(f"{name}: t must be an array of integers, got one of {count.dtype}")
        return self._traced(count.astype(jnp.int32))

    def _cross(self, count: jax.Array) -> jax.Array:
        result = jax.ShapeDtypeStruct(count.shape, self._dtype)
        return call("lrcore_schedule", self._key, self._host, [count], [result], {}, "expand_dims")[
            0
        ]

    def _host(self, count: NDArray[Any]) -> list[NDArray[Any]]:
        return [self._on_host(count)]

    def _on_host(self, count: NDArray[Any]) -> NDArray[Any]:
        with _core.FloatEnvironment(), np.errstate(over="ignore"):
            return np.asarray(self._schedule(count), self._dtype)

    def _flat(self, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
        """A count has no derivative."""
        value = self._cross(*primals)
        return value, jnp.zeros_like(value)
