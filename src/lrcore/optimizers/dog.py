"""DoG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["DoG"]


class DoG(Optimizer):
    """DoG: SGD whose rate is the distance covered over the root of all squared gradients.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    reps_rel : float or Schedule, default 1e-6
        In (0, inf); the first distance is this times ``1 + |p|``. 1e-4 with batch normalisation.
    lr : float or Schedule, default 1.0
        In [0, inf); times the rate that is found.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, added to the gradient as ``weight_decay p``.
    eps : float or Schedule, default 1e-8
        In [0, inf); added to the sum of squares once.
    init_eta : float, Schedule or None, default None
        None or in (0, inf); the first rate, in place of the one that `reps_rel` gives.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``distance = max(distance, |p - x0|)``, at first ``reps_rel (1 + |x0|)``; ``squares += |g|^2``,
    at first plus ``eps``; ``p -= lr distance / sqrt(squares) g``, with 2-norms over the group. One
    state array, two sweeps, one estimate a group. Ivgi, Hinder & Carmon 2023, "DoG is SGD's Best
    Friend: A Parameter-Free Dynamic Step Size Schedule". The authors advise to use an
    average of the parameters: ``ema=`` or ``swa=``, which take the place of their
    ``PolynomialDecayAverager``. Deviation: `init_eta` is multiplied by `lr`, as every later rate.
    Deviation: parameters without a gradient do not count in ``|x0|`` and ``|p - x0|``; in the
    authors' package they are an error.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = DoG(w, init_eta=0.1)
    >>> for _ in range(50):
    ...     made = opt.step(w - [3.0, 4.0])
    >>> w.round(3)
    array([3., 4.])
    """

    def __init__(
        self,
        params: Any,
        reps_rel: Number = 1e-6,
        lr: Number = 1.0,
        weight_decay: Number = 0.0,
        eps: Number = 1e-8,
        init_eta: Number | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "reps_rel": reps_rel,
                "lr": lr,
                "weight_decay": weight_decay,
                "eps": eps,
                "init_eta": init_eta,
            },
            **options,
        )
