"""RAdam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """RAdam: Adam whose steps adapt only once the mean square has seen enough gradients.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1); of the mean of the gradient and of that of its square.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, unless decoupled_weight_decay.
    decoupled_weight_decay : bool, default False
        Multiply the parameter by ``1 - lr weight_decay`` instead of adding to the gradient.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``v = beta2 v + (1 - beta2) g^2``; ``L = 2 / (1 - beta2) - 1``;
    ``l = L - 2 t beta2^t / (1 - beta2^t)``; where ``l > 5`` (from the sixth update on with the
    default), ``r = sqrt((l - 4) (l - 2) L / ((L - 4) (L - 2) l))`` and
    ``p -= lr r / (1 - beta1^t) m sqrt(1 - beta2^t) / (sqrt(v) + eps)``, elsewhere
    ``p -= lr / (1 - beta1^t) m``. Two state arrays, one sweep. Liu et al. 2020, "On the Variance of
    the Adaptive Learning Rate and Beyond", algorithm 2, whose bound for l is 4.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = RAdam(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.1,  0.5])
    """

    torch_names: ClassVar = {"t": "step", "m": "exp_avg", "v": "exp_avg_sq"}

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
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
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            **options,
        )
