"""Keras's names, defaults and meanings, and what they are here.

Where the Keras that is installed has an optimizer of a rule's name, its arguments and defaults are
read from it; `NAMES` says what each of them is here, and `MEANINGS` what is not a matter of names.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypeAlias

import keras
import numpy as np

from .. import optimizers
from .._hyper import RULES
from .._optimizer import Optimizer
from .._optimizer.options import GROUP, MASKS, WHOLE
from .._schedule import Schedule
from ..schedules import Lambda

__all__ = ["BASE", "OPTIONS", "Groups", "Parameters", "groups_of", "parameters", "peer", "to_ours"]

Values: TypeAlias = "dict[str, Any]"
Parameters: TypeAlias = "dict[str, inspect.Parameter]"
#: The variables of each group, by their places, and what the group has of its own.
Groups: TypeAlias = "list[tuple[list[int], Values]]"

#: What an argument of Keras is here; a pair is a place in a tuple. Others have the same name.
NAMES: dict[str, str | tuple[str, int]] = {
    "beta_1": ("betas", 0),
    "beta_2": ("betas", 1),
    "epsilon": "eps",
    "beta_2_decay": "beta2_decay",
    "epsilon_1": ("eps", 0),
    "epsilon_2": ("eps", 1),
    "clip_threshold": "d",
    "learning_rate_power": "lr_power",
    "l1_regularization_strength": "l1",
    "l2_regularization_strength": "l2",
    "l2_shrinkage_regularization_strength": "l2_shrinkage",
    "muon_a": ("ns_coefficients", 0),
    "muon_b": ("ns_coefficients", 1),
    "muon_c": ("ns_coefficients", 2),
    "adam_beta_1": ("adamw_betas", 0),
    "adam_beta_2": ("adamw_betas", 1),
    "adam_weight_decay": "adamw_weight_decay",
    "rmsprop.rho": "alpha",
    "muon.epsilon": "adamw_eps",
}
#: Arguments of Keras that are no hyper-parameter here, and what is made of them below.
BESIDES = {
    "adafactor": {"relative_step"},
    "muon": {"exclude_layers", "exclude_embeddings", "adam_lr_ratio", "rms_rate"},
}


def _of(kind: Any) -> Parameters:
    """The arguments that a class of Keras names."""
    unnamed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(kind.__init__).parameters
    return {k: p for k, p in found.items() if k != "self" and p.kind not in unnamed}


#: What all optimizers of Keras share.
BASE: Parameters = next(
    found
    for base in keras.optimizers.Optimizer.__mro__
    for found in [_of(base)]
    if "learning_rate" in found
)
#: The optimizers that Keras has, by the names of rules.
PEERS: dict[str, type[Any]] = {
    name.lower(): kind for name, kind in vars(keras.optimizers).items() if inspect.isclass(kind)
}
#: The options of lrcore that an optimizer of Keras has besides: what Keras has itself is left out.
REFUSED = {"clip_norm", "clip_value", "ema", "swa", "loss_scale", "zero_grads", "state_file"}
REFUSED |= {"master", "decay_mask"}
OPTIONS: Values = {
    **{k: o.default for k, o in {**GROUP, **WHOLE}.items() if k not in REFUSED},
    **{k: None for k in MASKS if k not in REFUSED},
    "nonfinite": "ignore",
}


def _ours(rule: type[Optimizer]) -> Parameters:
    return {
        k: p
        for k, p in inspect.signature(rule).parameters.items()
        if k not in ("params", "options")
    }


def _target(rule: str, name: str) -> str | tuple[str, int]:
    return NAMES.get(f"{rule}.{name}", NAMES.get(name, name))


def peer(rule: type[Optimizer]) -> type[Any] | None:
    """Keras's optimizer of that rule, if it has one whose arguments are known here."""
    return _peer(rule.__name__)


@cache
def _peer(name: str) -> type[Any] | None:
    rule: type[Optimizer] = getattr(optimizers, name)
    found: type[Any] | None = PEERS.get(rule.rule)
    if found is None:
        return None
    ours = _ours(rule)
    own = set(_of(found)) - set(BASE) - BESIDES.get(rule.rule, set())
    targets = [_target(rule.rule, name) for name in own]
    known = all((t if isinstance(t, str) else t[0]) in ours for t in targets)
    return found if known else None


def parameters(rule: type[Optimizer]) -> Parameters:
    """The arguments of the optimizer of Keras that is made of a rule."""
    found = peer(rule)
    if found is not None:
        mine = _of(found)
    else:
        ours = _ours(rule)
        rate = ours.pop(rule.rate_name)
        mine = {"learning_rate": rate.replace(name="learning_rate"), **ours}
        shared = {k: p for k, p in BASE.items() if k not in mine and k != "weight_decay"}
        mine |= {k: p.replace(kind=p.KEYWORD_ONLY) for k, p in shared.items()}
    keyword = inspect.Parameter.KEYWORD_ONLY
    more = {k: inspect.Parameter(k, keyword, default=v) for k, v in OPTIONS.items()}
    return {k: p.replace(annotation=p.empty) for k, p in {**mine, **more}.items()}


# ---------------------------------------------------------------- what is no matter of names


