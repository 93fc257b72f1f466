"""DoWG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["DoWG"]


class DoWG(Optimizer):
    """DoWG: DoG with each squared gradient weighted by the distance covered before it.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    lr : float or Schedule, default 1.0
        In [0, inf); times the rate that is found.
    init_estim_sq_dist : float, Schedule or None, default None
        None or in (0, inf); the first squared distance. None: `eps`.
    eps : float or Schedule, default 1e-4
        In [0, inf); outside the root. 0 needs `init_estim_sq_dist`.
    weight_decay : float or Schedule, default 0
        In [0, inf); coupled, added to the gradient as ``weight_decay p``.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``distance = max(distance, |p - x0|^2)``, at first `init_estim_sq_dist`;
    ``squares += distance |g|^2``; ``p -= lr distance / (sqrt(squares) + eps) g``, with 2-norms over
    the group. One state array, two sweeps, one estimate a group. Khaled, Mishchenko & Jin 2023,
    "DoWG Unleashed: An Efficient Universal Parameter-Free Gradient Descent Method", algorithm 1,
    with the ``eps`` of optax. Deviation: parameters without a gradient do not count in
    ``|p - x0|^2``.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.zeros(2)
    >>> opt = DoWG(w)
    >>> for _ in range(50):
    ...     made = opt.step(w - [3.0, 4.0])
    >>> w.round(3)
    array([3., 4.])
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 1.0,
        init_estim_sq_dist: Number | None = None,
        eps: Number = 1e-4,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "init_estim_sq_dist": init_estim_sq_dist,
                "eps": eps,
                "weight_decay": weight_decay,
            },
            **options,
        )

    @classmethod
    def _check_together(cls, who: str, values: Mapping[str, Any]) -> None:
        if values["eps"] == 0 and values["init_estim_sq_dist"] is None:
            raise ValueError(
                f"{who}: init_estim_sq_dist must be a number where eps is 0, since nothing would "
                "move, got None"
            )
