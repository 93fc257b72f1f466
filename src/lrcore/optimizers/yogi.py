"""Yogi."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Yogi"]


class Yogi(Optimizer):
    """Yogi: Adam, whose mean of squares changes by a bounded amount, so that it forgets slowly.

    After large gradients the divisor shrinks no faster than the new, small squares allow.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-2
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1): of the mean of gradients and of the change of ``v``.
    eps : float or Schedule, default 1e-3
        In [0, inf); outside the root.
    initial_accumulator_value : float or Schedule, default 1e-6
        In [0, inf); where ``m`` and ``v`` begin.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``v -= (1 - beta2) sign(v - g^2) g^2``;
    ``p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)``. Two state arrays, one
    sweep. Zaheer et al. 2018, "Adaptive Methods for Nonconvex Optimization", algorithm 2.
    Deviation: the paper has neither the bias correction nor a start other than 0; both are as in
    optax.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = Yogi(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(4)
    array([-0.0999,  0.1   ])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-2,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-3,
        initial_accumulator_value: Number = 1e-6,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "initial_accumulator_value": initial_accumulator_value,
                "weight_decay": weight_decay,
            },
            **options,
        )
