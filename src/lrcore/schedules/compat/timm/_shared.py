"""What timm's schedulers share: what is ignored, and how they begin."""

from __future__ import annotations

from lrcore._schedule import Schedule
from lrcore.schedules import Constant, join
from lrcore.schedules.compat._common import warmed

WITHOUT_EFFECT = {
    "initialize",
    "noise_pct",
    "noise_range_t",
    "noise_seed",
    "noise_std",
    "noise_type",
    "t_in_epochs",
}


def ignore(who: str, others: dict[str, object]) -> None:
    """Refuse noise, and what timm does not know either."""
    for name, value in others.items():
        if name not in WITHOUT_EFFECT:
            raise TypeError(f"{who}: there is no argument {name!r}")
        if name == "noise_range_t" and value is not None:
            raise ValueError(
                f"{who}: noise_range_t must be None, since timm's noise is drawn from torch's "
                f"generator, got {value!r}"
            )


def begun(main: Schedule, lr: float, warmup: int, start: float, target: float) -> Schedule:
    """Rise from `start` towards `target`, then `main`; without a warm-up, `lr` before any step."""
    if warmup:
        return warmed(main, target, warmup, start)
    return main if main(0) == lr else join([Constant(lr), main.shift(1)], [1])
