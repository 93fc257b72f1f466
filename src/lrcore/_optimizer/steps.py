"""Steps that are more than their plan's: what waits for them, scales that adapt, the reference."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

from .._hyper import ANY as LOSS
from .._hyper import check_value
from .modes import require_training

if TYPE_CHECKING:
    from .optimizer import Optimizer

__all__ = ["accumulate", "given_loss", "step"]


def step(opt: Optimizer, grads: Any, loss: float | None) -> bool:
    """`Optimizer.step`; ``...`` stands for no gradients given."""
    require_training(opt, "step")
    who, plan, whole = type(opt).__name__, opt._alone(), opt._layout.whole
    waiting = plan.micro
    if grads is ... and not waiting:
        raise ValueError(f"{who}.step: grads must be given; nothing has been accumulated")
    if waiting and grads is not ... and grads is not None:
        raise ValueError(
            f"{who}.step: grads must be left out, since {waiting} accumulated "
            f"micro-batch{'es wait' if waiting > 1 else ' waits'} for this step; drop() forgets "
            "what waits"
        )
    grads = None if grads is ... else grads
    value = given_loss(f"{who}.step", loss, opt.needs_loss)
    try:
        if whole.backend == "c":
            made = plan.step(grads, value)
        else:
            from . import by_reference

            with plan:
                made = by_reference.step(opt, grads, value)
    finally:
        opt._settle()
    if whole.scaler is not None:
        plan.loss_scale, opt._good_steps = whole.scaler.after(
            made, plan.loss_scale, opt._good_steps
        )
    return made


def given_loss(who: str, loss: Any, needed: bool) -> float:
    """The loss as a number; NaN where a rule has no use for one."""
    if not needed:
        return nan
    if loss is None:
        raise ValueError(
            f"{who}: loss must be given, as in step(grads, loss=loss), since the rate of this rule "
            "follows from it"
        )
    return float(check_value(who, "loss", loss, LOSS))


def accumulate(opt: Optimizer, grads: Any) -> None:
    """`Optimizer.accumulate`."""
    require_training(opt, "accumulate")
    plan = opt._alone()
    if not opt._layout.summing:
        with plan:
            plan.collect(grads, adding=True)  # refused before any memory is taken
            opt._replan(opt._layout._replace(summing=True))
    if opt._layout.whole.backend == "c":
        opt._plan.accumulate(grads)
    else:
        from . import by_reference

        with opt._plan:
            by_reference.accumulate(opt, grads)
    opt._settle()
