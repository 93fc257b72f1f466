"""AdEMAMix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["AdEMAMix"]


class AdEMAMix(Optimizer):
    """AdEMAMix: AdamW with a second, much slower mean of the gradients added to the first.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 3 floats or Schedules, default (0.9, 0.999, 0.9999)
        Each in [0, 1): of the fast mean, of the mean of squares, and of the slow mean.
    alpha : float or Schedule, default 5.0
        In [0, inf); the weight of the slow mean.
    beta3_warmup : float or Schedule or None, default None
        In (0, inf); the step until which ``beta3`` rises from ``beta1``. None: it is what it is
        from the first step on. The authors take the length of the run for both warm-ups.
    alpha_warmup : float or Schedule or None, default None
        In (0, inf); the step until which ``alpha`` rises from 0 in a straight line.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``m_slow = beta3 m_slow + (1 - beta3) g``;
    ``v = beta2 v + (1 - beta2) g^2``; ``p -= lr (m / (1 - beta1^t) + alpha m_slow) / (sqrt(v) /
    sqrt(1 - beta2^t) + eps)``. Below its warm-up ``alpha`` is ``alpha t / alpha_warmup``, and with
    ``a = t / beta3_warmup`` ``beta3`` is ``exp(1 / ((1 - a) / log(beta1) + a / log(beta3)))``: its
    half-life rises in a straight line. Three state arrays, one sweep. Pagliardini, Ablin & Grangier
    2024, "The AdEMAMix Optimizer: Better, Faster, Older", algorithm 1. Deviation: ``alpha`` is 5 as
    in the paper; 2 in the authors' code. Deviation: this is the paper's formula of ``beta3``; the
    authors' code adds 1e-8 to both betas before the logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = AdEMAMix(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.10005,  0.10005])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number, Number] = (0.9, 0.999, 0.9999),
        alpha: Number = 5.0,
        beta3_warmup: Number | None = None,
        alpha_warmup: Number | None = None,
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "alpha": alpha,
                "beta3_warmup": beta3_warmup,
                "alpha_warmup": alpha_warmup,
                "eps": eps,
                "weight_decay": weight_decay,
            },
            **options,
        )
