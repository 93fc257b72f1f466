"""NAdam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """NAdam: Adam with Nesterov's momentum, which rises during the first updates.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 2e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1); of the mean of the gradient and of that of its square.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, unless decoupled_weight_decay.
    momentum_decay : float or Schedule, default 4e-3
        In [0, inf); how fast the momentum rises from ``beta1 / 2`` to ``beta1``.
    decoupled_weight_decay : bool, default False
        Multiply the parameter by ``1 - lr weight_decay`` instead of adding to the gradient.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``v = beta2 v + (1 - beta2) g^2``;
    ``mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)``; ``P = mu_1 ... mu_t``;
    ``d = (1 - mu_t) / (1 - P) g + mu_(t+1) / (1 - P mu_(t+1)) m``;
    ``p -= lr d / (sqrt(v / (1 - beta2^t)) + eps)``. Two state arrays, one sweep, and for
    each parameter the number ``mu_product``, which is P. Dozat 2016, "Incorporating Nesterov
    Momentum into Adam", algorithm 2. Deviation: P is kept in float64, where torch keeps it in
    float32.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = NAdam(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.105645,  0.105645])
    """

    torch_names: ClassVar = {"t": "step", "m": "exp_avg", "v": "exp_avg_sq"}

    def __init__(
        self,
        params: Any,
        lr: Number = 2e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        momentum_decay: Number = 4e-3,
        decoupled_weight_decay: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            **options,
        )
