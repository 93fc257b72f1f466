"""AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .adam import Adam

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["AdamW"]


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
