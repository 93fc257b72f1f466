"""RowwiseAdagrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["RowwiseAdagrad"]


class RowwiseAdagrad(Optimizer):
    """RowwiseAdagrad: Adagrad with one rate a row, for embedding tables.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
        In C order.
    lr : float or Schedule, default 1e-2
        In [0, inf).
    lr_decay : float or Schedule, default 0
        In [0, inf).
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, so that the mean square sees it.
    initial_accumulator_value : float, default 0
        In [0, inf); what the sum of mean squares starts at.
    eps : float or Schedule, default 1e-10
        In [0, inf); outside the root.
    **options
        As for :class:`lrcore.Optimizer`, but for `state_dtype`.

    Notes
    -----
    ``s += mean(g^2)`` for each row, over its elements;
    ``p -= lr / (1 + (t - 1) lr_decay) / (sqrt(s) + eps) g``. State is one number a row; two sweeps.
    A row is what one index of the first axis selects, of a vector an element. For the gradient of
    some rows see :class:`lrcore.RowGrad`. Mudigere et al. 2022, "Software-Hardware Co-design for
    Fast and Scalable Training of Deep Learning Recommendation Models"; arguments and defaults are
    those of TorchRec's ``RowWiseAdagrad``. Deviation: the mean is taken in float64 and rounded
    once, and the step is the product of the row's rate and the gradient, where TorchRec divides
    each element.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.zeros((3, 2))
    >>> opt = RowwiseAdagrad(table, lr=0.5)
    >>> opt.step(np.array([[3.0, 4.0], [0.0, 0.0], [-1.0, 1.0]]))
    True
    >>> opt.state[""]["s"]
    array([12.5,  0. ,  1. ])
    >>> table.round(4)
    array([[-0.4243, -0.5657],
           [ 0.    ,  0.    ],
           [ 0.5   , -0.5   ]])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-2,
        lr_decay: Number = 0.0,
        weight_decay: Number = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: Number = 1e-10,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
            },
            **options,
        )
