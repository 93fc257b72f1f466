"""One schedule as each peer has it: the peer's name for it, and its arguments made of lrcore's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from lrcore._describe import schedule_kinds
from lrcore._schedule import Schedule
from lrcore.cli._choices import find
from lrcore.cli._say import Refusal

Arguments = dict[str, Any]
Call = tuple[str, Arguments]
PEERS = ("fastai", "keras", "optax", "timm", "torch", "transformers")


def taken(arguments: Arguments, **names: str) -> Arguments:
    """Take out what has only another name there: ``lr="max_lr"`` makes max_lr of lr."""
    return {theirs: arguments.pop(ours) for ours, theirs in names.items()}


def _share(arguments: Arguments, name: str = "alpha") -> Arguments:
    """Give the end as a share of the rate."""
    lr, end = arguments["lr"], arguments.pop("end")
    return {name: end / lr if lr else 0.0}


def _keras_cosine(a: Arguments) -> Call:
    share, warmup, start = _share(a), a.pop("warmup"), a.pop("warmup_start")
    steps, lr = a.pop("steps"), a.pop("lr")
    if not warmup:
        return "CosineDecay", {"initial_learning_rate": lr, "decay_steps": steps, **share}
    warm = {"warmup_target": lr, "warmup_steps": warmup}
    return "CosineDecay", {"initial_learning_rate": start, "decay_steps": steps, **share, **warm}


def _optax_cosine(a: Arguments) -> Call:
    if not a["warmup"]:
        share = _share(a)
        names = taken(a, lr="init_value", steps="decay_steps", exponent="exponent")
        return "cosine_decay_schedule", names | share
    return "warmup_cosine_decay_schedule", taken(
        a,
        warmup_start="init_value",
        lr="peak_value",
        warmup="warmup_steps",
        steps="decay_steps",
        end="end_value",
        exponent="exponent",
    )


def _transformers_cosine(a: Arguments) -> Call:
    names = taken(a, lr="lr", warmup="num_warmup_steps", steps="num_training_steps")
    if not a["end"]:
        return "get_cosine_schedule_with_warmup", names
    return "get_cosine_with_min_lr_schedule_with_warmup", names | taken(a, end="min_lr")


def _optax_constant(a: Arguments) -> Call:
    if not a["warmup"]:
        return "constant_schedule", taken(a, lr="value")
    names = taken(a, warmup_start="init_value", lr="peak_value", warmup="warmup_steps")
    return "warmup_constant_schedule", names


def _optax_exponential(a: Arguments) -> Call:
    names = taken(a, gamma="decay_rate", step_size="transition_steps")
    if not a["warmup"]:
        return "exponential_decay", names | taken(a, lr="init_value")
    warm = taken(a, warmup_start="init_value", lr="peak_value", warmup="warmup_steps")
    return "warmup_exponential_decay_schedule", names | warm


def _optax_multistep(a: Arguments) -> Call:
    scales = dict.fromkeys(a.pop("milestones"), a.pop("gamma"))
    return "piecewise_constant_schedule", {
        **taken(a, lr="init_value"),
        "boundaries_and_scales": scales,
    }


def _keras_multistep(a: Arguments) -> Call:
    values, gamma = [a.pop("lr")], a.pop("gamma")
    for _ in a["milestones"]:
        values.append(values[-1] * gamma)
    return "PiecewiseConstantDecay", {**taken(a, milestones="boundaries"), "values": values}


def _keras_restarts(a: Arguments) -> Call:
    share = _share(a)
    return "CosineDecayRestarts", {
        **taken(a, lr="initial_learning_rate", period="first_decay_steps"),
        **taken(a, mult="t_mul", gamma="m_mul"),
        **share,
    }


def _fastai_one_cycle(a: Arguments) -> Call:
    final = a["div_factor"] * a.pop("final_div_factor")
    names = taken(a, lr="lr_max", div_factor="div", pct_start="pct_start", steps="steps_per_epoch")
    return "fit_one_cycle", {"n_epoch": 1, **names, "div_final": final}


def _torch_one_cycle(a: Arguments) -> Call:
    names = taken(a, lr="max_lr", steps="total_steps", pct_start="pct_start")
    factors = taken(a, div_factor="div_factor", final_div_factor="final_div_factor")
    shape = {"cosine": "cos"}.get(a["shape"], a["shape"])
    a.pop("shape")
    three = a.pop("phases") == 3
    return "OneCycleLR", {**names, **factors, "anneal_strategy": shape, "three_phase": three}


def _torch_restarts(a: Arguments) -> Call:
    mult = a.pop("mult")
    whole = int(mult) if isinstance(mult, float) and mult.is_integer() else mult
    names = taken(a, lr="lr", period="T_0", end="eta_min")
    return "CosineAnnealingWarmRestarts", {**names, "T_mult": whole}


def _optax_one_cycle(a: Arguments) -> Call:
    names = taken(a, lr="peak_value", steps="transition_steps", pct_start="pct_start")
    return "cosine_onecycle_schedule", {
        **names,
        **taken(a, div_factor="div_factor", final_div_factor="final_div_factor"),
    }


def _transformers_wsd(a: Arguments) -> Call:
    share = _share(a, "min_lr_ratio")
    names = taken(a, lr="lr", warmup="num_warmup_steps", steps="num_training_steps")
    return "get_wsd_schedule", {
        **names,
        **taken(a, decay_steps="num_decay_steps", shape="decay_type"),
        **share,
    }


def _timm_wsd(a: Arguments) -> Call:
    length = {"t_initial": a.pop("steps") - a["warmup"]}
    names = taken(a, lr="lr", decay_steps="decay_t", end="lr_min", shape="decay_fn", **TIMM)
    return "WSDLRScheduler", names | length


def _renamed(name: str, **names: str) -> Callable[[Arguments], Call]:
    return lambda arguments: (name, taken(arguments, **names))


WARM = {"warmup": "num_warmup_steps"}
TIMM = {"warmup": "warmup_t", "warmup_start": "warmup_lr_init"}

#: kind -> peer -> the call that its users would write
CALLS: dict[str, dict[str, Callable[[Arguments], Call]]] = {
    "constant": {
        "optax": _optax_constant,
        "transformers": _renamed("get_constant_schedule_with_warmup", lr="lr", **WARM),
    },
    "cosine": {
        "fastai": _renamed("SchedCos", lr="start", end="end", steps="steps"),
        "keras": _keras_cosine,
        "optax": _optax_cosine,
        "timm": _renamed(
            "CosineLRScheduler", lr="lr", steps="t_initial", end="lr_min", k_decay="k_decay", **TIMM
        ),
        "torch": _renamed("CosineAnnealingLR", lr="lr", steps="T_max", end="eta_min"),
        "transformers": _transformers_cosine,
    },
    "cosine_restarts": {
        "keras": _keras_restarts,
        "torch": _torch_restarts,
    },
    "cyclic": {
        "torch": _renamed(
            "CyclicLR",
            lr="base_lr",
            max_lr="max_lr",
            up="step_size_up",
            down="step_size_down",
            mode="mode",
            gamma="gamma",
        ),
    },
    "exponential": {
        "keras": _renamed(
            "ExponentialDecay",
            lr="initial_learning_rate",
            step_size="decay_steps",
            gamma="decay_rate",
        ),
        "optax": _optax_exponential,
        "torch": _renamed("ExponentialLR", lr="lr", gamma="gamma"),
    },
    "inverse_sqrt": {
        "transformers": _renamed(
            "get_inverse_sqrt_schedule", lr="lr", timescale="timescale", **WARM
        ),
    },
    "inverse_time": {
        "keras": _renamed(
            "InverseTimeDecay",
            lr="initial_learning_rate",
            step_size="decay_steps",
            rate="decay_rate",
        ),
    },
    "linear": {
        "fastai": _renamed("SchedLin", lr="start", end="end", steps="steps"),
        "keras": _renamed(
            "PolynomialDecay",
            lr="initial_learning_rate",
            steps="decay_steps",
            end="end_learning_rate",
        ),
        "optax": _renamed(
            "linear_schedule", lr="init_value", end="end_value", steps="transition_steps"
        ),
        "torch": _renamed("PolynomialLR", lr="lr", steps="total_iters"),
        "transformers": _renamed(
            "get_linear_schedule_with_warmup", lr="lr", steps="num_training_steps", **WARM
        ),
    },
    "multistep": {
        "keras": _keras_multistep,
        "optax": _optax_multistep,
        "timm": _renamed(
            "MultiStepLRScheduler", lr="lr", milestones="decay_t", gamma="decay_rate", **TIMM
        ),
        "torch": _renamed("MultiStepLR", lr="lr", milestones="milestones", gamma="gamma"),
    },
    "one_cycle": {
        "fastai": _fastai_one_cycle,
        "optax": _optax_one_cycle,
        "torch": _torch_one_cycle,
    },
    "piecewise_constant": {
        "keras": _renamed("PiecewiseConstantDecay", boundaries="boundaries", values="values"),
    },
    "polynomial": {
        "keras": _renamed(
            "PolynomialDecay",
            lr="initial_learning_rate",
            steps="decay_steps",
            end="end_learning_rate",
            power="power",
            cycle="cycle",
        ),
        "optax": _renamed(
            "polynomial_schedule",
            lr="init_value",
            end="end_value",
            power="power",
            steps="transition_steps",
        ),
        "timm": _renamed(
            "PolyLRScheduler",
            lr="lr",
            steps="t_initial",
            power="power",
            end="lr_min",
            k_decay="k_decay",
            **TIMM,
        ),
        "torch": _renamed("PolynomialLR", lr="lr", steps="total_iters", power="power"),
        "transformers": _renamed(
            "get_polynomial_decay_schedule_with_warmup",
            lr="lr",
            steps="num_training_steps",
            end="lr_end",
            power="power",
            **WARM,
        ),
    },
    "step": {
        "timm": _renamed(
            "StepLRScheduler", lr="lr", step_size="decay_t", gamma="decay_rate", **TIMM
        ),
        "torch": _renamed("StepLR", lr="lr", step_size="step_size", gamma="gamma"),
    },
    "wsd": {"timm": _timm_wsd, "transformers": _transformers_wsd},
}


def peers_own(peer: str, name: str, arguments: Arguments) -> Schedule | None:
    """Return the peer's schedule of that name with its own arguments; None if it has none such."""
    module = import_module(f"lrcore.schedules.compat.{peer}")
    if name not in module.__all__:
        return None
    return _made(peer, getattr(module, name), arguments)


