"""Signum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Signum"]


class Signum(Optimizer):
    """Signum: signSGD on a running mean of the gradient.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    momentum : float or Schedule, default 0.9
        In [0, 1); how much of the mean is kept.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled, the parameter is multiplied by ``1 - lr weight_decay``.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = momentum m + (1 - momentum) g``; ``p -= lr sign(m)`` with ``sign(0) = 0``. One state
    array, one sweep. Bernstein, Wang, Azizzadenesheli & Anandkumar 2018, "signSGD: Compressed
    Optimisation for Non-Convex Problems", algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = Signum(w)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.001,  0.001])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        momentum: Number = 0.9,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "momentum": momentum, "weight_decay": weight_decay},
            **options,
        )
