"""StableAdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["StableAdamW"]


class StableAdamW(Optimizer):
    """StableAdamW: AdamW that steps less far where a tensor's gradient is larger than expected.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 1e-2
        In [0, inf); decoupled, times the rate that is left.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m`` and ``v`` are running means of ``g`` and ``g^2`` with ``beta (1 - beta^(t-1)) / (1 -
    beta^t)`` in place of ``beta``, so that they need no correction; ``eta = lr / max(1, rms)`` with
    ``rms^2`` the mean of ``g^2 / max(v, eps^2)`` over the tensor;
    ``p = (1 - eta weight_decay) p - eta m / (sqrt(v) + eps)``. Two state arrays, two sweeps.
    Wortsman et al. 2023, "Stable and low-precision training for large-scale vision-language
    models", algorithm 2. Deviation: betas are AdamW's by default; pytorch_optimizer has (0.9,
    0.99). Deviation: an element whose ``v`` and ``eps`` are 0 counts as 0, not as NaN.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = StableAdamW(w, lr=0.1)
    >>> [opt.step(np.full(2, g)) for g in (1.0, 10.0)]
    [True, True]
    >>> w.round(4), round(opt.estimates[""]["shrink"], 4)
    (array([-0.1573, -0.1573]), 0.7108)
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 1e-2,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}, **options
        )
