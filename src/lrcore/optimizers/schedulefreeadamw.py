"""Schedule-free AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options
    from .._optimizer.rule import Array

__all__ = ["ScheduleFreeAdamW"]


class ScheduleFreeAdamW(Optimizer):
    """ScheduleFreeAdamW: AdamW without a schedule: the average of its points is the result.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 0.0025
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        The first in (0, 1): how much of the average is in the point where gradients are taken; the
        second in [0, 1).
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled, part of the direction as ``weight_decay y``.
    warmup_steps : int or Schedule, default 0
        At least 0; over so many updates the rate rises linearly to lr.
    r : float or Schedule, default 0
        In [0, inf); the t-th point weighs ``t^r`` in the average: above 0 later ones count more.
    weight_lr_power : float or Schedule, default 2
        In [0, inf); points also weigh as this power of the largest rate so far, so that those of
        the warm-up count less.
    **options
        As for :class:`lrcore.Optimizer`. `cautious`, `grams` and `lookahead` move ``y`` alone, so
        that the average no longer fits it.

    Notes
    -----
    With ``v = beta2 v + (1 - beta2) g^2`` and ``u = g / (sqrt(v) / sqrt(1 - beta2^t) + eps) +
    weight_decay y``: ``lr_t = lr min(1, t / warmup_steps)``; ``z -= lr_t u``; ``x`` is the mean of
    all ``z``, the t-th with weight ``t^r max(lr_t)^weight_lr_power``; ``y = (1 - beta1) z + beta1
    x``. The arrays hold ``y``, and hold ``x`` after ``opt.eval()``, until ``opt.train()``; ``x`` is
    not kept but follows from both others. Two state arrays. Defazio, Yang, Mehta, Mishchenko,
    Khaled & Cutkosky 2024, "The Road Less Scheduled", algorithm 1. Deviation: parameters that had
    no gradient count by their own t, not by their group's, and may begin later. Deviation: beta1
    may change, also by a schedule; ``x`` goes on from where it was. Deviation: there is no need to
    call train() before the first step.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(1)
    >>> opt = ScheduleFreeAdamW(w, lr=0.5)
    >>> [opt.step(np.array([-3.0])) for _ in range(2)], w.round(6)
    ([True, True], array([0.775]))
    >>> opt.eval()
    >>> w.round(6)
    array([0.75])
    """

    two_points: ClassVar[bool] = True

    def __init__(
        self,
        params: Any,
        lr: Number = 0.0025,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        warmup_steps: Number = 0,
        r: Number = 0.0,
        weight_lr_power: Number = 2.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "warmup_steps": warmup_steps,
                "r": r,
                "weight_lr_power": weight_lr_power,
            },
            **options,
        )

    @classmethod
    def _check_together(cls, who: str, values: Mapping[str, Any]) -> None:
        if values["betas"][0] == 0:
            raise ValueError(f"{who}: betas[0] must be in (0, 1), got 0.0")

    @classmethod
    def _point(cls, p: Array, s: SimpleNamespace, k: SimpleNamespace) -> Array:
        from ..reference.rules._schedulefree import average

        return average(p, s.z, k.beta)