def _hat(eps: Any, beta: str, beta2: Any) -> Any:
    """The epsilon that, added after the correction, does what Keras's does before it.

    What is no such number is left to the rule, which refuses it.
    """
    for label, value in (("epsilon", eps), (beta, beta2)):
        if isinstance(value, Schedule):
            raise TypeError(f"{label} must be a number, got a schedule")
    number = (int, float, np.integer, np.floating)
    known = isinstance(eps, number) and isinstance(beta2, number)
    if not (known and 0 < eps < math.inf and 0 <= beta2 < 1):
        return eps
    return Lambda(partial(_corrected, float(eps), float(beta2)))


def _corrected(eps: float, beta2: float, t: int) -> float:
    return eps / math.sqrt(1.0 - beta2 ** (t + 1))


def _adam(out: Values, given: Mapping[str, Any]) -> None:
    out["eps"] = _hat(out["eps"], "beta_2", out["betas"][1])


def _adagrad(out: Values, given: Mapping[str, Any]) -> None:
    out["initial_accumulator_value"] += out["eps"]  # Keras adds epsilon inside the root
    out["eps"] = 0.0


def _rmsprop(out: Values, given: Mapping[str, Any]) -> None:
    out["eps_inside"] = True


def _nadam(out: Values, given: Mapping[str, Any]) -> None:
    out["momentum_decay"] = 1.0


def _adafactor(out: Values, given: Mapping[str, Any]) -> None:
    out["eps"] = (math.sqrt(given["epsilon_1"]), out["eps"][1])


def _schedulefree(out: Values, given: Mapping[str, Any]) -> None:
    out["weight_lr_power"] = 0.0  # the average is plain


def _muon(out: Values, given: Mapping[str, Any]) -> None:
    if given["rms_rate"] != 0.2:
        raise ValueError(f"rms_rate must be 0.2, got {given['rms_rate']!r}")
    out["adjust_lr_fn"] = "match_rms_adamw"
    # Keras's decay goes by the rate without the ratio
    out["adamw_weight_decay"] = (given["adam_weight_decay"] or 0.0) / (given["adam_lr_ratio"] or 1)
    out["adamw_eps"] = _hat(out["adamw_eps"], "adam_beta_2", out["adamw_betas"][1])


MEANINGS: dict[str, Callable[[Values, Mapping[str, Any]], None]] = {
    "adam": _adam,
    "adamw": _adam,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "nadam": _nadam,
    "adafactor": _adafactor,
    "schedulefreeadamw": _schedulefree,
    "muon": _muon,
}


def rate_inside(rule: type[Optimizer]) -> bool:
    """Whether Keras's momentum is of steps, with the rates they had; here it is of gradients."""
    return rule.rule in ("sgd", "rmsprop") and peer(rule) is not None


def decays_itself(rule: type[Optimizer]) -> bool:
    """Whether `weight_decay` is the rule's own; otherwise Keras's base class does it."""
    return peer(rule) is None or RULES[rule.rule].decay in ("decoupled", "either")


def to_ours(rule: type[Optimizer], given: Mapping[str, Any]) -> Values:
    """The hyper-parameters of a rule, but for the rate, from arguments of Keras or our own."""
    if peer(rule) is None:
        return dict(given)
    ours = _ours(rule)
    out: Values = {}
    for name, value in given.items():
        if name in BESIDES.get(rule.rule, set()):
            continue
        target = _target(rule.rule, name)
        if isinstance(target, str):
            out[target] = value
        else:
            parts = list(out.get(target[0], ours[target[0]].default))
            parts[target[1]] = value
            out[target[0]] = tuple(parts)
    if "weight_decay" in ours:
        out["weight_decay"] = (given["weight_decay"] or 0.0) if decays_itself(rule) else 0.0
    if "decoupled_weight_decay" in ours:
        out["decoupled_weight_decay"] = True
    if rule.rule in MEANINGS:
        MEANINGS[rule.rule](out, given)
    return out


def back(rule: type[Optimizer], who: str, text: str) -> str:
    """A message of a rule about hyper-parameters, with the names that the user knows."""
    own = re.match(rf"{rule.__name__}(| at update \d+): (?:param_groups\[\d+\]: )?", text)
    if own is None:
        return text
    text = f"{own[1]}: {text[own.end() :]}"
    for name in parameters(rule) if peer(rule) is not None else ():
        target = _target(rule.rule, name)
        label = target if isinstance(target, str) else f"{target[0]}[{target[1]}]"
        text = text.replace(f": {label} must", f": {name} must")
    return who + text.replace(f": {rule.rate_name} must", ": learning_rate must")


def factors(rule: type[Optimizer], given: Mapping[str, Any]) -> dict[str, float]:
    """Which hyper-parameters follow the rate, and by what factor."""
    ratio = given.get("adam_lr_ratio", 1) if peer(rule) is not None else 1
    return {rule.rate_name: 1.0, **({} if ratio == 1 else {"adamw_lr": float(ratio)})}


def groups_of(
    rule: type[Optimizer], given: Mapping[str, Any], variables: Sequence[Any], paths: Sequence[str]
) -> Groups:
    """Which variables a rule treats alike: all, or for Keras's Muon matrices and the others."""
    everything = list(range(len(variables)))
    if rule.rule != "muon" or peer(rule) is None:
        return [(everything, {})]

    def by_adam(i: int) -> bool:
        embedding = given["exclude_embeddings"] and "embedding" in paths[i].lower()
        named = any(re.search(word, paths[i]) for word in given["exclude_layers"] or ())
        return len(variables[i].shape) != 2 or embedding or named

    others = [i for i in everything if by_adam(i)]
    matrices = [i for i in everything if i not in others]
    return [(x, own) for x, own in ((matrices, {}), (others, {"adamw": True})) if x]
