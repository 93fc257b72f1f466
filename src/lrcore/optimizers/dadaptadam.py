"""DAdaptAdam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["DAdaptAdam"]


class DAdaptAdam(Optimizer):
    """D-Adaptation for Adam: the rate follows from an estimate of the distance to the solution.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1.0
        In [0, inf); times the rate that is found.
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    eps : float or Schedule, default 1e-8
        In (0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, or decoupled with `decouple`.
    decouple : bool, default False
        Whether the decay multiplies the parameter by ``1 - rate weight_decay``.
    use_bias_correction : bool, default False
        Multiply the rate by Adam's correction for the start of both moments at 0.
    d0 : float or Schedule, default 1e-6
        In (0, inf); what the estimate ``d`` starts at: less than the distance.
    growth_rate : float or Schedule, default float("inf")
        In [1, inf]; the most that ``d`` is multiplied by in a step.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    With ``rate = lr d`` and ``beta3 = sqrt(beta2)``:
    ``numerator = beta3 numerator + (1 - beta3) rate <g, s / (sqrt(v) + eps)>``;
    ``m = beta1 m + (1 - beta1) rate g``; ``v = beta2 v + (1 - beta2) g^2``;
    ``s = beta3 s + (1 - beta3) rate g``; ``p -= m / (sqrt(v) + eps)``;
    ``d = max(d, min(numerator / ((1 - beta3) |s|_1), growth_rate d))`` from the next step on. Three
    state arrays, two sweeps, one estimate a group; ``lr_scale`` is the authors' ``layer_scale``.
    Defazio & Mishchenko 2023, "Learning-Rate-Free Learning by D-Adaptation", algorithm 5 as in the
    authors' package. Deviation: groups may have different rates, and each has an estimate of its
    own. Deviation: the correction goes by the updates of each parameter, in the package by those
    of all. Deviation: at a rate of 0 the moments still fade, in the package they rest. Deviation:
    the package's options ``log_every`` and ``fsdp_in_use`` are left out; `estimates` shows ``d``.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = DAdaptAdam(w)
    >>> for _ in range(400):
    ...     made = opt.step(w - [3.0, 4.0])
    >>> w.round(3)
    array([3., 4.])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1.0,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        decouple: bool = False,
        use_bias_correction: bool = False,
        d0: Number = 1e-6,
        growth_rate: Number = float("inf"),
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "decouple": decouple,
                "use_bias_correction": use_bias_correction,
                "d0": d0,
                "growth_rate": growth_rate,
            },
            **options,
        )
