"""Prodigy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Prodigy"]


class Prodigy(Optimizer):
    """Prodigy: Adam whose rate follows from how far it has come, found faster than D-Adaptation's.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1.0
        In [0, inf); times the rate that is found.
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    beta3 : float, Schedule or None, default None
        None or in [0, 1); how long the estimate remembers. None: the root of ``beta2``.
    eps : float or Schedule, default 1e-8
        In (0, inf); outside the root, times ``d``.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled, or coupled without `decouple`.
    decouple : bool, default True
        Whether the decay multiplies the parameter by ``1 - rate weight_decay``.
    use_bias_correction : bool, default False
        Multiply the rate by Adam's correction for the start of both moments at 0.
    safeguard_warmup : bool, default False
        Leave the rate out of ``s``, so that a warm-up does not make ``d`` too large.
    d0 : float or Schedule, default 1e-6
        In (0, inf); what the estimate ``d`` starts at: less than the distance.
    d_coef : float or Schedule, default 1.0
        In (0, inf); times the estimate: what to tune, if anything.
    growth_rate : float or Schedule, default float("inf")
        In [1, inf]; the most that ``d`` is multiplied by in a step, but for its first.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    With ``rate = lr d``: ``numerator = beta3 numerator + d / d0 rate <g, p0 - p>``;
    ``m = beta1 m + (1 - beta1) d g``; ``v = beta2 v + (1 - beta2) d^2 g^2``;
    ``s = beta3 s + d / d0 rate g``; ``d_max = max(d_max, d_coef numerator / |s|_1)``;
    ``d = min(d_max, growth_rate d)``; ``p -= rate m / (sqrt(v) + d eps)`` with the old rate and the
    new ``d``. Four state arrays, two sweeps, one estimate a group. Mishchenko & Defazio 2024,
    "Prodigy: An Expeditiously Adaptive Parameter-Free Learner", algorithm 4 as in the authors'
    package. Deviation: groups may have different rates, and each has an estimate of its own.
    Deviation: the correction goes by the updates of each parameter, in the package by those of
    all. Deviation: at a rate of 0 the moments still follow the gradient, in the package they rest.
    Deviation: with ``beta1 = 0`` the step is that of the formula, in the package it takes the new
    ``d`` in place of the old one.
    Deviation: the package's options ``fsdp_in_use`` and ``slice_p`` are left out.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = Prodigy(w)
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
        beta3: Number | None = None,
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        decouple: bool = True,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
        d0: Number = 1e-6,
        d_coef: Number = 1.0,
        growth_rate: Number = float("inf"),
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "beta3": beta3,
                "eps": eps,
                "weight_decay": weight_decay,
                "decouple": decouple,
                "use_bias_correction": use_bias_correction,
                "safeguard_warmup": safeguard_warmup,
                "d0": d0,
                "d_coef": d_coef,
                "growth_rate": growth_rate,
            },
            **options,
        )
