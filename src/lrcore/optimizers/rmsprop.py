"""RMSprop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop: the gradient divided by a running root mean square.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-2
        In [0, inf).
    alpha : float or Schedule, default 0.99
        In [0, 1); how much of the mean square is kept.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root, see `eps_inside`.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled.
    momentum : float or Schedule, default 0
        In [0, inf); on the divided gradient.
    centered : bool, default False
        Divide by the standard deviation instead of the root mean square.
    eps_inside : bool, default False
        Add `eps` inside the root, as TensorFlow, Keras and optax do. It weighs much more there: an
        `eps` of 1e-7 is in the way of gradients below 3e-4.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``v = alpha v + (1 - alpha) g^2``; ``d = g / (sqrt(v) + eps)``, centered ``g / (sqrt(v - mean^2)
    + eps)``; ``p -= lr d``, with momentum ``buf = momentum buf + d``, ``p -= lr buf``. With
    eps_inside ``d = g / sqrt(v + eps)``. One to three state arrays. Tieleman & Hinton 2012,
    "Lecture 6.5"; centered is Graves 2013, equations 38-45. Deviation: where rounding leaves ``v -
    mean^2`` below zero the root is taken of 0, where torch returns NaN.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = RMSprop(w, lr=0.01)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.1,  0.1])
    """

    torch_names: ClassVar = {
        "t": "step",
        "v": "square_avg",
        "mean": "grad_avg",
        "buf": "momentum_buffer",
    }

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-2,
        alpha: Number = 0.99,
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        momentum: Number = 0.0,
        centered: bool = False,
        eps_inside: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "eps_inside": eps_inside,
            },
            **options,
        )
