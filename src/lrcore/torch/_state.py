"""What is kept beside each parameter, under torch's names: live, and as a checkpoint has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch

from .. import Schedule
from .._hyper import RULES
from .._optimizer.saved import PASSING
from .._optimizer.state import save
from ._part import FIXED, Part
from ._spread import like, local
from ._tensors import as_array, as_tensor

if TYPE_CHECKING:
    from ._optimizer import Optimizer

__all__ = ["State", "counted", "fitting", "load", "values_of"]


class Entry(dict[str, Any]):
    """The state of one parameter; a tensor that is assigned is copied to where the state is."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self:
            raise KeyError(f"a state must be one of {list(self)}, got {name!r}")
        here = self[name]
        if not isinstance(value, torch.Tensor) or here.shape != value.shape:
            got = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            raise ValueError(
                f"the state {name!r} must be a tensor of shape {tuple(here.shape)}, got {got}"
            )
        here.copy_(value)


class State(MutableMapping[Any, Any]):
    """``optimizer.state``: a dict by name for each parameter that was updated.

    Tensors are the memory that steps use, but for ``step`` and other single numbers, which are as
    they were when they were looked up. To assign a whole entry takes it over, to delete one lets
    its parameter begin anew.
    """

    def __init__(self, owner: Optimizer) -> None:
        self._owner = owner

    def _places(self) -> Iterator[tuple[Any, Part, int]]:
        """The parameters that have a state, and where it is."""
        for part, members in self._owner._members():
            params = [p for some in members for p in some.params]
            for k, (p, age) in enumerate(zip(params, part.opt._plan.ages, strict=True)):
                if age:
                    yield p, part, k

    def __getitem__(self, param: Any) -> Entry:
        for p, part, k in self._places():
            if p is param:
                return _entry(p, part, k)
        raise KeyError(param)

    def __setitem__(self, param: Any, entry: Any) -> None:
        self.replace({**self, param: entry})

    def __delitem__(self, param: Any) -> None:
        self.replace({p: entry for p, entry in self.items() if p is not param})

    def items(self) -> Any:
        """Pairs of a parameter and its entry."""
        return [(p, _entry(p, part, k)) for p, part, k in self._places()]

    def clear(self) -> None:
        """Let all parameters begin anew."""
        self.replace({})

    def replace(self, entries: Mapping[Any, Any]) -> None:
        """Take over the states of all parameters; those without one begin anew."""
        load(self._owner, f"{type(self._owner).__name__}.state", None, entries)

    def __iter__(self) -> Iterator[Any]:
        return (p for p, _, _ in self._places())

    def __len__(self) -> int:
        return sum(1 for _ in self._places())

    def __repr__(self) -> str:
        return repr(dict(self))


# ---------------------------------------------------------------------------- as torch has it


def _named(part: Part, k: int) -> dict[str, str]:
    """What the numbers and arrays of a parameter are called in a checkpoint, by our names."""
    known: Mapping[str, str | None] = part.opt.torch_names
    row, out = RULES[part.opt.rule], {}
    if row.of_tensors:
        named = {name: known.get(name, name) for name in row.scalars}
        out.update({name: theirs for name, theirs in named.items() if theirs})
    for name in part.opt._layout.arrays[k]:
        state = name.removesuffix("_scale")
        if name not in PASSING:
            out[name] = (known.get(state) or state) + name[len(state) :]
    return out


def _entry(p: Any, part: Part, k: int) -> Entry:
    """The state of one parameter; of a DTensor, tensors that are spread as it is."""
    opt, names = part.opt, _named(part, k)
    row, arrays = RULES[opt.rule], opt._layout.arrays[k]
    found: dict[str, Any] = {}
    if step := opt.torch_names.get("t"):
        found[step] = torch.tensor(float(opt._plan.ages[k]))
    if row.of_tensors:
        for name, value in zip(row.scalars, opt._plan.scalars[k], strict=True):
            if name in names:
                found[names[name]] = torch.tensor(value, dtype=torch.float64)
    for name in arrays:
        if name in names:
            axes = part.axes[k] if arrays[name].shape == part.arrays[k].shape else None
            found[names[name]] = like(p, as_tensor(arrays[name], axes))
    return Entry(found)


def counted(part: Part, i: int) -> dict[str, Any]:
    """What a part counts, and estimates for its i-th group."""
    opt = part.opt
    out: dict[str, Any] = {"t": opt.t}
    if opt._layout.whole.scaler is not None:
        out |= {"scale": opt.loss_scale, "good_steps": opt._good_steps}
    if RULES[opt.rule].scope == "group":
        out["estimates"] = dict(zip(RULES[opt.rule].scalars, opt._plan.scalars[i], strict=True))
    return out


# ------------------------------------------------------------------------------------ loading


