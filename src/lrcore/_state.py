"""state_dict and load_state_dict: a run to plain data and back, checked before it is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ._schedule import Schedule

if TYPE_CHECKING:
    from ._optimizer import Optimizer

__all__ = ["load", "save"]

UNSAVED = {"schedule": "not saved"}  # a Lambda: code, which plain data cannot hold


def save(opt: Optimizer) -> dict[str, Any]:
    """`Optimizer.state_dict`."""
    layout, groups = opt._layout, []
    for i, group in enumerate(layout.groups):
        out = {name: _plain(value) for name, value in group.items() if name != "params"}
        out["params"] = {}
        for leaf, arrays, age in zip(layout.leaves, layout.states, opt._plan.ages, strict=True):
            if leaf.group == i:
                named = zip(opt._state_names, arrays, strict=True)
                saved = {name: a.copy() for name, a in named if a is not None}
                out["params"][leaf.path] = {"t": age, **saved}
        groups.append(out)
    return {
        "rule": opt.rule,
        "t": opt.t,
        "clip_norm": _plain(layout.clip_norm),
        "nonfinite": layout.nonfinite,
        "param_groups": groups,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Schedule):
        try:
            return value.to_dict()
        except TypeError:
            return dict(UNSAVED)
    return value


def _rich(value: Any, present: Any, where: str) -> Any:
    """Undo `_plain`; what could not be saved must be there already."""
    if isinstance(value, (list, tuple)):
        here = present if isinstance(present, tuple) else (None,) * len(value)
        return tuple(_rich(v, p, where) for v, p in zip(value, here, strict=False))
    if not isinstance(value, Mapping):
        return value
    if value == UNSAVED:
        if not isinstance(present, Schedule):
            raise ValueError(
                f"{where} was a schedule made of a Python function, which no state dict can hold; "
                "make the optimizer with that schedule first"
            )
        return present
    try:
        return Schedule.from_dict(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def load(opt: Optimizer, state: Mapping[str, Any]) -> None:
    """`Optimizer.load_state_dict`: first look at everything, then take it over."""
    who = f"{type(opt).__name__}.load_state_dict"
    _require(who, "state", state, {"rule", "t", "clip_norm", "nonfinite", "param_groups"})
    if not isinstance(state["rule"], str) or state["rule"] != opt.rule:
        raise ValueError(f"{who}: rule must be {opt.rule!r}, got {state['rule']!r}")
    t = _count(who, "t", state["t"])
    saved, layout = state["param_groups"], opt._layout
    if not isinstance(saved, (list, tuple)) or len(saved) != len(layout.groups):
        got = len(saved) if isinstance(saved, (list, tuple)) else type(saved).__name__
        raise ValueError(f"{who}: param_groups must be a list of {len(layout.groups)}, got {got}")
    groups = [
        _group(opt, f"{who}: param_groups[{i}]", group, new)
        for i, (group, new) in enumerate(zip(layout.groups, saved, strict=True))
    ]
    for i, new in enumerate(saved):
        paths = {leaf.path for leaf in layout.leaves if leaf.group == i}
        _require(who, f"param_groups[{i}]['params']", new["params"], paths)
    ages, arrays = [], []
    for leaf in layout.leaves:
        where = f"param_groups[{leaf.group}]['params'][{leaf.path!r}]"
        starts = opt._starts(groups[leaf.group])
        names = {n for n, s in zip(opt._state_names, starts, strict=True) if s is not None}
        entry = saved[leaf.group]["params"][leaf.path]
        _require(who, where, entry, names | {"t"})
        ages.append(_count(who, f"{where}['t']", entry["t"]))
        arrays.append(_fitting(who, where, {n: entry[n] for n in names}, leaf.array))
    clip_norm, nonfinite = opt._checked_options(
        _rich(state["clip_norm"], layout.clip_norm, f"{who}: clip_norm"), state["nonfinite"]
    )
    new_layout = replace(layout, groups=groups, clip_norm=clip_norm, nonfinite=nonfinite)
    opt._resume(new_layout, t, ages, arrays)


def _group(opt: Optimizer, where: str, group: Mapping[str, Any], new: Any) -> dict[str, Any]:
    """The saved hyper-parameters of a group, inside their domains."""
    who, _, place = where.partition(": ")
    _require(who, place, new, set(group))
    values = {k: _rich(v, group[k], f"{where}[{k!r}]") for k, v in new.items() if k != "params"}
    return opt._checked({**values, "params": group["params"]})


def _require(who: str, where: str, found: Any, keys: set[str]) -> None:
    if not isinstance(found, Mapping) or set(found) != keys:
        got = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(f"{who}: {where} must be a dict with the keys {sorted(keys)}, got {got}")


def _count(who: str, where: str, value: Any) -> int:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not 0 <= value <= 2**53:
        raise ValueError(f"{who}: {where} must be an integer in [0, 2**53], got {value!r}")
    return int(value)


def _fitting(who: str, where: str, entry: dict[str, Any], p: Any) -> dict[str, Any]:
    """The saved arrays of one parameter, if they are what it needs. None of them is cast."""
    for name, a in entry.items():
        if not isinstance(a, np.ndarray) or a.shape != p.shape or a.dtype != p.dtype:
            got = f"{a.dtype} of shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
            raise ValueError(
                f"{who}: {where}[{name!r}] must be a {p.dtype} array of shape {p.shape}, got {got}"
            )
    return entry
