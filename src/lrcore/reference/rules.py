"""The update rules. One function a row of ``rules.def``, of one signature.

``rule(p, g, s, h, t, sums)`` updates the parameter ``p`` and the state ``s`` in place from the
gradient ``g``, the hyper-parameters ``h`` and the number of the update ``t`` = 1, 2, ...; a state
that a hyper-parameter switches off is None. Constants are Python floats, rounded once to the dtype
of ``p``; every operation on arrays is one correctly rounded IEEE operation, in the order written.

A rule that needs sums over the tensor first has a second function, ``<rule>_factors``: sum k is
over the products of its k-th pair of arrays, in float64; ``sums`` holds what they add up to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .math import pow

Array: TypeAlias = NDArray[Any]
Rule: TypeAlias = Callable[
    [Array, Array, SimpleNamespace, SimpleNamespace, int, Sequence[float]], None
]


def sgd(
    p: Array, g: Array, s: SimpleNamespace, h: SimpleNamespace, t: int, sums: Sequence[float]
) -> None:
    """Stochastic gradient descent with momentum (Sutskever et al. 2013)."""
    real = p.dtype.type
    lr = real(h.lr)
    if s.buf is None:
        p[...] = p - lr * g
        return
    momentum = real(h.momentum)
    keep = real(0.0 if t == 1 else h.momentum)
    fresh = real(1.0 if t == 1 else 1.0 - h.dampening)
    s.buf[...] = keep * s.buf + fresh * g
    direction = g + momentum * s.buf if h.nesterov else s.buf
    p[...] = p - lr * direction


def adagrad(
    p: Array, g: Array, s: SimpleNamespace, h: SimpleNamespace, t: int, sums: Sequence[float]
) -> None:
    """Adagrad (Duchi, Hazan & Singer 2011)."""
    real = p.dtype.type
    step = real(h.lr / (1.0 + float(t - 1) * h.lr_decay))
    s.s[...] = s.s + g * g
    p[...] = p - (step * g) / (np.sqrt(s.s) + real(h.eps))


def rmsprop(
    p: Array, g: Array, s: SimpleNamespace, h: SimpleNamespace, t: int, sums: Sequence[float]
) -> None:
    """RMSprop (Tieleman & Hinton 2012; centered: Graves 2013)."""
    real = p.dtype.type
    lr, alpha, fresh = real(h.lr), real(h.alpha), real(1.0 - h.alpha)
    s.v[...] = alpha * s.v + fresh * (g * g)
    square = s.v
    if s.mean is not None:
        s.mean[...] = alpha * s.mean + fresh * g
        spread = s.v - s.mean * s.mean
        square = np.where(spread < 0, real(0), spread)
    root = np.sqrt(square) + real(h.eps)
    if s.buf is None:
        p[...] = p - (lr * g) / root
    else:
        s.buf[...] = real(h.momentum) * s.buf + g / root
        p[...] = p - lr * s.buf


def adam(
    p: Array, g: Array, s: SimpleNamespace, h: SimpleNamespace, t: int, sums: Sequence[float]
) -> None:
    """Adam (Kingma & Ba 2015; amsgrad: Reddi, Kale & Kumar 2018)."""
    real = p.dtype.type
    unbias1 = 1.0 - pow(h.beta1, float(t))
    unbias2 = 1.0 - pow(h.beta2, float(t))
    step, root = real(h.lr / unbias1), real(1.0 / sqrt(unbias2))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    v = s.v
    if s.vmax is not None:
        s.vmax[...] = np.where(s.vmax >= s.v, s.vmax, s.v)
        v = s.vmax
    p[...] = p - (step * s.m) / (np.sqrt(v) * root + real(h.eps))


adamw: Rule = adam  # the decay is the pipeline's, as the row says


def lion(
    p: Array, g: Array, s: SimpleNamespace, h: SimpleNamespace, t: int, sums: Sequence[float]
) -> None:
    """Lion (Chen et al. 2023)."""
    real = p.dtype.type
    u = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    sign = np.where(u > 0, real(1), np.where(u < 0, real(-1), u))
    p[...] = p - real(h.lr) * sign
    s.m[...] = real(h.beta2) * s.m + real(1.0 - h.beta2) * g


def _lamb_direction(p: Array, m: Array, v: Array, h: SimpleNamespace, t: int) -> Array:
    real = p.dtype.type
    unbias = real(1.0 / (1.0 - pow(h.beta1, float(t))))
    root = real(1.0 / sqrt(1.0 - pow(h.beta2, float(t))))
    direction: Array = (unbias * m) / (np.sqrt(v) * root + real(h.eps)) + real(h.weight_decay) * p
    return direction


def lamb(
    p: Array, g: Array, s: SimpleNamespace, h: SimpleNamespace, t: int, sums: Sequence[float]
) -> None:
    """LAMB (You et al. 2020)."""
    real = p.dtype.type
    pp, uu = sums
    ratio = sqrt(pp) / sqrt(uu) if pp > 0 and uu > 0 else 1.0
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    p[...] = p - real(h.lr * ratio) * _lamb_direction(p, s.m, s.v, h, t)


def lamb_factors(
    p: Array, g: Array, s: SimpleNamespace, h: SimpleNamespace, t: int
) -> list[tuple[Array, Array]]:
    """|p|^2 and |u|^2."""
    real = p.dtype.type
    m = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    v = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    u = _lamb_direction(p, m, v, h, t)
    return [(p, p), (u, u)]
