"""MADGRAD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["MADGRAD"]


class MADGRAD(Optimizer):
    """MADGRAD: all gradients so far, added up and divided by the cube root of their squares.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-2
        In [0, inf).
    momentum : float or Schedule, default 0.9
        In [0, 1); how much of the parameter is kept.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, unless decoupled_weight_decay.
    eps : float or Schedule, default 1e-6
        In [0, inf); outside the cube root, and added to lr.
    decoupled_weight_decay : bool, default False
        Multiply the parameter by ``1 - lr weight_decay`` instead of adding to the gradient.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``l = (lr + eps) sqrt(t)``, 0 where lr is; ``v += l g^2``; ``s += l g``;
    ``z = x0 - s / (cbrt(v) + eps)``, where x0 is what the parameter began at;
    ``p = momentum p + (1 - momentum) z``. Three state arrays, two without momentum, one sweep. It
    needs less weight decay than other rules. Defazio & Jelassi 2022, "A Momentumized, Adaptive,
    Dual Averaged Gradient Method for Stochastic Optimization", algorithm 1. Deviation: decoupled
    decay comes before the update, as in timm; the authors' code (whose argument is decouple_decay)
    subtracts ``(lr + eps) weight_decay p`` after it.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = MADGRAD(w, lr=0.1, momentum=0)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.215444,  0.368405])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-2,
        momentum: Number = 0.9,
        weight_decay: Number = 0.0,
        eps: Number = 1e-6,
        decoupled_weight_decay: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "weight_decay": weight_decay,
                "eps": eps,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            **options,
        )
