"""Averages of the parameters, made in the pass that updates them.

Each is an option of every optimizer (``ema=``, ``swa=``, ``lookahead=``) and begins at the
parameters as they are when the optimizer is made, or at ``opt.resync()``. ``opt.averages()`` reads
them, ``with opt.averaged():`` puts them in place of the parameters for an evaluation. Where several
are on, an update does Lookahead first, then EMA, then SWA. ``k`` is the number of an update, from
1; every parameter counts its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ._domain import Interval
from ._hyper import COUNT, LENGTH, UNIT
from .options import Config

__all__ = ["EMA", "SWA", "Lookahead"]


@dataclass(frozen=True)
class EMA(Config):
    """An exponential moving average: ``ema += (1 - d) (p - ema)`` after each update.

    Parameters
    ----------
    decay : float
        In [0, 1).
    warmup : bool, default False
        Begin with less memory: ``d = min(decay, (1 + k) / (10 + k))``.

    Notes
    -----
    Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; the warm-up is
    TensorFlow's ``ExponentialMovingAverage(num_updates=...)``.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> w = np.zeros(1)
    >>> opt = lrcore.SGD(w, lr=1.0, ema=0.75)  # or EMA(0.75)
    >>> opt.step(np.array([-1.0])), opt.averages()
    (True, array([0.25]))
    """

    decay: float
    warmup: bool = False

    domains: ClassVar[Mapping[str, Interval | None]] = {"decay": UNIT, "warmup": None}
    from_number = True


@dataclass(frozen=True)
class SWA(Config):
    """A plain mean of the parameters: stochastic weight averaging.

    Parameters
    ----------
    start : int, default 0
        The first update whose result counts (0 and 1 are the same); until then the average is what
        it began at.
    every : int, default 1
        At least 1; after `start` every so many updates count.

    Notes
    -----
    ``swa += (p - swa) / j`` at the j-th update that counts. Izmailov et al. 2018, "Averaging
    Weights Leads to Wider Optima and Better Generalization", algorithm 1.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> w = np.zeros(1)
    >>> opt = lrcore.SGD(w, lr=1.0, swa=True)
    >>> [opt.step(np.array([-1.0])) for _ in range(3)], opt.averages()
    ([True, True, True], array([2.]))
    """

    start: int = 0
    every: int = 1

    domains: ClassVar[Mapping[str, Interval | None]] = {"start": COUNT, "every": LENGTH}
    from_number = True
    from_true = True


@dataclass(frozen=True)
class Lookahead(Config):
    """Slow parameters that follow the fast ones every few updates, and pull them back.

    Parameters
    ----------
    k : int, default 5
        At least 1.
    alpha : float, default 0.5
        In (0, 1].

    Notes
    -----
    After every k-th update ``slow += alpha (p - slow)``, ``p = slow``; in between nothing. Zhang,
    Lucas, Hinton & Ba 2019, "Lookahead Optimizer: k steps forward, 1 step back", algorithm 1. The
    state of the rule is kept across.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> w = np.zeros(1)
    >>> opt = lrcore.SGD(w, lr=1.0, lookahead=lrcore.Lookahead(k=2, alpha=0.5))
    >>> for _ in range(2):
    ...     _ = opt.step(np.array([-1.0]))
    ...     print(w)
    [1.]
    [1.]
    """

    k: int = 5
    alpha: float = 0.5

    domains: ClassVar[Mapping[str, Interval | None]] = {
        "k": LENGTH,
        "alpha": Interval(0, 1, closed_low=False),
    }
    from_number = True
    from_true = True
