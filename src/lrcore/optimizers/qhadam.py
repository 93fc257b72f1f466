"""QHAdam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["QHAdam"]


class QHAdam(Optimizer):
    """QHAdam: Adam, with the gradient of this step mixed into the momentum and into the divisor.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    nus : tuple of 2 floats or Schedules, default (1.0, 1.0)
        Each in [0, 1]: the share of the running mean in the numerator and in the divisor. (1, 1) is
        Adam, ``nus=(0.7, 1.0)`` with ``betas=(0.995, 0.999)`` is what the authors try first.
    weight_decay : float or Schedule, default 0
        In [0, inf).
    decoupled_weight_decay : bool, default False
        ``p *= 1 - lr weight_decay``, as in :class:`AdamW`, instead of ``g += weight_decay p``. The
        authors call it ``decouple_weight_decay``.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``v = beta2 v + (1 - beta2) g^2``;
    ``u = (1 - nu1) g + nu1 m / (1 - beta1^t)``; ``w = (1 - nu2) g^2 + nu2 v / (1 - beta2^t)``;
    ``p -= lr u / (sqrt(w) + eps)``. Two state arrays, one sweep. Ma & Yarats 2019,
    "Quasi-hyperbolic momentum and Adam for deep learning", section 3.3 and the authors' package
    qhoptim, whose arguments these are.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = QHAdam(w, lr=0.1, nus=(0.7, 1.0))
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.1,  0.1])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        nus: tuple[Number, Number] = (1.0, 1.0),
        weight_decay: Number = 0.0,
        decoupled_weight_decay: bool = False,
        eps: Number = 1e-8,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "nus": nus,
                "weight_decay": weight_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "eps": eps,
            },
            **options,
        )
