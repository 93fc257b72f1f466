"""AdaBelief."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["AdaBelief"]


class AdaBelief(Optimizer):
    """AdaBelief: Adam, divided by how far gradients are from their running mean instead of from 0.

    Where gradients stay as predicted the steps are long, where they surprise they are short.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1): of the mean of gradients and of the mean of squared surprises.
    eps : float or Schedule, default 1e-16
        In [0, inf); added to ``v`` at every step, and once more outside the root. 1e-8 comes closer
        to SGD, 1e-16 to Adam.
    weight_decay : float or Schedule, default 0
        In [0, inf).
    amsgrad : bool, default False
        Divide by the largest ``v`` so far.
    decoupled_weight_decay : bool, default True
        ``p *= 1 - lr weight_decay``, as in :class:`AdamW`, instead of ``g += weight_decay p``. The
        authors call it ``weight_decouple``.
    rectify : bool, default True
        Shorten the first steps, as RAdam does, and do not divide at all in the very first ones.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``v = beta2 v + (1 - beta2) (g - m)^2 + eps``;
    ``p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)``. Rectified, with
    ``r_max = 2 / (1 - beta2) - 1`` and ``r = r_max - 2 t beta2^t / (1 - beta2^t)``:
    ``p -= lr f / (1 - beta1^t) m / (sqrt(v) + eps)`` where ``r >= 5``, with
    ``f^2 = (1 - beta2^t) (r - 4) (r - 2) r_max / ((r_max - 4) (r_max - 2) r)``, and before
    ``p -= lr / (1 - beta1^t) m``. Two state arrays, three with amsgrad; one sweep. Zhuang et al.
    2020, "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients", algorithm
    2, and the authors' package adabelief-pytorch 0.2.1, whose defaults these are; rectified after
    Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond", algorithm 2.
    Deviation: with both ``rectify`` and ``amsgrad`` the largest ``v`` is the divisor; the package
    then forgets it. Deviation: ``fixed_decay`` and ``degenerated_to_sgd=False`` are left out.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = AdaBelief(w, lr=0.1, rectify=False)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.111111,  0.111111])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-16,
        weight_decay: Number = 0.0,
        amsgrad: bool = False,
        decoupled_weight_decay: bool = True,
        rectify: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "decoupled_weight_decay": decoupled_weight_decay,
                "rectify": rectify,
            },
            **options,
        )
