"""ADOPT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["ADOPT"]


class ADOPT(Optimizer):
    """ADOPT: the gradient is divided by the size of those before it, clipped, and then averaged.

    Since a gradient never divides itself, the rule converges for any ``beta2``. The first step only
    measures: it leaves the parameters where they are.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.9999)
        Each in [0, 1): of the mean of divided gradients and of the mean of squares.
    eps : float or Schedule, default 1e-6
        In [0, inf); the least divisor.
    clip_exp : float or Schedule or None, default 0.25
        In [0, inf); divided gradients are clipped to ``(t - 1)^clip_exp`` on both sides. None: not
        at all, as in the paper's first form.
    weight_decay : float or Schedule, default 0
        In [0, inf).
    decoupled_weight_decay : bool, default False
        ``p *= 1 - lr weight_decay``, as in :class:`AdamW`, instead of ``g += weight_decay p``. The
        authors call it ``decouple``.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    At ``t = 1`` ``v = g^2``; then ``u = g / max(sqrt(v), eps)``, clipped;
    ``m = beta1 m + (1 - beta1) u``; ``p -= lr m``; ``v = beta2 v + (1 - beta2) g^2``. Two state
    arrays, one sweep. Taniguchi et al. 2024, "ADOPT: Modified Adam Can Converge with Any beta2 with
    the Optimal Rate", algorithm 2. Deviation: the bound is a power of ``t - 1`` by its exponent,
    0.25 being the authors' ``clip_lambda``, which takes any function. Deviation: decoupled decay
    begins with the first step; in timm with the second.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = ADOPT(w, lr=0.1)
    >>> for g in [1.0, -5.0], [0.5, -5.0]:
    ...     opt.step(np.array(g))
    True
    True
    >>> w.round(6)
    array([-0.005,  0.01 ])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.9999),
        eps: Number = 1e-6,
        clip_exp: Number | None = 0.25,
        weight_decay: Number = 0.0,
        decoupled_weight_decay: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "clip_exp": clip_exp,
                "weight_decay": weight_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            **options,
        )
