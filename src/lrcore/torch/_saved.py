"""Checkpoints in torch's layout: groups and states looked at, then taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from .. import Optimizer as Rule
from .. import optimizers
from .._hyper import RULES
from .._optimizer import saved
from .._optimizer.options import MASKS
from .._optimizer.slots import AVERAGES, Slot
from .._optimizer.state import groups_of, looked_at, plain, save
from .._optimizer.state import load as load_rule
from ._flags import DECOUPLED, REFUSED, defaults_of_torch
from ._part import FIXED, Part
from ._sent import masks
from ._spread import local
from ._state import named, step_name
from ._tensors import view

if TYPE_CHECKING:
    from .._optimizer.tree import Leaf
    from ._optimizer import Optimizer

__all__ = ["counted", "fitting", "load", "plain_values", "read", "values_of"]

#: What a saved group has besides its values.
COUNTERS = ("t", "scale", "good_steps", "estimates", "training", "own_t")
#: Names of hyper-parameters that schedulers of torch put into groups, too.
OF_SCHEDULERS = {"max_lr"}
HYPERS = {
    name for rule in optimizers.__all__ for name in signature(getattr(optimizers, rule)).parameters
}.difference(OF_SCHEDULERS, ("params", "options"))


def counted(part: Part, i: int) -> dict[str, Any]:
    """What a part counts, and estimates for its i-th group."""
    opt = part.opt
    out: dict[str, Any] = {"t": opt.t}
    if opt._layout.whole.scaler is not None:
        out |= {"scale": opt.loss_scale, "good_steps": opt._good_steps}
    if RULES[opt.rule].scope == "group":
        out["estimates"] = dict(zip(RULES[opt.rule].scalars, opt._plan.scalars[i], strict=True))
    if opt.two_points:
        out["training"] = opt.training
    return out


def plain_values(group: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a group as a checkpoint has them: torch's as they are, ours as plain data."""
    left_out = ("params", *MASKS)
    return {k: plain(v) if _is_ours(v) else v for k, v in group.items() if k not in left_out}


def _is_ours(value: Any) -> bool:
    """Whether a value is of a class of this library, or has one in it."""
    if isinstance(value, (tuple, list)):
        return any(map(_is_ours, value))
    return hasattr(value, "to_dict")


# ------------------------------------------------------------------------------------- groups


