"""ASGD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """ASGD: gradient descent with a falling rate, and the average of the parameters.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-2
        In [0, inf).
    lambd : float or Schedule, default 1e-4
        In [0, inf); how strongly parameters are pulled to 0, and how fast the rate falls.
    alpha : float or Schedule, default 0.75
        In [0, inf); the power by which the rate falls; 0: not at all.
    t0 : float or Schedule, default 1e6
        In [0, inf); the update after which the average begins.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, added to the gradient as ``weight_decay p``.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``p = (1 - lambd eta) p - eta g``; ``ax = (1 - mu) ax + mu p``; then, for the next update,
    ``eta = lr / (1 + lambd lr t)^alpha`` and ``mu = 1 / max(1, t - t0)``; the first goes by ``lr``
    and 1. One state array, one sweep, and for each parameter the numbers ``eta`` and ``mu``, and
    those that the last update went by, ``rate`` and ``share``. Where lr is a schedule, an update
    thus goes by the rate of the one before, as in torch. The average, which is what to evaluate
    with, is ``opt.state[path]["ax"]``; up to update t0 + 2 it is the parameter. Any other rule has
    an average with the option ``swa``. Polyak & Juditsky 1992, "Acceleration of Stochastic
    Approximation by Averaging"; the rate is of Bottou 2012, "Stochastic Gradient Descent Tricks",
    section 5. Deviation: eta and mu are kept in float64, where torch keeps them in float32.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = ASGD({"w": w}, lr=0.1, t0=0, lambd=0)
    >>> for _ in range(3):
    ...     opt.step({"w": np.array([1.0, -5.0])})
    True
    True
    True
    >>> w.round(6), opt.state["w"]["ax"].round(6)
    (array([-0.3,  1.5]), array([-0.25,  1.25]))
    """

    torch_names: ClassVar = {"t": "step", "rate": None, "share": None}

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-2,
        lambd: Number = 1e-4,
        alpha: Number = 0.75,
        t0: Number = 1e6,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay},
            **options,
        )
