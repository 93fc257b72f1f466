"""Arguments of torch.optim beyond a rule's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from .. import Optimizer as Rule
from .. import optimizers

if TYPE_CHECKING:
    from ._optimizer import Optimizer

__all__ = [
    "DECOUPLED",
    "FLAGS",
    "REFUSED",
    "check_flags",
    "defaults_of_torch",
    "flags_of_torch",
    "is_flag",
    "rule_of",
]

#: Without effect, or why they are refused.
FLAGS: dict[str, str | None] = {
    "foreach": None,
    "fused": None,
    "capturable": "there are no graphs to capture on the CPU",
    "differentiable": "steps are made outside of autograd; torch.optim has one inside",
}
REFUSED = tuple(name for name, why in FLAGS.items() if why)
DECOUPLED = "decoupled_weight_decay"


def is_flag(cls: type[Optimizer], name: str) -> bool:
    return name not in cls.hypers


@cache
def defaults_of_torch(name: str) -> dict[str, Any]:
    """What groups of torch's class of this name have; nothing where there is none."""
    theirs = getattr(torch.optim, name, None)
    return {} if theirs is None else theirs([torch.zeros(1, 1)]).defaults


def flags_of_torch(name: str) -> dict[str, Any]:
    """The flags that groups of torch's class of this name have, at their defaults."""
    return {k: v for k, v in defaults_of_torch(name).items() if k in (*FLAGS, DECOUPLED)}


def rule_of(cls: type[Optimizer], flags: Mapping[str, Any]) -> type[Rule]:
    """The rule's class, or that of its decoupled form."""
    if DECOUPLED in cls.hypers or not flags.get(DECOUPLED):
        return cls.kind
    if cls.kind.decoupled is None:
        raise ValueError(f"{cls.__name__}: {DECOUPLED} must be False, got True")
    kind: type[Rule] = getattr(optimizers, cls.kind.decoupled)
    return kind


def check_flags(
    who: str, hypers: Collection[str], group: Mapping[str, Any], decoupled: bool
) -> None:
    """Refuse what torch takes and this library cannot do; `decoupled` is what all groups say."""
    for name, why in FLAGS.items():
        if why and group.get(name) and name not in hypers:
            raise ValueError(f"{who}: {name} must be False, since {why}; got {group[name]!r}")
    if DECOUPLED not in hypers and bool(group.get(DECOUPLED, decoupled)) is not decoupled:
        raise ValueError(
            f"{who}: {DECOUPLED} must be the same in all groups, got {group[DECOUPLED]!r}"
        )