def like(peer: str, name: str, arguments: Arguments) -> tuple[str, Schedule]:
    """Return the peer's call for lrcore's schedule of that name, as text, and what it makes."""
    cls = find(schedule_kinds(), name, "schedule")
    known = CALLS.get(cls.kind, {})
    if peer not in known:
        others = f"; {', '.join(known)} {'has' if len(known) == 1 else 'have'} one" if known else ""
        raise Refusal(f"{peer} has no {cls.kind.replace('_', '-')} schedule{others}")
    defaults = {n: p.default for n, p in inspect.signature(cls).parameters.items()}
    full = defaults | arguments
    if missing := [n for n, value in full.items() if value is inspect.Parameter.empty]:
        raise Refusal(f"{cls.__name__}: argument {missing[0]!r} is missing")
    rest = dict(full)
    theirs, call = known[peer](rest)
    for left, value in rest.items():
        if left not in defaults:
            raise Refusal(f"{cls.__name__}: there is no argument {left!r}")
        if value != defaults[left]:
            raise Refusal(f"{peer}'s {theirs} has nothing like {left}={value!r}; leave it out")
    call = {key: value for key, value in call.items() if value is not None}
    made = _made(peer, getattr(import_module(f"lrcore.schedules.compat.{peer}"), theirs), call)
    return f"{theirs}({', '.join(f'{k}={v!r}' for k, v in call.items())})", made


def _made(peer: str, function: Callable[..., Schedule], arguments: Arguments) -> Schedule:
    try:
        return function(**arguments)
    except (TypeError, ValueError) as error:
        raise Refusal(f"{peer}: {error}") from None
