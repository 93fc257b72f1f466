"""Adan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Adan"]


class Adan(Optimizer):
    """Adan: Adam that looks ahead by the difference between this gradient and the last one.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 3 floats or Schedules, default (0.98, 0.92, 0.99)
        Each in [0, 1): of the mean of gradients, of the mean of differences, also the weight of a
        difference, and of the mean of squares.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled, in the form ``no_prox`` says.
    no_prox : bool, default False
        ``p = (1 - lr weight_decay) p - u`` instead of ``p = (p - u) / (1 + lr weight_decay)``.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``x = g - g_last``, 0 at ``t = 1``; ``m = beta1 m + (1 - beta1) g``;
    ``d = beta2 d + (1 - beta2) x``; ``v = beta3 v + (1 - beta3) (g + beta2 x)^2``;
    ``u = lr (m / (1 - beta1^t) + beta2 d / (1 - beta2^t)) / (sqrt(v) / sqrt(1 - beta3^t) + eps)``;
    ``p = (p - u) / (1 + lr weight_decay)``. Four state arrays, one sweep. Xie et al. 2022, "Adan:
    Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models", algorithm 1.
    Deviation: the betas are those of the authors' code and of timm, 1 minus those of the paper, and
    the means are corrected for their start at 0 as there. Deviation: a tensor without a gradient
    stays as young as it was; in timm its group grows older.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = Adan(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.1,  0.1])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number, Number] = (0.98, 0.92, 0.99),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        no_prox: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "no_prox": no_prox,
            },
            **options,
        )
