"""HypergradientSGD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer
from .sgd import check_nesterov

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["HypergradientSGD"]


class HypergradientSGD(Optimizer):
    """HypergradientSGD: SGD that raises its rate while steps go on in one direction.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf); the rate to begin with.
    momentum : float or Schedule, default 0
        In [0, inf).
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, added to the gradient as ``weight_decay p``.
    nesterov : bool, default False
        Needs momentum.
    hyper_lr : float or Schedule, default 1e-6
        In [0, inf); the rate at which the rate learns.
    floor : float or Schedule, default 0
        In [0, inf); the least rate there may be, but for lr 0. Made for rates that begin above it.
    multiplicative : bool, default False
        Change the rate by a share of itself, as far as gradient and step before agree; `hyper_lr`
        is then free of the gradient's size, and 1e-2 or so.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``d = momentum d + g``, or with nesterov ``buf = momentum buf + g; d = g + momentum buf``; ``p
    -= eta d``. ``eta``, one a group, begins at lr and moves before each step by ``hyper_lr <g,
    d>``, with ``d`` the one of the step before, or is multiplied by ``1 + hyper_lr <g, d> / (|g|
    |d|)``; it is never below floor. What has been learned is kept beside lr, ``eta = (lr + shift)
    factor``: where lr is a schedule, the additive form shifts it and the multiplicative one scales
    it, so that only the latter follows it down to small rates; both stop where lr is 0. `estimates`
    has ``eta``, ``shift`` and ``factor`` of each group; a parameter's `lr_scale` is a factor on
    ``eta``. One state array, two with nesterov; two sweeps. Baydin, Cornish, Martinez Rubio,
    Schmidt & Wood 2018, "Online Learning Rate Adaptation with Hypergradient Descent", algorithms 4
    and 5.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(1)
    >>> opt = HypergradientSGD(w, lr=0.5, hyper_lr=0.25)
    >>> [opt.step(np.array([1.0])) for _ in range(3)], opt.estimates[0]["eta"]
    ([True, True, True], 1.0)
    >>> w
    array([-2.25])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        momentum: Number = 0.0,
        weight_decay: Number = 0.0,
        nesterov: bool = False,
        hyper_lr: Number = 1e-6,
        floor: Number = 0.0,
        multiplicative: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "hyper_lr": hyper_lr,
                "floor": floor,
                "multiplicative": multiplicative,
            },
            **options,
        )

    @classmethod
    def _check_together(cls, who: str, values: Mapping[str, Any]) -> None:
        check_nesterov(who, values)
