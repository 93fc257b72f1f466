"""SOAP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["SOAP"]


class SOAP(Optimizer):
    """SOAP: Adam in the eigenbases of Shampoo for matrices, AdamW for all other parameters.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
        Those of two or more dimensions are matrices: filters of a convolution with a row for each
        entry of the first axis.
    lr : float or Schedule, default 3e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.95, 0.95)
        Each in [0, 1).
    shampoo_beta : float or Schedule, default -1
        In [-1, 1); of the averages of squares that the bases follow; below 0: ``betas[1]``.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 1e-2
        In [0, inf); decoupled.
    precondition_frequency : int, default 10
        At least 1; the bases are turned every so many updates.
    max_precond_dim : int, default 10000
        A side longer than this keeps the basis it has; a matrix of two such is updated by AdamW.
    normalize_grads : bool, default False
        Divide the direction by the root of the mean of its squares.
    correct_bias : bool, default True
        Correct for moments that begin at zero, as Adam does; AdamW always does.
    adamw : bool, default False
        Update all parameters by AdamW, matrices too; for groups.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    With ``left`` and ``right``, the averages of ``g g'`` and ``g' g``, and ``L`` and ``R``, whose
    columns are nearly their eigenvectors: ``d = L' g R``; ``m = beta1 m + (1 - beta1) d``;
    ``v = beta2 v + (1 - beta2) d^2``;
    ``p = (1 - lr weight_decay) p - lr L (unbiased m / (sqrt(v) + eps)) R'``. Bases are turned by a
    step of power iteration and a QR decomposition, and ``m`` with them. The first update of a
    matrix finds its bases, by eigenvectors in float64, and makes no step. A matrix of m rows and n
    columns has two state arrays, ``2 (m^2 + n^2)`` numbers, an array to work in and three sweeps;
    other parameters have two state arrays, which "int8" cannot hold. Vyas et al. 2024, "SOAP:
    Improving and Stabilizing Shampoo using Adam", algorithm 3, with the authors' names and
    defaults. Deviation: decay comes before the step and is made by the first update, too; in the
    authors' code it follows. A tensor of three or more dimensions is one matrix, there it has a
    basis for each. Vectors are AdamW's, there of Adam with ``eps`` inside the correction, without
    the first step. Neither `merge_dims` nor `precondition_1d`. The products are NumPy's: their bits
    differ between machines.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros((2, 2))
    >>> opt = SOAP(w, lr=0.1)
    >>> for _ in range(2):
    ...     _ = opt.step(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> w.round(4) + 0
    array([[-0.1,  0. ],
           [ 0. , -0.1]])
    """

    for_matrices = (
        "shampoo_beta",
        "precondition_frequency",
        "max_precond_dim",
        "normalize_grads",
        "correct_bias",
    )

    def __init__(
        self,
        params: Any,
        lr: Number = 3e-3,
        betas: tuple[Number, Number] = (0.95, 0.95),
        shampoo_beta: Number = -1.0,
        eps: Number = 1e-8,
        weight_decay: Number = 1e-2,
        precondition_frequency: int = 10,
        max_precond_dim: int = 10000,
        normalize_grads: bool = False,
        correct_bias: bool = True,
        adamw: bool = False,
        **options: Unpack[Options],
    ) -> None:
        hypers = {
            "lr": lr,
            "betas": betas,
            "shampoo_beta": shampoo_beta,
            "eps": eps,
            "weight_decay": weight_decay,
            "precondition_frequency": precondition_frequency,
            "max_precond_dim": max_precond_dim,
            "normalize_grads": normalize_grads,
            "correct_bias": correct_bias,
            "adamw": adamw,
        }
        super().__init__(params, hypers, **options)
