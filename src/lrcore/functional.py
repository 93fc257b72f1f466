"""One rule on one array, with state that the caller owns.

For every class of :mod:`lrcore.optimizers` there is a function of the same name in lower case, with
the same hyper-parameters and defaults; all are made from the tables. They update in place, check
that the arrays fit, and look neither at the gradient's finiteness nor at anything between calls.

Examples
--------
>>> import numpy as np
>>> from lrcore import functional
>>> w = np.zeros(3, np.float32)
>>> state = functional.init("adamw", w)
>>> for t in (1, 2):
...     functional.adamw(w, np.ones(3, np.float32), state, t=t, lr=0.5, weight_decay=0.0)
>>> w
array([-1., -1., -1.], dtype=float32)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core, optimizers
from ._domain import Interval
from ._hyper import RULES, curve, domain_of, is_matrix, kept_of
from ._hyper import slots as places
from ._optimizer import Optimizer, memory
from ._optimizer.masks import Terms
from ._optimizer.matrices import Matrices
from ._optimizer.slots import Slot, check_order, real, state_slots
from ._optimizer.steps import given_loss
from ._optimizer.tree import Leaf
from ._schedule import Schedule

Array: TypeAlias = NDArray[Any]

_CLASSES: dict[str, type[Optimizer]] = {
    name.lower(): getattr(optimizers, name) for name in optimizers.__all__
}

T = Interval(1, 2**53, integer=True)

__all__ = ["init", *sorted(_CLASSES)]


@cache
def _defaults(rule: str) -> dict[str, Any]:
    known = inspect.signature(_CLASSES[rule]).parameters
    return {k: p.default for k, p in known.items() if p.default is not p.empty}


def _values(rule: str, hyper: dict[str, Any]) -> dict[str, Any]:
    """The hyper-parameters of a call, defaults filled in, each inside its domain."""
    if rule not in _CLASSES:
        raise ValueError(f"functional: rule must be one of {sorted(_CLASSES)}, got {rule!r}")
    defaults = _defaults(rule)
    for name, value in hyper.items():
        if name not in defaults:
            raise TypeError(f"{rule}: {name!r} must be one of {sorted(defaults)}")
        parts = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(v, Schedule) for v in parts):
            raise TypeError(
                f"{rule}: {name} must be a number, got a schedule; call it with t first"
            )
    return _CLASSES[rule]._checked({**defaults, **hyper})


def init(rule: str, p: Array, **hyper: Any) -> tuple[Array, ...]:
    """Return the state of `rule` for an array: new arrays of its shape, ready for the first step.

    Parameters
    ----------
    rule : str
        The name of the function, such as "adamw".
    p : ndarray of float16, bfloat16, float32 or float64
        The parameter.
    **hyper
        Those hyper-parameters that decide about state (``amsgrad=True``, ``momentum=0.9``).

    Returns
    -------
    tuple of ndarray
        In the order of the row in ``rules.def``, without those that are off. Of float64 for a
        float64 parameter, otherwise of float32. Last, for a rule that keeps scalars, these as one
        array of float64. Of a matrix to a rule that knows them, also its square matrices.
    """
    values = _values(rule, hyper)
    leaf = Leaf(p, "", "")
    memory.check_params(rule, [leaf], [""])
    check_order(rule, rule, p, "")
    (arrays,) = memory.allocate([leaf], [{}], [_slots(rule, p, values)], memory.slabs)
    scalars = _CLASSES[rule]._first_scalars(values)
    return (*arrays.values(), np.array(scalars)) if scalars else tuple(arrays.values())


def _slots(rule: str, p: Array, values: dict[str, Any]) -> list[Slot]:
    """What is kept of an array."""
    matrix, dtype = is_matrix(rule, p.shape, values), real(p.dtype)
    starts = _CLASSES[rule]._starts(values, matrix)
    kept = kept_of(rule, p.shape, values) if matrix else {}
    return state_slots(rule, p, starts) + [
        Slot(name, dtype, side=side) for name, side in kept.items()
    ]


def _apply(
    rule: str, p: Array, g: Array, state: Sequence[Array], t: int, hyper: dict[str, Any]
) -> None:
    loss = given_loss(rule, hyper.pop("loss", None), _CLASSES[rule].needs_loss)
    values = _values(rule, hyper)
    T.check(rule, "t", t)
    memory.check_params(rule, [Leaf(p, "p", "")], [""])
    row, slots = RULES[rule], _slots(rule, p, values)
    names = [slot.name for slot in slots]
    scalars = _scalars(rule, row.scalars, state)
    state = state if scalars is None else state[:-1]
    if not isinstance(state, (list, tuple)) or len(state) != len(names):
        got = len(state) if isinstance(state, (list, tuple)) else type(state).__name__
        raise ValueError(f"{rule}: state must be a tuple of {len(names)} arrays {names}, got {got}")
    leaves = [Leaf(p, "p", "")] + [
        Leaf(a, name, f" state {name}") for a, name in zip(state, names, strict=True)
    ]
    memory.check_params(rule, leaves, [leaf.label for leaf in leaves])
    check_order(rule, rule, p, "")
    for leaf, slot in zip(leaves[1:], slots, strict=True):
        if not slot.fits(leaf.array, leaves[0]):
            raise ValueError(
                f"{rule}: state {leaf.path} must be a {slot.dtype} array of shape "
                f"{slot.shape(leaves[0])}, "
                f"got {leaf.array.dtype} of shape {leaf.array.shape}"
            )
    arrays = dict(zip(names, state, strict=True))
    if row.scope == "matrix" and is_matrix(rule, p.shape, values):
        arrays["work"] = np.empty_like(p, real(p.dtype))
    store = memory.store(leaves[0], row, arrays, None, Terms())
    plan = _core.Plan(row.number, [store], [""], 0, 1)
    if row.scope == "matrix":
        plan.set_matrices(Matrices(rule, [store]))
    for name, value in values.items():
        for place, v, label in places(name, value, row.hypers):
            domain = domain_of(rule, name)
            plan.set_value(0, place, curve(v, domain), domain, rule, label)
    plan.ages = [t - 1]
    plan.set_options(_core.NONFINITE.index("ignore"), False, 0)
    if scalars is None:
        plan.step(g)
        return
    plan.scalars = [list(scalars)]
    plan.step(g, loss)
    scalars[:] = plan.scalars[0]


def _scalars(rule: str, names: tuple[str, ...], state: Sequence[Array]) -> Array | None:
    """The array of a rule's scalars, the last of its state; None where it has none."""
    if not names:
        return None
    last = state[-1] if isinstance(state, (list, tuple)) and state else None
    if not isinstance(last, np.ndarray) or last.dtype != np.float64 or last.shape != (len(names),):
        raise ValueError(
            f"{rule}: state must end with a float64 array of the {len(names)} scalars {names}, "
            f"got {last!r:.60}"
        )
    if not last.flags.writeable:
        raise ValueError(f"{rule}: the scalars of state must be writeable, got a read-only array")
    return last


def _function(rule: str) -> Callable[..., None]:
    def function(p: Array, g: Array, state: Sequence[Array], *, t: int, **hyper: Any) -> None:
        _apply(rule, p, g, state, t, hyper)

    function.__name__ = function.__qualname__ = rule
    function.__doc__ = f"""Update `p` and `state` in place from the gradient `g`; `t` = 1, 2, ...

    `state` is what ``init("{rule}", p)`` returned; hyper-parameters as for
    :class:`lrcore.{_CLASSES[rule].__name__}`{", and `loss`" if _CLASSES[rule].needs_loss else ""}.
    """
    return function


if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., None]: ...


globals().update({rule: _function(rule) for rule in _CLASSES})
