"""FTRL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["FTRL"]


class FTRL(Optimizer):
    """FTRL: follows the regularized leader; made for sparse linear models, exact zeros with l1.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    lr_power : float or Schedule, default -0.5
        In (-inf, 0]; the power of the sum of squares by which steps get smaller. -0.5 is by far the
        fastest; 0 for a fixed rate.
    initial_accumulator_value : float or Schedule, default 0.1
        In [0, inf); where the sum of squares begins.
    l1 : float or Schedule, default 0
        In [0, inf); parameters whose gradients do not exceed it in sum are 0.
    l2 : float or Schedule, default 0
        In [0, inf); pulls parameters to 0; counted twice.
    l2_shrinkage : float or Schedule, default 0
        In [0, inf); adds ``2 l2_shrinkage p`` to the gradient, but not to the sum of squares.
    beta : float or Schedule, default 0
        In [0, inf); added to the power of the sum of squares: smaller steps at first.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled, the parameter is multiplied by ``1 - lr weight_decay``.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``N = n + g^2``; ``z += lr (g + 2 l2_shrinkage p) - (N^-lr_power - n^-lr_power) p``; ``n = N``;
    ``p = 0`` where ``|z| <= lr l1``, elsewhere
    ``p = (sign(z) lr l1 - z) / (n^-lr_power + beta + 2 l2 lr)``. Two state arrays, one sweep. The
    parameters should begin at 0: like Keras, it forgets most of what they were at its first update.
    McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches", algorithm 1, whose lambda2
    is ``2 l2``. The arguments are those of Keras' Ftrl under shorter names (learning_rate,
    learning_rate_power, l1_regularization_strength, l2_regularization_strength,
    l2_shrinkage_regularization_strength). Deviation: z is lr times that of the paper and of Keras,
    so that lr may change, which there rescales the parameters, and be 0, when nothing changes.
    Deviation: ``p = 0`` where Keras divides 0 by 0.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = FTRL(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.095346,  0.099801])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        lr_power: Number = -0.5,
        initial_accumulator_value: Number = 0.1,
        l1: Number = 0.0,
        l2: Number = 0.0,
        l2_shrinkage: Number = 0.0,
        beta: Number = 0.0,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_power": lr_power,
                "initial_accumulator_value": initial_accumulator_value,
                "l1": l1,
                "l2": l2,
                "l2_shrinkage": l2_shrinkage,
                "beta": beta,
                "weight_decay": weight_decay,
            },
            **options,
        )
