"""Adagrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad: each element has its own rate, which falls with the squares it has seen.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-2
        In [0, inf).
    lr_decay : float or Schedule, default 0
        In [0, inf).
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled.
    initial_accumulator_value : float, default 0
        In [0, inf); what the sum of squares starts at.
    eps : float or Schedule, default 1e-10
        In [0, inf); outside the root.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``s += g^2``; ``p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)``. One state array.
    Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", the diagonal form; `lr_decay` and `eps` are torch's additions.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones(2)
    >>> opt = Adagrad(w, lr=0.5)
    >>> opt.step(np.array([3.0, -0.1]))
    True
    >>> w.round(6)
    array([0.5, 1.5])
    """

    torch_names: ClassVar = {"t": "step", "s": "sum"}
    kept_at_once: ClassVar = True

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
