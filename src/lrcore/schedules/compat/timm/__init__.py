"""timm's schedulers: ``timm.scheduler``.

timm's arguments under timm's names, with the rate of the optimizer first as `lr`. The value at t
is the rate that timm's optimizer has after ``step(t)`` or ``step_update(t)``, whichever timm is
told to use: t counts epochs or updates, and ``s.every(n)`` makes of the one the other. At t = 0 no
step has been made.

`t_in_epochs`, `initialize`, and all of `noise_pct`, `noise_std`, `noise_seed` and `noise_type`
change no value and are taken for the sake of calls written for timm. A `noise_range_t` is refused:
timm draws its noise from torch's generator.

Examples
--------
>>> from lrcore.schedules.compat import timm
>>> timm.CosineLRScheduler(1.0, t_initial=10, warmup_t=4)(range(5)).round(4).tolist()
[0.0, 0.25, 0.5, 0.75, 0.6545]
"""

from ._cycles import CosineLRScheduler, PolyLRScheduler, TanhLRScheduler
from ._steps import MultiStepLRScheduler, PlateauLRScheduler, StepLRScheduler
from ._wsd import WSDLRScheduler

__all__ = [
    "CosineLRScheduler",
    "MultiStepLRScheduler",
    "PlateauLRScheduler",
    "PolyLRScheduler",
    "StepLRScheduler",
    "TanhLRScheduler",
    "WSDLRScheduler",
]
