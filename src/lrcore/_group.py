"""Groups of parameters: as they are given, and as their optimizer shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from ._options import GROUP

if TYPE_CHECKING:
    from ._optimizer import Optimizer

__all__ = ["ParamGroup", "is_groups"]


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
        self._owner._assign(self._index, {name: value})

    def update(self, *args: Any, **changes: Any) -> None:
        """Assign several at once: all of them, or none where one is refused."""
        self._owner._assign(self._index, dict(*args, **changes))

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
