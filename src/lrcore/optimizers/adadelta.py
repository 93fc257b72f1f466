"""Adadelta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta: steps as large as earlier steps were, relative to the gradients.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1.0
        In [0, inf).
    rho : float or Schedule, default 0.9
        In [0, 1]; how much of both mean squares is kept.
    eps : float or Schedule, default 1e-6
        In [0, inf); inside the roots: the first steps are of about its root.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, added to the gradient as ``weight_decay p``.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``v = rho v + (1 - rho) g^2``; ``d = sqrt(u + eps) / sqrt(v + eps) g``;
    ``u = rho u + (1 - rho) d^2``; ``p -= lr d``. Two state arrays, one sweep. Zeiler 2012,
    "ADADELTA: An Adaptive Learning Rate Method", algorithm 1, which has no rate: that is lr 1.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = Adadelta(w)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.003162,  0.003162])
    """

    torch_names: ClassVar = {"t": "step", "v": "square_avg", "u": "acc_delta"}

    def __init__(
        self,
        params: Any,
        lr: Number = 1.0,
        rho: Number = 0.9,
        eps: Number = 1e-6,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay},
            **options,
        )
