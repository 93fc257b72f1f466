"""AdaBound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["AdaBound"]


class AdaBound(Optimizer):
    """AdaBound: Adam, whose rate of each element is squeezed from both sides until it is SGD's.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf); Adam's rate, at the beginning.
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    final_lr : float or Schedule, default 0.1
        In [0, inf); the rate of SGD with momentum that every element comes to.
    gamma : float or Schedule, default 1e-3
        In (0, 1); how fast: at step ``1 / gamma`` the rate is between 1/2 and 2 times ``final_lr``.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled.
    amsbound : bool, default False
        Divide by the largest ``v`` so far.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``v = beta2 v + (1 - beta2) g^2``;
    ``rate = lr sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + eps)``, at least
    ``last (1 - 1 / (gamma t + 1))`` and at most ``last (1 + 1 / (gamma t))``;
    ``p -= rate m``. ``last`` is ``final_lr lr / base``, ``base`` being the largest ``lr`` of the
    group so far, so that a schedule of ``lr`` and ``lr_scale`` reach the bounds, too. Two state
    arrays, three with amsbound; one sweep. Luo et al. 2019, "Adaptive Gradient Methods with Dynamic
    Bound of Learning Rate", algorithms 2 and 3. Deviation: the paper divides the rate by
    ``sqrt(t)`` and does not correct it for the start at 0; the authors' package adabound 0.0.5 and
    this rule correct and do not divide. Deviation: ``base`` is the first ``lr`` in the package,
    which a warm-up would begin at 0.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = AdaBound(w, lr=0.1)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.1,  0.1])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        final_lr: Number = 0.1,
        gamma: Number = 1e-3,
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        amsbound: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "final_lr": final_lr,
                "gamma": gamma,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsbound": amsbound,
            },
            **options,
        )
