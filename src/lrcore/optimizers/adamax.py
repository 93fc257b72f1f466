"""Adamax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adamax: Adam with the largest recent gradient in place of the root mean square.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 2e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1); of the mean of the gradient and of its size.
    eps : float or Schedule, default 1e-8
        In [0, inf); added to the size of the gradient.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, added to the gradient as ``weight_decay p``.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``u = max(beta2 u, |g| + eps)``;
    ``p -= lr / (1 - beta1^t) m / u``. Two state arrays, one sweep. Kingma & Ba 2015, "Adam: A
    Method for Stochastic Optimization", algorithm 2, which has no eps.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = Adamax(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.1,  0.1])
    """

    torch_names: ClassVar = {"t": "step", "m": "exp_avg", "u": "exp_inf"}

    def __init__(
        self,
        params: Any,
        lr: Number = 2e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay},
            **options,
        )
