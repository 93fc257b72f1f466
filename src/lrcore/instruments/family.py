"""What kind of steps a rule makes, measured on the spot: no list of rules."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .. import optimizers
from .._optimizer import Optimizer

__all__ = ["Family", "named", "of"]

FEW, LONG = 4, 32  # updates: a beginning, and such as a probe makes
SHAPE = (8, 8)  # a matrix, for the rules that look at such


class Family(NamedTuple):
    """How the size of a step follows from the gradients.

    Attributes
    ----------
    scale : float
        1 where a gradient that is twice as large makes a step twice as large, 0 where that makes no
        difference.
    growth : float
        Decimal logarithm of how much larger the step is after 32 equal gradients than at first.
    noise : float
        The same of 32 gradients that are noise, against 32 that are equal.
    """

    scale: float
    growth: float
    noise: float


def of(opt: Optimizer) -> Family:
    """The family of an optimizer with the hyper-parameters it has."""
    values = opt.param_groups[0]
    hypers = {name: values[name] for name in type(opt)._hypers(dict(values))}
    return _measured(type(opt), hypers, opt.t)


def named(who: str, rule: Any) -> Family:
    """The family of a rule by its name, or of an optimizer."""
    if isinstance(rule, Optimizer):
        return of(rule)
    names = {name.lower(): name for name in optimizers.__all__}
    if not isinstance(rule, str) or rule.lower() not in names:
        raise ValueError(
            f"{who}: rule must be an optimizer or one of {', '.join(sorted(names.values()))}, "
            f"got {rule!r}"
        )
    return _of_class(names[rule.lower()])


@cache
def _of_class(name: str) -> Family:
    return _measured(getattr(optimizers, name), {}, 0)


def _measured(kind: type[Optimizer], hypers: dict[str, Any], t: int) -> Family:
    rng = np.random.default_rng(0)
    one, noise = rng.standard_normal(SHAPE), rng.standard_normal((LONG, *SHAPE))
    const = _sizes(kind, hypers, [one] * LONG)
    twice = _sizes(kind, hypers, [2 * one] * FEW)
    random = _sizes(kind, hypers, list(noise))
    with np.errstate(all="ignore"):
        found = (
            np.log2(np.mean(twice) / np.mean(const[:FEW])),
            np.log10(const[-1] / np.mean(const[:FEW])),
            np.log10(np.mean(random[LONG // 2 :]) / np.mean(const[LONG // 2 :])),
        )
    return Family(*(float(np.clip(x, -2, 2)) if np.isfinite(x) else 0.0 for x in found))


def _sizes(kind: type[Optimizer], hypers: dict[str, Any], grads: list[Any]) -> list[float]:
    """The sizes of the steps that some gradients make one after the other."""
    p = np.random.default_rng(1).standard_normal(SHAPE)
    make: Any = kind
    opt = make(p, **{**hypers, kind.rate_name: 1e-3})
    out = []
    for g in grads:
        before = p.copy()
        opt.step(g, loss=1.0)
        out.append(float(np.linalg.norm(p - before)))
    return out
