"""LARS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer
from .sgd import check_nesterov

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["LARS"]


class LARS(Optimizer):
    """LARS: SGD whose step, for each tensor, is as long as the tensor's own size allows.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf); with `trust_coefficient` the relative change of a tensor a step, so that rates
        of 1 and more are usual.
    momentum : float or Schedule, default 0.9
        In [0, inf).
    dampening : float or Schedule, default 0
        Any finite number.
    weight_decay : float or Schedule, default 0
        In [0, inf); added to the gradient as ``weight_decay p``, and part of the ratio.
    nesterov : bool, default False
        Needs momentum and no dampening.
    trust_coefficient : float or Schedule, default 1e-3
        In [0, inf); the length of a step in units of the tensor's norm, for ``lr`` 1.
    eps : float or Schedule, default 1e-8
        In [0, inf); keeps the ratio of small gradients finite.
    trust_clip : bool, default False
        LARC: never step longer than SGD with ``lr`` would.
    always_adapt : bool, default True
        If False, tensors without weight decay, such as biases left out by `decay_mask`, are
        updated by plain SGD.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``ratio = trust_coefficient |p| / (|g| + weight_decay |p| + eps)`` with 2-norms over the tensor,
    1 where either is 0, with trust_clip ``min(ratio / lr, 1)``; ``u = ratio (g + weight_decay p)``;
    ``buf = u`` at the first step, then ``momentum buf + (1 - dampening) u``; ``p -= lr buf``, or
    with nesterov ``p -= lr (u + momentum buf)``, without momentum ``p -= lr u``. One state array,
    none without momentum; two sweeps. You, Gitman & Ginsburg 2017, "Large Batch Training of
    Convolutional Networks", algorithm 1. Deviation: the rate is outside the buffer, as in torch and
    timm; the paper has it inside. Deviation: timm calls the coefficient ``trust_coeff``, and its
    defaults are lr 1, momentum 0 and always_adapt False.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([3.0, 4.0])
    >>> opt = LARS(w, lr=1.0, trust_coefficient=0.1)
    >>> opt.step(np.array([2.0, 0.0]))
    True
    >>> w.round(6)
    array([2.5, 4. ])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        momentum: Number = 0.9,
        dampening: Number = 0.0,
        weight_decay: Number = 0.0,
        nesterov: bool = False,
        trust_coefficient: Number = 1e-3,
        eps: Number = 1e-8,
        trust_clip: bool = False,
        always_adapt: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "trust_coefficient": trust_coefficient,
                "eps": eps,
                "trust_clip": trust_clip,
                "always_adapt": always_adapt,
            },
            **options,
        )

    @classmethod
    def _check_together(cls, who: str, values: Mapping[str, Any]) -> None:
        check_nesterov(who, values)
