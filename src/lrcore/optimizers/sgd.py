"""SGD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["SGD"]


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

    torch_names: ClassVar = {"buf": "momentum_buffer"}

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
        check_nesterov(who, values)


def check_nesterov(who: str, values: Mapping[str, Any]) -> None:
    """Refuse Nesterov's form where there is nothing to look ahead by."""
    momentum, dampening = values["momentum"], values.get("dampening")
    if values["nesterov"] and (momentum == 0 or dampening):
        must, got = "momentum > 0", f"momentum {momentum!r}"
        if dampening is not None:
            must, got = f"{must} and dampening 0", f"{got} and dampening {dampening!r}"
        raise ValueError(f"{who}: nesterov must go with {must}, got {got}")
