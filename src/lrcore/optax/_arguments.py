"""The arguments of a transformation: those of a rule, checked before there are parameters."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, Signature, signature
from typing import Any

import jax

from .. import schedules
from .._hyper import SCALARS
from .._optimizer import Optimizer
from .._optimizer.options import GROUP, MASKS, WHOLE, split
from .._schedule import Schedule
from ._programs import Spot
from ._schedules import check_pure
from ._trees import as_masks

__all__ = ["arguments_of", "signature_of", "sorted_out"]

#: The options that make no sense here, and why.
REFUSED = {
    "zero_grads": "gradients are JAX arrays, which nobody may write to",
    "loss_scale": "what scales the loss belongs into the step: optax.scale(1 / scale) before this",
    "stats": "a compiled step tells nothing but its results",
    "backend": "the reference is no part of compiled code; lrcore.Optimizer has it",
    "state_file": "the state lies in JAX's arrays",
}
OPTIONS = [name for name in (*GROUP, *MASKS, *WHOLE) if name not in REFUSED]
OPTIONS = list(dict.fromkeys(OPTIONS))


def _is_handed(value: Any) -> bool:
    """Whether a number is known only when a step is made."""
    return isinstance(value, jax.Array) or (callable(value) and not isinstance(value, Schedule))


def sorted_out(
    who: str, kind: type[Optimizer], arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[Spot, Any]]:
    """The arguments, checked, with schedules for the numbers that are handed over; and these."""
    fixed, handed = dict(arguments), {}
    stand_in = schedules.Constant(1.0)
    hypers = [x for x in signature(kind).parameters if x not in ("params", "options")]
    for name in (*hypers, "clip_norm", "clip_value"):
        value = fixed.get(name)
        if _is_handed(value):
            handed[Spot(name)], fixed[name] = value, stand_in
        elif isinstance(value, (tuple, list)):
            handed |= {Spot(name, i): v for i, v in enumerate(value) if _is_handed(v)}
            fixed[name] = tuple(stand_in if _is_handed(v) else v for v in value)
    for name in MASKS:
        if name in fixed:
            fixed[name] = as_masks(fixed[name])
    for name in REFUSED:
        if name in fixed:
            raise TypeError(f"{who}: {name} must not be given, since {REFUSED[name]}")
    _check(who, kind, hypers, fixed, handed)
    return fixed, handed


def _check(
    who: str,
    kind: type[Optimizer],
    hypers: list[str],
    fixed: Mapping[str, Any],
    handed: Mapping[Spot, Any],
) -> None:
    """Refuse arguments that are wrong whatever the parameters are."""
    for spot in handed:
        if spot.name in SCALARS[kind.rule].values():
            raise TypeError(
                f"{who}: {spot.name} must be a Python number, since the estimates begin at it, got "
                "an array or a function; with optax.inject_hyperparams name it in static_args"
            )
    defaults = {k: p.default for k, p in signature(kind).parameters.items() if k in hypers}
    given = {k: v for k, v in fixed.items() if k in hypers}
    options = {k: v for k, v in fixed.items() if k not in hypers}
    try:
        values, _, _ = split(who, {**defaults, **given}, options)
        kind._checked(values, who)
    except TypeError as error:
        names = [spot.name for spot in handed if f"{who}: {spot.name}" in str(error)]
        if not names:
            raise
        raise TypeError(
            f"{who}: {names[0]} must be a Python number, got an array or a function; with "
            "optax.inject_hyperparams name it in static_args"
        ) from None
    for name, value in fixed.items():
        for v in value if isinstance(value, tuple) else (value,):
            if isinstance(v, Schedule):
                check_pure(who, name, v)


def signature_of(kind: type[Optimizer]) -> Signature:
    """The arguments of a rule, without its parameters and with the options by name."""
    own = [p for k, p in signature(kind).parameters.items() if k not in ("params", "options")]
    known: dict[str, Any] = {k: o.default for k, o in {**WHOLE, **GROUP}.items()}
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None if name == "seed" else known.get(name))
        for name in OPTIONS
    ]
    return Signature([*own, *options])


def arguments_of(opt: Optimizer) -> dict[str, Any]:
    """What an optimizer was made with."""
    who, layout = f"lrcore.optax.to_optax({type(opt).__name__})", opt._layout
    if len(layout.groups) > 1:
        raise ValueError(
            f"{who}: optimizer must have one group of parameters, got {len(layout.groups)}; "
            "optax.multi_transform gives each group a transformation"
        )
    if opt.t or opt._plan.micro:
        raise ValueError(
            f"{who}: optimizer must not have made a step, since its state stays behind, got t = "
            f"{opt.t}"
        )
    group, whole = layout.groups[0], vars(layout.whole)
    out = {name: group[name] for name in opt._hypers(group)}
    out |= {k: group[k] for k, x in GROUP.items() if k != "clip_norm" and group[k] != x.default}
    out |= {k: whole[k] for k, x in WHOLE.items() if whole[k] != x.default}
    if group["clip_norm"] is not None:
        out["clip_norm"] = group["clip_norm"]
    return out | {k: mask for k, mask in opt._masks.masks.items() if mask is not None}
