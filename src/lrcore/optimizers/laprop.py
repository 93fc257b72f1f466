"""LaProp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["LaProp"]


class LaProp(Optimizer):
    """LaProp: the gradient is first divided by its running size, and then averaged.

    Adam does both the other way round. No old gradient is weighed by a new size, so that ``betas``
    can be chosen freely.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 4e-4
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1): of the mean of divided gradients and of the mean of squares.
    eps : float or Schedule, default 1e-15
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``v = beta2 v + (1 - beta2) g^2``;
    ``m = beta1 m + (1 - beta1) g / (sqrt(v) / sqrt(1 - beta2^t) + eps)``;
    ``p -= lr / (1 - beta1^t) m``. Two state arrays, one sweep. Ziyin, Wang & Ueda 2020, "LaProp:
    Separating Momentum and Adaptivity in Adam", algorithm 1. Deviation: as in the paper the rate
    is outside the mean; the authors' code and timm average ``lr`` times the gradient, which differs
    only while a schedule moves ``lr``. Deviation: the parameter decays by ``lr weight_decay``
    before the step, as in :class:`AdamW`; in timm after it, in the authors' code not times ``lr``.
    Deviation: the authors' options ``amsgrad`` and ``centered`` are left out, as in timm.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = LaProp(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.1,  0.1])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 4e-4,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-15,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
            },
            **options,
        )