def fitting(who: str, groups: Sequence[Any], state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The groups of a checkpoint, found to be as many, of as many parameters."""
    for name in ("state", "param_groups"):
        if name not in state:
            raise ValueError(f"{who}: the state dict must have the key {name!r}, got {list(state)}")
    saved: list[Mapping[str, Any]] = state["param_groups"]
    if len(saved) != len(groups):
        raise ValueError(
            f"{who}: param_groups must be a list of {len(groups)}, got {len(saved)}; loaded state "
            "dict has a different number of parameter groups"
        )
    for i, (group, new) in enumerate(zip(groups, saved, strict=True)):
        if len(group["params"]) != len(new["params"]):
            raise ValueError(
                f"{who}: param_groups[{i}] must have {len(group['params'])} parameters, "
                f"got {len(new['params'])}"
            )
    return saved


def values_of(
    group: Mapping[str, Any], new: Mapping[str, Any], but: Sequence[str]
) -> dict[str, Any]:
    """What a saved group brings to a group; storage stays as it is there."""
    left_out = {"params", *FIXED, *but} | ({"param_names"} if "param_names" not in group else set())
    return {k: _alive(v) for k, v in new.items() if k not in left_out}


def _alive(value: Any) -> Any:
    if isinstance(value, Mapping) and "kind" in value:
        return Schedule.from_dict(value)
    return deepcopy(value)


def load(
    owner: Optimizer,
    who: str,
    groups: Sequence[Mapping[str, Any]] | None,
    entries: Mapping[Any, Any],
) -> None:
    """Take over the groups of a checkpoint, if there are such, and the entries by parameter."""
    by_id = {id(p): entry for p, entry in entries.items()}
    ready = []
    for part, members in owner._members():
        wanted = [by_id.get(id(p)) for some in members for p in some.params]
        saved = None if groups is None else [owner._saved_for(some, groups) for some in members]
        ready.append((part, _state_of(who, part, wanted, saved)))
    for part, state in ready:
        part.opt.load_state_dict(state, convert=True)


def _state_of(
    who: str, part: Part, entries: Sequence[Any], groups: Sequence[Mapping[str, Any]] | None
) -> dict[str, Any]:
    """What the optimizer of a part is to load."""
    state = save(part.opt, arrays=False)
    for here, group in zip(state["param_groups"], groups or (), strict=False):
        here.update(part.plain(group))
        if "estimates" in here and "estimates" in group:
            here["estimates"] = dict(group["estimates"])
    k, ages = 0, []
    for i, here in enumerate(state["param_groups"]):
        for path, place in here["params"].items():
            where = f"{who}: the state of params[{i}][{path}]"
            place.update(_loaded(where, part, k, entries[k]))
            ages.append(place["t"])
            k += 1
    if groups is None:  # no fewer updates than of any parameter
        state["t"] = max([state["t"], *ages])
    else:
        state["t"] = max([g["t"] for g in groups if "t" in g] or [0, *ages])
        for name in ("scale", "good_steps"):
            state[name] = groups[0].get(name, state[name])
    return state


def _loaded(where: str, part: Part, k: int, entry: Any) -> dict[str, Any]:
    """The saved state of a parameter under our names, or what it begins with."""
    row, own, names = RULES[part.opt.rule], part.opt._layout.arrays[k], _named(part, k)
    step = part.opt.torch_names.get("t", "step")
    found = {n: v for n, v in (entry or {}).items() if v is not None}
    if not found:
        return _fresh(part, k)
    if set(found) - {step} != set(names.values()):
        raise ValueError(
            f"{where} must have {sorted(names.values())}, got {sorted(set(found) - {step})}: it is "
            "of another rule or was made with other options"
        )
    out: dict[str, Any] = {"t": int(found.get(step, 1))}
    for name in own:
        if name in names:
            out[name] = _array(where, names[name], part, k, found[names[name]])
    if row.of_tensors and row.scalars:
        out["estimates"] = {n: float(found[names[n]]) if n in names else 0.0 for n in row.scalars}
    return out


def _array(where: str, name: str, part: Part, k: int, value: Any) -> Any:
    """A saved state as an array in the order of the parameter's."""
    if not isinstance(value, torch.Tensor):
        raise ValueError(f"{where}: {name} must be a tensor, got {type(value).__name__}")
    value, axes = local(value).detach().cpu(), part.axes[k]
    if value.ndim == len(axes):
        value = value.permute(axes)
    if not value.dtype.is_floating_point:  # 8 bits, or the lower half of a split parameter
        return value.contiguous().numpy()
    return as_array(where, name, value.contiguous())[0]


def _fresh(part: Part, k: int) -> dict[str, Any]:
    """What a parameter begins with."""
    layout = part.opt._layout
    leaf = layout.leaves[k]
    whole = {n: v for n, v in vars(layout.whole).items() if n not in ("state_file", "backend")}
    own = {n: v for n, v in layout.groups[leaf.group].items() if n not in ("params", *whole)}
    make: Any = type(part.opt)
    groups = save(make([leaf.array], **own, **whole))["param_groups"]
    entry: dict[str, Any] = groups[0]["params"]["0"]
    return entry
