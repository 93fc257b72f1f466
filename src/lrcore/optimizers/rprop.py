"""Rprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer
from .._schedule import Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Rprop: each element has its own step, longer while its gradient keeps its sign.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-2
        In [0, inf); the first step of each element. Later updates only look whether it is 0.
    etas : tuple of 2 floats or Schedules, default (0.5, 1.2)
        The first in (0, 1), the second in (1, inf); a step is multiplied by the second while the
        sign of the gradient stays, and by the first when it changes.
    step_sizes : tuple of 2 floats or Schedules, default (1e-6, 50)
        Each in [0, inf), the first not above the second; the shortest and the longest step.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``step = eta2 step`` where ``g prev > 0``, ``eta1 step`` where ``g prev < 0``, inside the step
    sizes; ``prev = 0`` where ``g prev < 0``, elsewhere g; ``p -= sign(prev) step``. Two state
    arrays, one sweep. Meant for whole data sets: noise in the sign of the gradient misleads it.
    Riedmiller & Braun 1993, "A Direct Adaptive Method for Faster Backpropagation Learning: The
    RPROP Algorithm"; Igel & Huesken 2000, "Improving the Rprop Learning Algorithm", for the form
    iRprop- that this is. Deviation: at lr 0 nothing changes, and the first step is made at the
    first update with another lr; torch then begins with the shortest step.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = Rprop(w)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.01,  0.01])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-2,
        etas: tuple[Number, Number] = (0.5, 1.2),
        step_sizes: tuple[Number, Number] = (1e-6, 50.0),
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes}, **options)

    @classmethod
    def _check_together(cls, who: str, values: Mapping[str, Any]) -> None:
        (shorter, longer), (low, high) = values["etas"], values["step_sizes"]
        if not isinstance(shorter, Schedule) and shorter >= 1:
            raise ValueError(f"{who}: etas[0] must be in (0, 1), got {shorter!r}")
        if not isinstance(longer, Schedule) and longer <= 1:
            raise ValueError(f"{who}: etas[1] must be in (1, inf), got {longer!r}")
        if not isinstance(low, Schedule) and not isinstance(high, Schedule) and low > high:
            raise ValueError(
                f"{who}: step_sizes[0] must be at most step_sizes[1], {high!r}, got {low!r}"
            )
