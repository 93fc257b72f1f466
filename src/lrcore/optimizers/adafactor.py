"""Adafactor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adafactor: adaptive steps relative to the parameter's size, with next to no state.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
        Arrays of two or more dimensions in C order.
    lr : float or Schedule, default 1e-2
        In [0, inf); times the root mean square of the parameter, and never more than
        ``1 / sqrt(t)``.
    beta2_decay : float or Schedule, default -0.8
        In (-inf, 0]; the running mean of squares takes over ``t^beta2_decay`` at update ``t``.
    eps : tuple of 2 floats or Schedules, default (None, 1e-3)
        Each in [0, inf). The first is a least root mean square of gradients, None: the epsilon of
        the dtype of the arithmetic; the second one of the parameter.
    d : float or Schedule, default 1.0
        In [1, inf); what the root mean square of an update is clipped to before it is scaled.
    weight_decay : float or Schedule, default 0
        In [0, inf); decoupled.
    **options
        As for :class:`lrcore.Optimizer`, but for `state_dtype`.

    Notes
    -----
    With ``w = t^beta2_decay``: of a vector ``variance += w (g^2 - variance)``; of an array of more
    dimensions, taken for matrices over its last two axes, ``row_var`` and ``col_var`` likewise from
    the means of ``g^2`` over columns and over rows, and
    ``variance = row_var col_var / max(eps[0], mean(row_var))``.
    ``u = g / sqrt(max(variance, eps[0]^2))``; ``p = (1 - lr weight_decay) p
    - min(lr, 1 / sqrt(t)) max(eps[1], rms(p)) / max(1, rms(u) / d) u``. State of a matrix is one
    number a row and one a column; three sweeps, of a vector one array and two. Shazeer & Stern
    2018, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", algorithms 4, 5 and 6, in
    the form of ``torch.optim.Adafactor``. Deviation: of a matrix ``1 / sqrt(variance)`` is the
    product of that of ``row_var`` over its mean and that of ``col_var``, and ``variance`` itself is
    never made. Deviation: where ``eps[0]`` is None, narrow parameters have that
    of float32, torch that of their own dtype. Deviation: an element whose variance and ``eps[0]``
    are 0 stays as it is, torch makes it NaN.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones((2, 3))
    >>> opt = Adafactor(w, lr=0.1)
    >>> opt.step(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]))
    True
    >>> w.round(4)
    array([[0.9, 0.9, 0.9],
           [0.9, 0.9, 0.9]])
    >>> opt.state[""]["row_var"].round(4), opt.state[""]["col_var"]
    (array([[ 4.6667],
           [18.6667]]), array([[ 2.5, 10. , 22.5]]))
    """

    torch_names: ClassVar = {"t": "step", "scale": None, "shrink": None}

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-2,
        beta2_decay: Number = -0.8,
        eps: tuple[Number | None, Number] = (None, 1e-3),
        d: Number = 1.0,
        weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
            },
            **options,
        )

    @classmethod
    def _check_together(cls, who: str, values: Mapping[str, Any]) -> None:
        if values["eps"][1] is None:
            raise ValueError(f"{who}: eps[1] must be a number in [0, inf), got None")
