"""NovoGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["NovoGrad"]


class NovoGrad(Optimizer):
    """NovoGrad: momentum over gradients that are divided by the running norm of their tensor.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.95, 0.98)
        Each in [0, 1): the memory of the steps, and of the squared norm.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); added to the normalised gradient as ``weight_decay p``.
    grad_averaging : bool, default False
        Take a mean of the steps, with ``1 - beta1`` on the new one, instead of a sum.
    amsgrad : bool, default False
        Divide by the largest running norm so far.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``v = |g|^2`` at first, then ``beta2 v + (1 - beta2) |g|^2``, one number a tensor;
    ``m = beta1 m + (g / (sqrt(v) + eps) + weight_decay p)``, with grad_averaging
    ``beta1 m + (1 - beta1) (...)``; ``p -= lr m``. One state array, two sweeps. Ginsburg et al.
    2019, "Stochastic Gradient Methods with Layer-wise Adaptive Moments for Training of Deep
    Networks", algorithm 1; the options are those of the authors' code. Deviation: v begins at the
    first gradient that is not 0, as in timm; in the paper at the first one.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = NovoGrad(w, lr=0.1)
    >>> opt.step(np.array([3.0, -4.0]))
    True
    >>> w.round(6), opt.estimates[""]["v"]
    (array([-0.06,  0.08]), 25.0)
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.95, 0.98),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        grad_averaging: bool = False,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "grad_averaging": grad_averaging,
                "amsgrad": amsgrad,
            },
            **options,
        )
