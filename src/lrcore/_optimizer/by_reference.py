"""The steps of ``backend="numpy"``: the same arrays, computed by `lrcore.reference`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .. import _core
from .._hyper import CLIP_NORM, POSITIVE, RULES, check_value, curve, domain_of, slots
from .._schedule import Schedule
from ..reference import step as reference
from .layout import averages_of, selected

if TYPE_CHECKING:
    from .._domain import Interval, OneOf
    from .optimizer import Optimizer

__all__ = ["accumulate", "step"]


def step(opt: Optimizer, grads: Any, loss: float) -> bool:
    """`Optimizer.step`; no gradients where those accumulated are to be used."""
    plan, layout = opt._plan, opt._layout
    whole, micro, names = layout.whole, plan.micro, RULES[opt.rule].scalars
    arrays: Sequence[reference.Gradient]
    if micro:
        counts = zip(layout.stores, plan.summed, strict=True)
        arrays = [store.sum if count else None for store, count in counts]
    else:
        arrays = plan.collect(grads)
    groups = [_group(opt, values) for values in layout.groups]
    scalars = [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in plan.scalars]
    options = reference.Options(
        clip_norm=_number(opt, "clip_norm", whole.clip_norm or 0.0, CLIP_NORM),
        nonfinite=whole.nonfinite,
        divisor=plan.loss_scale * max(micro, 1),
        seed=whole.seed,
        stats=layout.stats if plan.measuring else None,
        trace_every=layout.every(),
        loss=loss,
        **averages_of(whole),
    )
    tensors = [
        reference.Tensor(store=store, g=g, t=age)
        for store, g, age in zip(layout.stores, arrays, plan.ages, strict=True)
    ]
    with _core.FloatEnvironment():
        norm, bad = reference.step(opt.rule, tensors, groups, options, scalars, plan.matrices)
    if bad < 0:
        plan.advance(norm)
        plan.scalars = [[getattr(k, name) for name in names] for k in scalars]
    plan.drop()
    if bad >= 0 and whole.nonfinite == "raise":
        plan.raise_nonfinite(bad)
    if whole.zero_grads:
        plan.zero()
    return bad < 0


def accumulate(opt: Optimizer, grads: Any) -> None:
    """`Optimizer.accumulate`, once there are sums."""
    plan, layout = opt._plan, opt._layout
    arrays, summed = plan.collect(grads, adding=True), plan.summed
    with _core.FloatEnvironment():
        for i, (store, g) in enumerate(zip(layout.stores, arrays, strict=True)):
            if g is not None and store.sum is not None:
                reference.accumulate(store.sum, g, summed[i] == 0)
                summed[i] += 1
    plan.summed, plan.micro = summed, plan.micro + 1
    if layout.whole.zero_grads:
        plan.zero()


def _group(opt: Optimizer, values: Mapping[str, Any]) -> reference.Group:
    """What a group is updated with now, schedules evaluated by the reference."""
    h, columns, agc = SimpleNamespace(), RULES[opt.rule].hypers, values["agc"]
    for name in opt._hypers(values):
        for slot, v, label in slots(name, values[name], columns):
            setattr(h, columns[slot], _number(opt, label, v, domain_of(opt.rule, name)))
    return reference.Group(
        h=h,
        maximize=values["maximize"],
        clip_value=_number(opt, "clip_value", values["clip_value"] or 0.0, POSITIVE),
        clip_norm=_number(opt, "clip_norm", values["clip_norm"] or 0.0, CLIP_NORM),
        agc=0.0 if agc is None else agc.clip,
        agc_eps=0.0 if agc is None else agc.eps,
        select=selected(values),
        rounding=values["rounding"],
    )


def _number(opt: Optimizer, label: str, value: Any, domain: Interval | OneOf | None) -> float:
    if not isinstance(value, Schedule):
        number = curve(value, domain)
        return nan if number is None else float(number)
    number = value.reference(opt.t)
    return float(check_value(f"{type(opt).__name__} at update {opt.t}", label, number, domain))
