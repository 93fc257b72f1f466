"""The pipeline: what surrounds a rule in a step, and the sums in their fixed order.

A step is all or nothing. The order of its stages:

1. load the gradient: converted to the parameter's dtype
2. scale: times sign and clip coefficient, then clipped by value
3. decay: coupled ``g += wd p``, or decoupled ``p *= 1 - lr wd``
4. the rule
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import rules

CHUNK = 8192
LANES = 32


@dataclass
class Tensor:
    """One parameter in a step: its array, gradient, state and number of updates so far.

    ``h`` holds the hyper-parameters of its group for this update.
    """

    p: NDArray[Any]
    g: NDArray[Any] | None
    s: SimpleNamespace
    t: int
    h: SimpleNamespace
    maximize: bool
    clip_value: float


def chunk_sums(a: NDArray[Any], b: NDArray[Any]) -> list[float]:
    """The sums of a[i] b[i] over the chunks of two rows, in float64 and in the kernels' order.

    A chunk is 8192 elements; its element ``i`` goes to lane ``i % 32``, and the lanes are added up
    as a tree.
    """
    padded = np.zeros(-(-a.size // CHUNK) * CHUNK)
    padded[: a.size] = a.astype(np.float64) * b.astype(np.float64)
    rows = padded.reshape(-1, CHUNK // LANES, LANES)
    lanes = 0.0 + np.add.accumulate(rows, axis=1)[:, -1]  # a lane starts at +0
    width = LANES // 2
    while width:
        lanes = lanes[:, :width] + lanes[:, width : 2 * width]
        width //= 2
    return [float(total) for total in lanes.reshape(-1)]


def in_order(parts: Iterable[float]) -> float:
    """The parts, added one after the other."""
    total = 0.0
    for part in parts:
        total = total + part
    return total


def flat(a: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """``a`` as one row, in the order in which ``like`` lies in memory."""
    return a.reshape(-1) if like.flags.c_contiguous else a.T.reshape(-1)


def norm(grads: Iterable[NDArray[Any]]) -> float:
    """The 2-norm of all gradients together, each of them a row."""
    return sqrt(in_order(part for g in grads for part in chunk_sums(g, g)))


def step(
    rule: str, decay: str, tensors: Sequence[Tensor], clip_norm: float, nonfinite: str
) -> tuple[float, int]:
    """Make one update of every tensor that has a gradient.

    Returns the norm of the gradients (0 where ``clip_norm`` is off) and, where the step was refused
    because a gradient is not finite, the index of its tensor (otherwise -1).
    """
    with np.errstate(all="ignore"):
        grads = [None if x.g is None else flat(x.g, x.p).astype(x.p.dtype) for x in tensors]
        if nonfinite != "ignore":
            for i, g in enumerate(grads):
                if g is not None and not np.isfinite(g).all():
                    return 0.0, i
        size = norm([g for g in grads if g is not None]) if clip_norm else 0.0
        clip = clip_norm / (size + 1e-6) if clip_norm else 1.0
        clip = 1.0 if clip >= 1.0 else clip
        for x, g in zip(tensors, grads, strict=True):
            if g is not None:
                _update(rule, decay, x, g, clip)
    return size, -1


def _update(rule: str, decay: str, x: Tensor, g: NDArray[Any], clip: float) -> None:
    real = x.p.dtype.type
    p = flat(x.p, x.p)
    state = SimpleNamespace(
        **{k: None if v is None else flat(v, x.p) for k, v in vars(x.s).items()}
    )
    scale = -clip if x.maximize else clip
    if scale != 1.0:
        g = g * real(scale)
    if x.clip_value:
        most = real(x.clip_value)
        g = np.where(g > most, most, np.where(g < -most, -most, g))
    wd = x.h.weight_decay
    if decay == "coupled" and wd != 0:
        g = g + real(wd) * p
    keep = 1.0 - x.h.lr * wd
    sums = []
    if hasattr(rules, f"{rule}_factors"):
        pairs = getattr(rules, f"{rule}_factors")(p, g, state, x.h, x.t + 1)
        sums = [in_order(chunk_sums(a, b)) for a, b in pairs]
    if decay == "decoupled" and keep != 1.0:
        p[...] = p * real(keep)
    getattr(rules, rule)(p, g, state, x.h, x.t + 1, sums)
