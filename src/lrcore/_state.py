"""state_dict and load_state_dict: a run to plain data and back, checked before it is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ._schedule import Schedule

if TYPE_CHECKING:
    from ._optimizer import Optimizer

__all__ = ["load", "save"]

UNSAVED = {"schedule": "not saved"}  # a Lambda: code, which plain data cannot hold


def save(opt: Optimizer) -> dict[str, Any]:
    """`Optimizer.state_dict`."""
    groups = []
    for i, group in enumerate(opt._groups):
        out = {name: _plain(value) for name, value in group.items() if name != "params"}
        out["params"] = {}
        for leaf, arrays, age in zip(opt._leaves, opt._states, opt._plan.ages, strict=True):
            if leaf.group == i:
                named = zip(opt._state_names, arrays, strict=True)
                out["params"][leaf.path] = {
                    "t": age,
                    **{name: a.copy() for name, a in named if a is not None},
                }
        groups.append(out)
    return {
        "rule": opt.rule,
        "t": opt.t,
        "clip_norm": _plain(opt._clip_norm),
        "nonfinite": opt._nonfinite,
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
    if value == UNSAVED:
        if not isinstance(present, Schedule):
            raise ValueError(
                f"{where} was a schedule made of a Python function, which no state dict can hold; "
                "make the optimizer with that schedule first"
            )
        return present
    return Schedule.from_dict(value) if isinstance(value, Mapping) else value


def load(opt: Optimizer, state: Mapping[str, Any]) -> None:
    """`Optimizer.load_state_dict`: first look at everything, then take it over."""
    who = f"{type(opt).__name__}.load_state_dict"
    _require(who, "state", state, {"rule", "t", "clip_norm", "nonfinite", "param_groups"})
    if state["rule"] != opt.rule:
        raise ValueError(f"{who}: rule must be {opt.rule!r}, got {state['rule']!r}")
    t = _count(who, "t", state["t"])
    saved = state["param_groups"]
    if len(saved) != len(opt._groups):
        raise ValueError(f"{who}: param_groups must be {len(opt._groups)}, got {len(saved)}")
    groups, ages = [], {}
    arrays: dict[int, dict[str, Any]] = {}
    for i, (group, new) in enumerate(zip(opt._groups, saved, strict=True)):
        where = f"param_groups[{i}]"
        _require(who, where, new, set(group))
        values = {
            k: _rich(v, group[k], f"{who}: {where}[{k!r}]") for k, v in new.items() if k != "params"
        }
        groups.append(opt.check({**values, "params": group["params"]}))
        leaves = {leaf.path: k for k, leaf in enumerate(opt._leaves) if leaf.group == i}
        _require(who, f"{where}['params']", new["params"], set(leaves))
        for path, k in leaves.items():
            entry = dict(new["params"][path])
            ages[k] = _count(who, f"{where}['params'][{path!r}]['t']", entry.pop("t", None))
            arrays[k] = _fitting(
                who,
                f"{where}['params'][{path!r}]",
                entry,
                opt._leaves[k].array,
                [
                    name
                    for name, start in zip(opt._state_names, opt.starts(groups[-1]), strict=True)
                    if start is not None
                ],
            )
    options = opt._checked_options(
        _rich(state["clip_norm"], opt._clip_norm, f"{who}: clip_norm"), state["nonfinite"]
    )
    opt._resume(groups, options, t, [ages[k] for k in range(len(opt._leaves))], arrays)


def _require(who: str, where: str, found: Any, keys: set[str]) -> None:
    if not isinstance(found, Mapping) or set(found) != keys:
        got = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(f"{who}: {where} must be a dict with the keys {sorted(keys)}, got {got}")


def _count(who: str, where: str, value: Any) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{who}: {where} must be an integer >= 0, got {value!r}")
    return int(value)


def _fitting(
    who: str, where: str, entry: dict[str, Any], p: Any, names: list[str]
) -> dict[str, Any]:
    """The saved arrays of one parameter, if they are those it needs. None of them is cast."""
    _require(who, f"{where} (besides 't')", entry, set(names))
    for name, a in entry.items():
        if not isinstance(a, np.ndarray) or a.shape != p.shape or a.dtype != p.dtype:
            got = f"{a.dtype} of shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
            raise ValueError(
                f"{who}: {where}[{name!r}] must be a {p.dtype} array of shape {p.shape}, got {got}"
            )
    return entry
