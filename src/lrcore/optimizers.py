"""The update rules: one class a rule, with torch's arguments, order and defaults.

Every hyper-parameter that is a number may also be a schedule. The parameters shared by all,
``params`` and the keyword-only options, are described in :class:`lrcore.Optimizer`. In the formulas
``g`` is the gradient after sign, clipping and coupled decay, ``t`` the number of the update from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._hyper import Number
from ._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._optimizer.keywords import Options

__all__ = ["LAMB", "SGD", "Adagrad", "Adam", "AdamW", "Lion", "RMSprop"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's form of it.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    momentum : float or Schedule, default 0
        In [0, inf).
    dampening : float or Schedule, default 0
        Any finite number.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, added to the gradient as ``weight_decay p``.
    nesterov : bool, default False
        Needs momentum and no dampening.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``buf = g`` at the first step, then ``momentum buf + (1 - dampening) g``; ``p -= lr buf``, or
    with nesterov ``p -= lr (g + momentum buf)``. Without momentum ``p -= lr g`` and no state.
    Sutskever, Martens, Dahl & Hinton 2013, "On the importance of initialization and momentum in
    deep learning", has the rate inside the buffer; here, as in torch, it is outside.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0, -2.0], np.float32)
    >>> opt = SGD(w, lr=0.5)
    >>> opt.step(np.array([1.0, 1.0], np.float32))
    True
    >>> w
    array([ 0.5, -2.5], dtype=float32)
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        momentum: Number = 0.0,
        dampening: Number = 0.0,
        weight_decay: Number = 0.0,
        nesterov: bool = False,
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
            },
            **options,
        )

    @classmethod
    def _check_together(cls, who: str, values: Mapping[str, Any]) -> None:
        momentum, dampening = values["momentum"], values["dampening"]
        if values["nesterov"] and (momentum == 0 or dampening != 0):
            raise ValueError(
                f"{who}: nesterov must go with momentum > 0 and dampening 0, "
                f"got momentum {momentum!r} and dampening {dampening!r}"
            )


class Adagrad(Optimizer):
    """Adagrad: each element has its own rate, which falls with the squares it has seen.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-2
        In [0, inf).
    lr_decay : float or Schedule, default 0
        In [0, inf).
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled.
    initial_accumulator_value : float, default 0
        In [0, inf); what the sum of squares starts at.
    eps : float or Schedule, default 1e-10
        In [0, inf); outside the root.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``s += g^2``; ``p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)``. One state array.
    Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", the diagonal form; `lr_decay` and `eps` are torch's additions.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones(2)
    >>> opt = Adagrad(w, lr=0.5)
    >>> opt.step(np.array([3.0, -0.1]))
    True
    >>> w.round(6)
    array([0.5, 1.5])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-2,
        lr_decay: Number = 0.0,
        weight_decay: Number = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: Number = 1e-10,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
            },
            **options,
        )


class RMSprop(Optimizer):
    """RMSprop: the gradient divided by a running root mean square.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-2
        In [0, inf).
    alpha : float or Schedule, default 0.99
        In [0, 1); how much of the mean square is kept.
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled.
    momentum : float or Schedule, default 0
        In [0, inf); on the divided gradient.
    centered : bool, default False
        Divide by the standard deviation instead of the root mean square.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``v = alpha v + (1 - alpha) g^2``; ``d = g / (sqrt(v) + eps)``, centered
    ``g / (sqrt(v - mean^2) + eps)``; ``p -= lr d``, with momentum ``buf = momentum buf + d``,
    ``p -= lr buf``. One to three state arrays. Tieleman & Hinton 2012, "Lecture 6.5"; centered is
    Graves 2013, equations 38-45. Deviation: where rounding leaves ``v - mean^2`` below zero the
    root is taken of 0, where torch returns NaN.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = RMSprop(w, lr=0.01)
    >>> opt.step(np.array([1.0, -5.0]))
    True
    >>> w.round(6)
    array([-0.1,  0.1])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-2,
        alpha: Number = 0.99,
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        momentum: Number = 0.0,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
            },
            **options,
        )


class Adam(Optimizer):
    """Adam: running means of the gradient and of its square, both corrected for their start at 0.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled. For the decoupled form see :class:`AdamW`.
    amsgrad : bool, default False
        Divide by the largest ``v`` so far.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``m = beta1 m + (1 - beta1) g``; ``v = beta2 v + (1 - beta2) g^2``;
    ``p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)``. Two state arrays, three
    with amsgrad. Kingma & Ba 2015, algorithm 1; Reddi, Kale & Kumar 2018 for amsgrad, whose maximum
    is taken before the correction, as in torch.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = Adam(w, lr=0.1)
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
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        amsgrad: bool = False,
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
            },
            **options,
        )


class AdamW(Adam):
    """Adam with weight decay that does not pass through the division.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    eps : float or Schedule, default 1e-8
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 1e-2
        In [0, inf); decoupled.
    amsgrad : bool, default False
        Divide by the largest ``v`` so far.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``p *= 1 - lr weight_decay`` first, then :class:`Adam`. Loshchilov & Hutter 2019, "Decoupled
    Weight Decay Regularization", algorithm 2. Deviation, shared with torch: the decay is multiplied
    by the learning rate, in the paper by the schedule's factor alone.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones(2, np.float32)
    >>> opt = AdamW(w, lr=0.1, weight_decay=0.5)
    >>> opt.step(np.zeros(2, np.float32))
    True
    >>> w
    array([0.95, 0.95], dtype=float32)
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 1e-2,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **options)


class Lion(Optimizer):
    """Lion: the sign of an interpolation between the gradient and its running mean.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-4
        In [0, inf); every element moves by exactly this much, so about a tenth of Adam's.
    betas : tuple of 2 floats or Schedules, default (0.9, 0.99)
        Each in [0, 1): of the interpolation, of the running mean.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``p = p (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g)``, then
    ``m = beta2 m + (1 - beta2) g``; ``sign(0) = 0``. One state array. Chen et al. 2023, "Symbolic
    Discovery of Optimization Algorithms", algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(3)
    >>> opt = Lion(w, lr=0.25)
    >>> opt.step(np.array([3.0, -0.1, 0.0]))
    True
    >>> w
    array([-0.25,  0.25,  0.  ])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-4,
        betas: tuple[Number, Number] = (0.9, 0.99),
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "weight_decay": weight_decay}, **options
        )


class LAMB(Optimizer):
    """LAMB: Adam's direction, scaled for each tensor to the size of the tensor.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1e-3
        In [0, inf).
    betas : tuple of 2 floats or Schedules, default (0.9, 0.999)
        Each in [0, 1).
    eps : float or Schedule, default 1e-6
        In [0, inf); outside the root.
    weight_decay : float or Schedule, default 0
        In [0, inf); part of the direction.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``u`` is Adam's ``m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps)`` plus
    ``weight_decay p``; ``p -= lr |p| / |u| u`` with 2-norms over the tensor, the ratio being 1
    where either is 0. Two state arrays, two sweeps. You et al. 2020, "Large Batch Optimization for
    Deep Learning: Training BERT in 76 minutes", algorithm 2 with phi(x) = x.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([3.0, 4.0])
    >>> opt = LAMB(w, lr=0.1)
    >>> opt.step(np.array([1.0, -1.0]))
    True
    >>> w.round(4)
    array([2.6464, 4.3536])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-6,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}, **options
        )
