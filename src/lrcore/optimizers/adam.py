"""Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Adam"]


class Adam(Optimizer):
    """Adam: running means of the gradient and of its square, both corrected for their start at 0.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled. For the decoupled form see :class:`AdamW`.
    amsgrad : bool, default False
        Divide by the largest ``v`` so far.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``v = beta2 v + (1 - beta2) g^2``;
    ``p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)``. Two state arrays, three
    with amsgrad. Kingma & Ba 2015, algorithm 1; Reddi, Kale & Kumar 2018 for amsgrad, whose maximum
    is taken before the correction, as in torch.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = Adam(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.1,  0.1])
    """

    torch_names: ClassVar = {
        "t": "step",
        "m": "exp_avg",
        "v": "exp_avg_sq",
        "vmax": "max_exp_avg_sq",
    }
    decoupled: ClassVar = "AdamW"

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
            },
            **options,
        )