def fitting(who: str, opt: Optimizer, state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The groups of a checkpoint, found to be as many, of as many parameters and of the rule."""
    for name in ("state", "param_groups"):
        if not isinstance(state, Mapping) or name not in state:
            got = list(state) if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(f"{who}: the state dict must have the key {name!r}, got {got}")
    if not isinstance(state["state"], Mapping):
        raise TypeError(f"{who}: the state must be a dict, got {type(state['state']).__name__}")
    groups: Sequence[Mapping[str, Any]] = opt.param_groups
    found: list[Mapping[str, Any]] = state["param_groups"]
    if len(found) != len(groups):
        raise ValueError(
            f"{who}: param_groups must be a list of {len(groups)}, got {len(found)}; loaded state "
            "dict has a different number of parameter groups"
        )
    for i, (group, new) in enumerate(zip(groups, found, strict=True)):
        if not isinstance(new, Mapping) or "params" not in new:
            got = sorted(new) if isinstance(new, Mapping) else type(new).__name__
            raise ValueError(f"{who}: param_groups[{i}] must be a dict with 'params', got {got}")
        if len(group["params"]) != len(new["params"]):
            raise ValueError(
                f"{who}: param_groups[{i}] must have {len(group['params'])} parameters, "
                f"got {len(new['params'])}; loaded state dict contains a parameter group that "
                "doesn't match the size of optimizer's group"
            )
        _check_rule(f"{who}: param_groups[{i}]", opt, group, new)
    return found


def _check_rule(
    where: str, opt: Optimizer, group: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    """Refuse the group of another rule. What torch added late may be missing."""
    theirs = defaults_of_torch(type(opt).__name__)
    needed = [k for k in opt.hypers if k in theirs and k != DECOUPLED] if theirs else opt.hypers
    missing = [k for k in needed if k not in new]
    if missing:
        raise ValueError(
            f"{where} must have {missing[0]!r}, got {sorted(new)}: it is of another rule"
        )
    foreign = sorted(k for k in HYPERS & set(new) if k not in group and k != DECOUPLED)
    if foreign:
        raise ValueError(
            f"{where} has {foreign[0]!r}, which {type(opt).__name__} does not have: it is of "
            "another rule"
        )
    if DECOUPLED in group and new.get(DECOUPLED, group[DECOUPLED]) != group[DECOUPLED]:
        raise ValueError(
            f"{where}[{DECOUPLED!r}] must be {group[DECOUPLED]} as here, got {new[DECOUPLED]!r}"
        )
    here, there = masks(group), masks(new)
    for name in MASKS:
        if name in new and there[name] != here[name]:
            raise ValueError(
                f"{where}[{name!r}] must be {here[name]!r:.60} as here, got "
                f"{there[name]!r:.60}; it is given when the group is made"
            )


def values_of(opt: Optimizer, i: int, new: Mapping[str, Any]) -> dict[str, Any]:
    """What a saved group brings to a group, once it is loaded; storage stays as it is there.

    A schedule is the one that the optimizer has by then.
    """
    group = opt.param_groups[i]
    left_out = {"params", *FIXED, *COUNTERS, *REFUSED}
    if "param_names" not in group:
        left_out.add("param_names")
    out = {}
    for name, value in new.items():
        if name in left_out:
            continue
        is_plain = isinstance(value, Mapping) or (
            isinstance(value, list) and any(isinstance(v, Mapping) for v in value)
        )
        ours = _present(opt, group).get(name) if is_plain else None
        out[name] = deepcopy(value) if ours is None else ours
    return out


def _present(opt: Optimizer, group: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a group is updated with."""
    return next(
        part.opt._layout.groups[i]
        for part, members in opt._members()
        for i, some in enumerate(members)
        if some.group is group
    )


# -------------------------------------------------------------------------------------- loading


def load(
    owner: Optimizer,
    who: str,
    groups: Sequence[Mapping[str, Any]],
    entries: Mapping[int, Any],
) -> None:
    """Take over the groups of a checkpoint, and the entries by the identity of a parameter."""
    ready = []
    for part, members in owner._members():
        wanted = [entries.get(id(p)) for some in members for p in some.params]
        given = [owner._saved_for(some, groups) for some in members]
        ready.append((part, _state_of(who, part, wanted, given)))
    for part, state in ready if len(ready) > 1 else ():
        looked_at(part.opt, who, state, True, True, [])
    for part, state in ready:
        load_rule(part.opt, state, True, partial=True)


def _state_of(
    who: str, part: Part, entries: Sequence[Any], groups: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the optimizer of a part is to load."""
    opt, state = part.opt, save(part.opt, arrays=False)
    for here, group in zip(state["param_groups"], groups, strict=True):
        here.update(part.plain(group))
        if "estimates" in here and "estimates" in group:
            here["estimates"] = dict(group["estimates"])
    state["t"] = _steps(who, part, entries, groups)
    for name in {"scale", "good_steps", "training"} & set(state):
        state[name] = groups[0].get(name, state[name])
    values = groups_of(opt, who, state["param_groups"], [])
    evaluating = not state.get("training", True)
    slots = opt._layout._replace(groups=values, evaluating=evaluating).slots(type(opt))
    own = {
        array.__array_interface__["data"][0]: (k, name)
        for k, arrays in enumerate(opt._layout.arrays)
        for name, array in arrays.items()
    }
    k = 0
    for here in state["param_groups"]:
        for path in here["params"]:
            found = read(who, part, k, slots[k], entries[k], state["t"], state["t"])
            if found is not None:
                terms = {n: v for n, v in here["params"][path].items() if n in saved.BESIDES}
                found = {**terms, **{n: _apart(v, own, k, n) for n, v in found.items()}}
            here["params"][path] = found
            k += 1
    return state


def _steps(
    who: str, part: Part, entries: Sequence[Any], groups: Sequence[Mapping[str, Any]]
) -> int:
    """How many steps a checkpoint is of: what its groups say, and no fewer than any parameter had.

    Tools of torch may leave in groups what was there before: they know no ``"t"``.
    """
    said = [_count(who, "t", group["t"]) for group in groups if "t" in group]
    step = step_name(part.opt)
    seen = {k: v for k, v in enumerate(entries) if isinstance(v, Mapping) and v}
    ages = [
        _count(f"{who}: the state of {part.label(k)}", step, entry[step])
        for k, entry in seen.items()
        if entry.get(step) is not None
    ]
    return max([*said, *ages, int(bool(seen) and not said)])


def _apart(value: Any, own: Mapping[int, tuple[int, str]], k: int, name: str) -> Any:
    """An array, or a copy of one that loading would overwrite before it is read."""
    if not isinstance(value, np.ndarray):
        return value
    place = own.get(value.__array_interface__["data"][0])
    return value.copy() if place is not None and place != (k, name) else value


# ---------------------------------------------------------------------------------- one entry


class Names(NamedTuple):
    """What entries with the same slots are of: our names and theirs."""

    #: What there must be, and that with what there may be besides.
    required: Mapping[str, str]
    both: tuple[tuple[str, str], ...]
    wanted: frozenset[str]
    known: frozenset[str]


def _names_of(kind: type[Rule], kept: tuple[str, ...]) -> Names:
    """What the entry of a parameter with these slots has."""
    beside = (*AVERAGES, "master", "low")
    required = named(kind, tuple(n for n in kept if n not in beside and n[-6:] != "_scale"))
    optional = {n: n for n in beside}
    for name in RULES[kind.rule].states:
        optional[f"{name}_scale"] = f"{kind.torch_names.get(name) or name}_scale"
    wanted = frozenset(required.values())
    both = {**required, **optional}
    return Names(required, tuple(both.items()), wanted, wanted | frozenset(optional.values()))


NAMES: Any = cache(_names_of)


def read(
    who: str, part: Part, k: int, slots: Sequence[Slot], entry: Any, t: int, absent: int = 0
) -> dict[str, Any] | None:
    """The entry of a parameter under our names, found to fit its slots; None: it begins anew.

    `t` is the age of a parameter whose entry does not say it, `absent` that of one which has no
    entry, where there is nothing to keep.
    """
    opt, leaf = part.opt, part.opt._layout.leaves[k]
    where, step = f"{who}: the state of {part.label(k)}", step_name(opt)
    if entry is not None and not isinstance(entry, Mapping):
        raise TypeError(f"{where} must be a dict, got {type(entry).__name__}")
    kept, row = {slot.name: slot for slot in slots}, RULES[opt.rule]
    names, both, wanted, known = NAMES(type(opt), tuple(kept))
    found = {n: v for n, v in (entry or {}).items() if v is not None}
    if not found:
        age = absent if entry is None else t
        nothing = not names and kept.keys() <= saved.PASSING and "t" not in opt.torch_names
        return {"t": age} if age and nothing else None
    has = found.keys() - {step}
    if not wanted <= has <= known:
        raise ValueError(
            f"{where} must have {sorted(wanted)}, got {sorted(has)}: it is of another rule or was "
            "made with other options"
        )
    out: dict[str, Any] = {"t": _count(where, step, found.get(step, max(t, 1)))}
    for name, theirs in both:
        if theirs in found and name not in row.scalars:
            shape = kept[name].shape(leaf) if name in kept else leaf.array.shape
            what, is_scale = f"{where}: {theirs}", name.endswith("_scale")
            here = None if is_scale and name not in kept else shape
            out[name] = _array(what, found[theirs], leaf, part.axes[k], here)
    if any(f"{name}_scale" in out for name in row.states):
        out["order"] = _order(where, leaf, [out[n] for n in row.states if f"{n}_scale" in out])
    if row.of_tensors and row.scalars:
        out["estimates"] = {
            n: _number(where, names[n], found[names[n]]) if n in names else 0.0 for n in row.scalars
        }
    return out


def _order(where: str, leaf: Leaf, arrays: Sequence[Any]) -> str:
    """The memory order of saved 8-bit states, which their blocks go by."""
    ours = saved.order(leaf)
    for order in (ours, "CF"[ours == "C"]):
        if all(a.flags.c_contiguous if order == "C" else a.flags.f_contiguous for a in arrays):
            return order
    raise ValueError(
        f"{where} must have 8-bit blocks in the memory order of the parameter, got another one"
    )


def _number(where: str, name: str, value: Any) -> float:
    value = local(value)
    if isinstance(value, torch.Tensor) and value.numel() == 1 and value.device.type != "meta":
        return float(value)
    if isinstance(value, (int, float)):
        return float(value)
    raise ValueError(f"{where}: {name} must be a number or a tensor of one, got {value!r:.60}")


def _count(where: str, name: str, value: Any) -> int:
    number = _number(where, name, value)
    if not 0 <= number <= 2**53 or number != int(number):
        raise ValueError(f"{where}: {name} must be a whole number, got {number}")
    return int(number)


def _array(
    what: str, value: Any, leaf: Leaf, axes: tuple[int, ...], shape: tuple[int, ...] | None
) -> Any:
    """A saved state as an array in the order of the parameter's axes."""
    if not isinstance(value, torch.Tensor):
        raise ValueError(f"{what} must be a tensor, got {type(value).__name__}")
    value = local(value).detach()
    if value.device.type == "meta" or value.layout != torch.strided or value.is_complex():
        raise ValueError(f"{what} must be a dense, real tensor that has memory, got {value!r:.60}")
    value, like_p = value.cpu(), shape == leaf.array.shape
    if shape is not None:
        wanted = tuple(shape[axes.index(d)] for d in range(len(axes))) if like_p else shape
        if tuple(value.shape) != wanted:
            raise ValueError(f"{what} must have the shape {wanted}, got {tuple(value.shape)}")
    if value.dtype == torch.int16:  # the lower half of a split parameter
        value = value.view(torch.uint16)
    turned = like_p and axes != tuple(range(len(axes)))
    return view(what, value.permute(axes) if turned else value)
