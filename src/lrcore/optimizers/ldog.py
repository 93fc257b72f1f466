"""LDoG."""

from __future__ import annotations

from .dog import DoG

__all__ = ["LDoG"]


class LDoG(DoG):
    """LDoG: DoG with a rate of its own for each parameter array.

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
    As :class:`DoG`: ``p -= lr distance / sqrt(squares) g``, but with 2-norms over the parameter
    array alone. One state array, two sweeps, one estimate an array. Ivgi, Hinder & Carmon 2023,
    "DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size Schedule", its layer-wise form.
    Use an average of the parameters, as for DoG. Deviation: `init_eta` is multiplied by `lr`, as
    every later rate.

    Examples
    --------
    >>> import numpy as np
    >>> params = {"w": np.zeros(2), "b": np.zeros(1)}
    >>> opt = LDoG(params, init_eta=0.1)
    >>> for _ in range(50):
    ...     made = opt.step({"w": params["w"] - [3.0, 4.0], "b": params["b"] - 100.0})
    >>> params["w"].round(3), params["b"].round(3)
    (array([3., 4.]), array([100.]))
    """
