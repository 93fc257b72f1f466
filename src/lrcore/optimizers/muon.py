"""Muon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._hyper import Number
from .._optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._optimizer.keywords import Options

__all__ = ["Muon"]


class Muon(Optimizer):
    """Muon: momentum made orthogonal for matrices, AdamW for all other parameters.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
        Those of two or more dimensions are matrices: filters of a convolution with a row for each
        entry of the first axis. Embeddings and the last layer are better left to AdamW, in a group
        of their own: ``[{"params": hidden}, {"params": [embedding, head], "adamw": True}]``.
    lr : float or Schedule, default 1e-3
        In [0, inf); of matrices.
    weight_decay : float or Schedule, default 0.1
        In [0, inf); decoupled; of matrices.
    momentum : float or Schedule, default 0.95
        In [0, inf); the share of the past in the average of gradients.
    nesterov : bool, default True
        Look ahead: average the gradient in once more.
    ns_coefficients : tuple of 3 floats or Schedules, default (3.4445, -4.775, 2.0315)
        a, b and c of the iteration ``x = a x + b (x x') x + c (x x')^2 x``.
    eps : float or Schedule, default 1e-7
        In [0, inf); the least norm that a direction is divided by.
    ns_steps : int, default 5
        In [1, 99]; how often the iteration is made.
    adjust_lr_fn : {None, "original", "match_rms_adamw"}, default None
        The factor on `lr` for a matrix of m rows and n columns: ``sqrt(max(1, m / n))``, which is
        "original", or ``0.2 sqrt(max(m, n))``, with which rates for AdamW fit.
    adamw : bool, default False
        Update all parameters by AdamW, matrices too; for groups.
    adamw_lr : float, Schedule or None, default None
        In [0, inf); the rate of parameters that are no matrices, None: `lr`. `lr_scale` scales it,
        too.
    adamw_betas : tuple of 2 floats or Schedules, default (0.9, 0.95)
        Each in [0, 1).
    adamw_eps : float or Schedule, default 1e-10
        In [0, inf); outside the root.
    adamw_weight_decay : float or Schedule, default 0
        In [0, inf); decoupled.
    **options
        As for :class:`lrcore.Optimizer`.

    Notes
    -----
    ``buf = momentum buf + (1 - momentum) g``; ``d = buf``, with nesterov ``(1 - momentum) g +
    momentum buf``; ``x = d / max(|d|, eps)`` and `ns_steps` times the iteration, which moves all
    singular values towards 1; ``p = (1 - lr weight_decay) p - lr factor x``. One state array for a
    matrix and one to work in, three sweeps; two state arrays for other parameters. Jordan et al.
    2024, "Muon: An optimizer for hidden layers in neural networks"; "match_rms_adamw" is from Liu
    et al. 2025, "Muon is Scalable for LLM Training". Defaults as in torch, those of ``adamw_`` as
    in the author's ``MuonWithAuxAdam``. Deviation: the iteration is made in the precision of the
    arithmetic, in torch in bfloat16; and on the Gram matrix, which for float32 leaves an error of
    about 2e-4 of the largest element, where bfloat16 leaves 0.05 to 0.2. The products are NumPy's:
    their bits differ between machines.

    Examples
    --------
    >>> import numpy as np
    >>> params = {"w": np.zeros((2, 3)), "b": np.zeros(3)}
    >>> opt = Muon(params, lr=0.1, adamw_lr=0.01)
    >>> opt.step({"w": np.array([[2.0, 0, 0], [0, 1, 0]]), "b": np.ones(3)})
    True
    >>> params["w"].round(3)
    array([[-0.069,  0.   ,  0.   ],
           [ 0.   , -0.111,  0.   ]])
    >>> params["b"]
    array([-0.01, -0.01, -0.01])
    """

    torch_names: ClassVar = {"buf": "momentum_buffer"}

    for_matrices = (
        "momentum",
        "nesterov",
        "ns_coefficients",
        "eps",
        "ns_steps",
        "adjust_lr_fn",
    )

    def __init__(
        self,
        params: Any,
        lr: Number = 1e-3,
        weight_decay: Number = 0.1,
        momentum: Number = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[Number, Number, Number] = (3.4445, -4.775, 2.0315),
        eps: Number = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        adamw: bool = False,
        adamw_lr: Number | None = None,
        adamw_betas: tuple[Number, Number] = (0.9, 0.95),
        adamw_eps: Number = 1e-10,
        adamw_weight_decay: Number = 0.0,
        **options: Unpack[Options],
    ) -> None:
        hypers = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
            "adamw": adamw,
            "adamw_lr": adamw_lr,
            "adamw_betas": adamw_betas,
            "adamw_eps": adamw_eps,
            "adamw_weight_decay": adamw_weight_decay,
        }
        super().__init__(params, hypers, **options)
