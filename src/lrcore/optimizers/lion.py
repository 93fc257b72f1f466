"""Lion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Lion"]


class Lion(Optimizer):
    """Lion: the sign of an interpolation between the gradient and its running mean.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-4
        In [0, inf); every element moves by exactly this much, so about a tenth of Adam's.
    betas : tuple of 2 floats or Schedules, default (0.9, 0.99)
        Each in [0, 1): of the interpolation, of the running mean.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``p = p (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g)``, then
    ``m = beta2 m + (1 - beta2) g``; ``sign(0) = 0``. One state array. Chen et al. 2023, "Symbolic
    Discovery of Optimization Algorithms", algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(3)
    >>> opt = Lion(w, lr=0.25)
    >>> opt.step(np.array([3.0, -0.1, 0.0]))
    True
    >>> w
    array([-0.25,  0.25,  0.  ])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-4,
        betas: tuple[Number, Number] = (0.9, 0.99),
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "weight_decay": weight_decay}, **options
        )
