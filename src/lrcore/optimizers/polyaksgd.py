"""PolyakSGD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["PolyakSGD"]


class PolyakSGD(Optimizer):
    """PolyakSGD: SGD whose rate follows from how far the loss is above its least value.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
    max_lr : float or Schedule, default 1
        In [0, inf); the largest rate there may be.
    c : float or Schedule, default 0.5
        In (0, inf); half of it makes steps twice as long. 0.5 is for strongly convex losses, 1 the
        safer choice elsewhere.
    f_star : float or Schedule, default 0
        Any finite number: the least value that the loss can have, or a guess of it. Losses below it
        make no step. With `maximize` that of minus the loss.
    eps : float or Schedule, default 0
        In [0, inf); keeps the rate finite where gradients vanish.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``eta = min((loss - f_star) / (c |g|^2 + eps), max_lr)``, 0 where the loss is below f_star, with
    ``|g|`` over all parameters of all groups; ``p -= eta g``. ``step(grads, loss=loss)`` must be
    given the loss at the parameters. No state, two sweeps; `estimates` has the ``eta`` of each
    group. Loizou, Vaswani, Laradji & Lacoste-Julien 2021, "Stochastic Polyak Step-size for SGD: An
    Adaptive Learning Rate for Fast Convergence", SPS_max; eta >= 0 as in Garrigos, Gower & Schaipp
    2023. Deviation: in optax ``scaling``, 1 by default, is c, and the largest rate is ``scaling
    max_learning_rate``. Deviation: no weight_decay, since the loss that is given has none of it.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([3.0, 4.0])
    >>> opt = PolyakSGD(w, c=1.0)
    >>> opt.step(w.copy(), loss=(w**2).sum() / 2)
    True
    >>> w, opt.estimates[0]["eta"]
    (array([1.5, 2. ]), 0.5)
    """

    needs_loss: ClassVar[bool] = True

    def __init__(
        self,
        params: Any,
        max_lr: Number = 1.0,
        c: Number = 0.5,
        f_star: Number = 0.0,
        eps: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, {"max_lr": max_lr, "c": c, "f_star": f_star, "eps": eps}, **options
        )
