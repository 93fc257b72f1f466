"""Groups of parameters: as they are given, and as their optimizer shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._hyper import is_matrix
from .layout import send
from .options import GROUP, MASKS, WHOLE, check_group
from .tree import flatten

if TYPE_CHECKING:
    from .optimizer import Optimizer

__all__ = ["ParamGroup", "is_groups", "made"]


class ParamGroup(MutableMapping[str, Any]):
    """One group of parameters and what it is updated with; assigning checks.

    A mapping from ``"params"``, the names of the hyper-parameters and those of the options that
    every group has for itself to their values. ``"params"`` cannot be assigned, nothing can be
    deleted. ``"clip_norm"`` is None where the norm of all such groups together is clipped.
    """

    def __init__(self, owner: Optimizer, index: int) -> None:
        self._owner = owner
        self._index = index

    @property
    def _values(self) -> dict[str, Any]:
        return self._owner._layout.groups[self._index]

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        assign(self._owner, self._index, {name: value})

    def update(self, *args: Any, **changes: Any) -> None:
        """Assign several at once: all of them, or none where one is refused."""
        assign(self._owner, self._index, dict(*args, **changes))

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"param_groups[{self._index}]: {name!r} cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        """The hyper-parameters, and the options that are not at their defaults."""
        default = {name: option.default for name, option in GROUP.items()}
        shown = {k: v for k, v in self._values.items() if k not in default or v != default[k]}
        return repr({k: v for k, v in shown.items() if k != "params"})


def is_groups(who: str, params: Any) -> bool:
    """Whether parameters are given as a list of groups."""
    if not isinstance(params, (list, tuple)) or not params:
        return False
    named = [isinstance(g, Mapping) and "params" in g for g in params]
    if any(named) and not all(named):
        raise ValueError(
            f'{who}: params[{named.index(False)}] must be a dict with the key "params" like the '
            f"other groups, got {params[named.index(False)]!r:.60}"
        )
    return all(named)


def made(opt: Optimizer, given: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The values of a group: those it is given, and the optimizer's."""
    who = type(opt).__name__
    place = f"{who}: params[{index}]"
    known = {*opt._defaults, *MASKS}
    unknown = sorted(set(given) - known - {"params"}, key=repr)
    if unknown:
        why = _not_of_groups(unknown[0]) or f"there are {sorted(known)}"
        raise TypeError(f"{place} has the unknown option {unknown[0]!r}; {why}")
    own = opt._each_checked({k: v for k, v in given.items() if k not in MASKS}, place)
    values = opt._checked({**opt._defaults, **own}, place if set(own) != {"params"} else who)
    _check_matrices(type(opt), place, own, values)
    return values


def _check_matrices(
    kind: type[Optimizer], place: str, own: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Refuse what a group is given for matrices where none of its parameters is one."""
    told = [name for name in kind.for_matrices if name in own]
    if not told:
        return
    leaves, _ = flatten(values["params"], 0)
    if not any(is_matrix(kind.rule, np.shape(leaf.array), values) for leaf in leaves):
        raise ValueError(
            f"{place}: {told[0]} must go with a matrix, of two or more dimensions and adamw=False; "
            "got a group of parameters that AdamW updates"
        )


def assign(opt: Optimizer, index: int, changes: Mapping[str, Any]) -> None:
    """Give a group other values: all of them, or none where one is refused."""
    who, place = type(opt).__name__, f"param_groups[{index}]"
    for name in changes:
        if name not in opt._defaults:
            why = _not_of_groups(name) or f"there are {sorted(opt._defaults)}"
            raise KeyError(f"{place}: {name!r} cannot be set; {why}")
    who, kind = f"{who}: {place}", type(opt)
    with opt._alone():
        old = opt._layout.groups[index]
        new = {**old, **opt._each_checked(changes, who)}
        opt._check_together(who, new)
        if kind._decides(changes) and _decided(opt, who, old, new):
            opt._replan(opt._layout.with_values(index, new))
        else:
            send(kind, opt._plan, index, new, changes)
            opt._layout.groups[index] = new


def _decided(opt: Optimizer, who: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a group with other values has other arrays; or an error where it must not."""
    check_group(who, opt.rule, new, opt._starts(new))
    for name, option in GROUP.items():
        if option.fixed and new[name] != old[name]:
            raise ValueError(
                f"{type(opt).__name__}: {name} cannot be changed; make a new optimizer and "
                "load_state_dict(..., convert=True)"
            )
    return opt._shape(new) != opt._shape(old)


def _not_of_groups(name: str) -> str | None:
    """Why a group cannot be given an option that there is."""
    if name in WHOLE:
        return "it is for the whole optimizer and given when that is made"
    return "it is given when the group is made" if name in MASKS else None
