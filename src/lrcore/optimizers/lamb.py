"""LAMB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["LAMB"]


class LAMB(Optimizer):
    """LAMB: Adam's direction, scaled for each tensor to the size of the tensor.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    eps : float or Schedule, default 1e-6
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); part of the direction.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``u`` is Adam's ``m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps)`` plus
    ``weight_decay p``; ``p -= lr |p| / |u| u`` with 2-norms over the tensor, the ratio being 1
    where either is 0. Two state arrays, two sweeps. You et al. 2020, "Large Batch Optimization for
    Deep Learning: Training BERT in 76 minutes", algorithm 2 with phi(x) = x.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([3.0, 4.0])
    >>> opt = LAMB(w, lr=0.1)
    >>> opt.step(np.array([1.0, -1.0]))
    True
    >>> w.round(4)
    array([2.6464, 4.3536])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-6,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}, **options
        )
