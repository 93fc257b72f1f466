"""DAdaptSGD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["DAdaptSGD"]


class DAdaptSGD(Optimizer):
    """D-Adaptation for SGD: the rate follows from an estimate of the distance to the solution.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1.0
        In [0, inf); times the rate that is found.
    momentum : float or Schedule, default 0
        In [0, 1); the share of the parameter that stays where it is.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, added to the gradient as ``weight_decay p``.
    d0 : float or Schedule, default 1e-6
        In (0, inf); what the estimate ``d`` starts at: less than the distance.
    growth_rate : float or Schedule, default float("inf")
        In [1, inf]; the most that ``d`` is multiplied by in a step.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    With ``rate = lr d / |g_1|``, where ``g_1`` is the first gradient of all of the group:
    ``numerator += rate <g, s>``; ``s += rate g``; ``p = momentum p + (1 - momentum) (x0 - s)``;
    ``d = max(d, min(2 numerator / |s|, growth_rate d))`` from the next step on. Two state arrays,
    two sweeps, one estimate a group. Defazio & Mishchenko 2023, "Learning-Rate-Free Learning by
    D-Adaptation", algorithm 4 with the constants of the authors' package. Deviation: groups may
    have different rates, and each has an estimate of its own. Deviation: ``g_1`` is with its
    weight decay, in the package without. Deviation: the package's options ``log_every`` and
    ``fsdp_in_use`` are left out; `estimates` shows ``d``.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = DAdaptSGD(w)
    >>> for _ in range(50):
    ...     made = opt.step(w - [3.0, 4.0])
    >>> w.round(3)
    array([3., 4.])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1.0,
        momentum: Number = 0.0,
        weight_decay: Number = 0.0,
        d0: Number = 1e-6,
        growth_rate: Number = float("inf"),
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "weight_decay": weight_decay,
                "d0": d0,
                "growth_rate": growth_rate,
            },
            **options,
        )
