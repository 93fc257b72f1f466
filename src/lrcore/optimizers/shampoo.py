"""Shampoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Shampoo"]


class Shampoo(Optimizer):
    """Shampoo: AdaGrad for the rows and columns of matrices, AdamW for all other parameters.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
        Those of two or more dimensions are matrices: filters of a convolution with a row for each
        entry of the first axis.
    lr : float or Schedule, default 1e-1
        In [0, inf); of matrices.
    momentum : float or Schedule, default 0
        In [0, inf); the share of the past in the average of gradients; 0 keeps no state for it.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled; of matrices.
    eps : float or Schedule, default 1e-4
        In [0, inf); times the identity is what the sums begin at, and the least eigenvalue of one.
    update_freq : int, default 1
        At least 1; the roots are found anew every so many updates.
    max_precond_dim : int, default 10000
        A side longer than this has no sum; a matrix with none is updated by AdamW.
    adamw : bool, default False
        Update all parameters by AdamW, matrices too; for groups.
    adamw_lr : float, Schedule or None, default None
        In [0, inf); the rate of parameters that are no matrices, None: `lr`. `lr_scale` scales it,
        too.
    adamw_betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    adamw_eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    adamw_weight_decay : float or Schedule, default 0
        In [0, inf); decoupled.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``left += g g'`` and ``right += g' g``, both from ``eps`` times the identity;
    ``p -= lr left^(-1/4) g right^(-1/4)``, with momentum ``buf = momentum buf + (1 - momentum) g``
    in place of ``g``. Where one side has no sum the other's exponent is -1/2. A matrix of m rows
    and n columns has ``2 (m^2 + n^2)`` numbers of state, an array to work in, with momentum
    another, and three sweeps; other parameters have two state arrays. Gupta, Koren & Singer 2018,
    "Shampoo: Preconditioned Stochastic Tensor Optimization", algorithm 1. The roots are found by
    eigenvalues in float64. Deviation: a tensor of three or more dimensions is one matrix, in the
    paper it has a sum for each; vectors are AdamW's. Deviation from the package torch_optimizer,
    whose defaults these are: there exponents are -1/2, the second sum is of what the first one made
    of the gradient, decay is coupled, and momentum averages what has been between the roots.
    pytorch_optimizer 4.1 agrees but for these last two and for its defaults. The products
    are NumPy's: their bits differ between machines.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros((2, 2))
    >>> opt = Shampoo(w, lr=0.1, eps=0.0)
    >>> opt.step(np.diag([4.0, 1.0]))
    True
    >>> w.round(4) + 0
    array([[-0.1,  0. ],
           [ 0. , -0.1]])
    """

    for_matrices = (
        "momentum",
        "eps",
        "update_freq",
        "max_precond_dim",
    )

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-1,
        momentum: Number = 0.0,
        weight_decay: Number = 0.0,
        eps: Number = 1e-4,
        update_freq: int = 1,
        max_precond_dim: int = 10000,
        adamw: bool = False,
        adamw_lr: Number | None = None,
        adamw_betas: tuple[Number, Number] = (0.9, 0.999),
        adamw_eps: Number = 1e-8,
        adamw_weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        hypers = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "eps": eps,
            "update_freq": update_freq,
            "max_precond_dim": max_precond_dim,
            "adamw": adamw,
            "adamw_lr": adamw_lr,
            "adamw_betas": adamw_betas,
            "adamw_eps": adamw_eps,
            "adamw_weight_decay": adamw_weight_decay,
        }
        super().__init__(params, hypers, **options)
