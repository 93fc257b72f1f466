"""Sent: what the values of a group were when its optimizer was last told them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import torch

from .._optimizer.options import MASKS
from ._flags import DECOUPLED, REFUSED

__all__ = ["Sent", "masks", "number"]


def number(who: str, name: str, value: Any) -> Any:
    """A hyper-parameter as this library takes it; torch also has tensors of one number."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise ValueError(
                f"{who}: {name} must be a number or a tensor of one, got shape {tuple(value.shape)}"
            )
        return float(value.detach())
    if isinstance(value, (list, tuple)):
        return tuple(number(who, name, v) for v in value)
    return value


def _changes_unseen(value: Any) -> bool:
    """Whether a value may change while it stays the same object."""
    if type(value) is float:
        return False
    if isinstance(value, tuple):
        return any(map(_changes_unseen, value))
    return isinstance(value, (list, torch.Tensor))


#: What a group without masks says of single parameters.
UNMASKED: dict[str, Any] = dict.fromkeys(MASKS)


class Said:
    """What a mask of several entries said, whatever becomes of it."""

    def __init__(self, mask: Any) -> None:
        self.entries, self.text = _entries(mask), repr(mask)

    def __eq__(self, mask: object) -> bool:
        return bool(self.entries == (mask.entries if isinstance(mask, Said) else _entries(mask)))

    def __repr__(self) -> str:
        return self.text


def _entries(mask: Any) -> Any:
    """The entries of a mask in their order, which counts for patterns."""
    if isinstance(mask, Mapping):
        return dict, *((k, _entries(v)) for k, v in mask.items())
    if isinstance(mask, (list, tuple)):
        return list, *map(_entries, mask)
    return mask


def masks(group: Mapping[str, Any]) -> dict[str, Any]:
    """What a group says of single parameters, as it is now; None where it says nothing."""
    found = {name: group.get(name) for name in MASKS}
    return {k: Said(v) if isinstance(v, (Mapping, list, tuple)) else v for k, v in found.items()}


class Sent(NamedTuple):
    """What a group had, the names of what counts of it, how to get that, and its values."""

    keys: tuple[str, ...]
    names: tuple[str, ...]
    get: Callable[[dict[str, Any]], tuple[Any, ...]]
    values: tuple[Any, ...]
    #: What of it the optimizer was told, by name, without tensors.
    told: dict[str, Any]
    #: Whether some may change while they stay the same objects.
    unseen: bool
    #: What the group said of single parameters.
    masks: dict[str, Any]

    @classmethod
    def of(
        cls, who: str, known: Collection[str], group: dict[str, Any], before: Sent | None = None
    ) -> Sent:
        """What a group says; `known` is for the optimizer, `before` is what the group said."""
        get: Callable[[dict[str, Any]], tuple[Any, ...]]
        if before is None or before.keys != tuple(group):
            watched = {*known, *REFUSED, DECOUPLED}
            names = tuple(k for k in group if k in watched)
            get = itemgetter(*names)
        else:
            names, get = before.names, before.get
        now, said = get(group), UNMASKED
        if any(map(group.__contains__, MASKS)):
            said = masks(group)
            now = tuple(said.get(k, v) for k, v in zip(names, now, strict=True))
        told = {
            k: v if type(v) is float else number(who, k, v)
            for k, v in zip(names, now, strict=True)
            if k in known and k not in MASKS
        }
        return cls(tuple(group), names, get, now, told, any(map(_changes_unseen, now)), said)

    def holds(self, group: dict[str, Any]) -> bool:
        """Whether a group surely says the same; a KeyError where it has lost a value."""
        now = self.get(group)
        if self.unseen or tuple(group) != self.keys:
            return False
        try:
            return now == self.values
        except (RuntimeError, ValueError):  # a tensor or an array of several numbers
            return False

    def changes(self, before: Sent) -> dict[str, Any]:
        """What the optimizer must be told that knows what was before."""
        old = before.told
        return {k: v for k, v in self.told.items() if k not in old or v != old[k]}
