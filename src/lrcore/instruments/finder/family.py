"""What kind of steps a rule makes, measured on the spot: no list of rules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ... import optimizers
from ..._optimizer import Optimizer
from .._own import own

__all__ = ["Family", "named", "of"]

FEW, LONG = 4, 32  # updates: a beginning, and such as a probe makes
Array: TypeAlias = NDArray[np.float64]

RATE = 1e-3
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
    return _measured(type(opt), hypers)


def named(who: str, rule: Any) -> Family:
    """The family of a rule by its name, or of an optimizer, of torch too."""
    rule = own(rule)
    if isinstance(rule, Optimizer):
        return of(rule)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(rule, torch.optim.Optimizer):
        return _compared(_Torch(torch, rule).sizes)
    names = {name.lower(): name for name in optimizers.__all__}
    if not isinstance(rule, str) or rule.lower() not in names:
        raise ValueError(
            f"{who}: rule must be an optimizer or one of {', '.join(sorted(names.values()))}, "
            f"got {rule!r}"
        )
    return _of_class(names[rule.lower()])


@cache
def _of_class(name: str) -> Family:
    return _measured(getattr(optimizers, name), {})


def _measured(kind: type[Optimizer], hypers: dict[str, Any]) -> Family:
    def sizes(grads: list[Array]) -> list[float]:
        p, make = _parameter(), cast("Any", kind)
        opt = make(p, **{**hypers, kind.rate_name: RATE})
        out = []
        for g in grads:
            before = p.copy()
            opt.step(g, loss=1.0)
            out.append(float(np.linalg.norm(p - before)))
        return out

    return _compared(sizes)


class _Torch:
    """The same of an optimizer of torch, made anew with the hyper-parameters of its first group."""

    def __init__(self, torch: Any, opt: Any) -> None:
        self._torch, self._kind = torch, type(opt)
        self._hypers = {k: opt.param_groups[0][k] for k in opt.defaults} | {"lr": RATE}

    def sizes(self, grads: list[Array]) -> list[float]:
        """The sizes of the steps that some gradients make one after the other."""
        p = self._torch.nn.Parameter(self._torch.from_numpy(_parameter()))
        opt, out = self._kind([p], **self._hypers), []
        for g in grads:
            before, p.grad = p.detach().clone(), self._torch.from_numpy(g.copy())
            opt.step()
            out.append(float((p.detach() - before).norm()))
        return out


def _parameter() -> Array:
    return np.random.default_rng(1).standard_normal(SHAPE)


def _compared(sizes: Callable[[list[Array]], list[float]]) -> Family:
    """The family, from the sizes of steps that lists of gradients make."""
    rng = np.random.default_rng(0)
    one, noise = rng.standard_normal(SHAPE), rng.standard_normal((LONG, *SHAPE))
    const, twice, random = sizes([one] * LONG), sizes([2 * one] * FEW), sizes(list(noise))
    with np.errstate(all="ignore"):
        found = (
            np.log2(np.mean(twice) / np.mean(const[:FEW])),
            np.log10(const[-1] / np.mean(const[:FEW])),
            np.log10(np.mean(random[LONG // 2 :]) / np.mean(const[LONG // 2 :])),
        )
    return Family(*(float(np.clip(x, -2, 2)) if np.isfinite(x) else 0.0 for x in found))
