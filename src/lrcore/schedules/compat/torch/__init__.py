"""PyTorch's schedulers: ``torch.optim.lr_scheduler`` and ``torch.optim.swa_utils.SWALR``.

Each takes torch's arguments under torch's names, with the rate of the optimizer, which torch calls
``initial_lr``, first as `lr`. The value at t is the rate that torch's optimizer has after t calls
of ``scheduler.step()``, so t = 0 is what its first update uses. There is no `last_epoch`: a
schedule is a function of t, and to resume is to know t.

Torch multiplies the rate along, from one step to the next, and drifts by a rounding or so a step;
here every value is computed from t.

Examples
--------
>>> from lrcore.schedules.compat import torch
>>> torch.CosineAnnealingLR(1.0, T_max=10)([0, 5, 10, 11]).round(4).tolist()
[1.0, 0.5, 0.0, 0.0245]
"""

from ._composed import (
    ChainedScheduler,
    LambdaLR,
    MultiplicativeLR,
    ReduceLROnPlateau,
    SequentialLR,
)
from ._cycles import (
    SWALR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    OneCycleLR,
    cyclic_momentum,
    one_cycle_momentum,
)
from ._decays import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

__all__ = [
    "SWALR",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "cyclic_momentum",
    "one_cycle_momentum",
]
