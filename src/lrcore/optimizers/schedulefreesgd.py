"""Schedule-free SGD."""

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

__all__ = ["ScheduleFreeSGD"]


class ScheduleFreeSGD(Optimizer):
    """ScheduleFreeSGD: SGD without a schedule: the average of its points is the result.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1
        In [0, inf).
    momentum : float or Schedule, default 0.9
        In (0, 1); how much of the average is in the point where gradients are taken.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, added to the gradient as ``weight_decay y``.
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
    With ``u = g``: ``lr_t = lr min(1, t / warmup_steps)``; ``z -= lr_t u``; ``x`` is the mean of
    all ``z``, the t-th with weight ``t^r max(lr_t)^weight_lr_power``; ``y = (1 - momentum) z +
    momentum x``. The arrays hold ``y``, and hold ``x`` after ``opt.eval()``, until ``opt.train()``;
    ``x`` is not kept but follows from both others. One state array. Defazio, Yang, Mehta,
    Mishchenko, Khaled & Cutkosky 2024, "The Road Less Scheduled", equations 3 to 5. Deviation:
    parameters that had no gradient count by their own t, not by their group's, and may begin later.
    Deviation: momentum may change, also by a schedule; ``x`` goes on from where it was. Deviation:
    there is no need to call train() before the first step.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(1)
    >>> opt = ScheduleFreeSGD(w, lr=1.0)
    >>> [opt.step(np.array([-1.0])) for _ in range(2)], w.round(6)
    ([True, True], array([1.55]))
    >>> opt.eval()
    >>> w.round(6)
    array([1.5])
    """

    two_points: ClassVar[bool] = True

    def __init__(
        self,
        params: Any,
        lr: Number = 1.0,
        momentum: Number = 0.9,
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
                "momentum": momentum,
                "weight_decay": weight_decay,
                "warmup_steps": warmup_steps,
                "r": r,
                "weight_lr_power": weight_lr_power,
            },
            **options,
        )

    @classmethod
    def _check_together(cls, who: str, values: Mapping[str, Any]) -> None:
        momentum = values["momentum"]
        if isinstance(momentum, float) and not 0 < momentum < 1:
            raise ValueError(f"{who}: momentum must be in (0, 1), got {momentum!r}")

    @classmethod
    def _point(cls, p: Array, s: SimpleNamespace, k: SimpleNamespace) -> Array:
        from ..reference.rules._schedulefree import average

        return average(p, s.z, k.beta)
