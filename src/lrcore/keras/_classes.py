"""The classes: one for each rule, made from the table."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from .. import optimizers
from .._optimizer import Optimizer as Own
from . import _names
from ._optimizer import Optimizer

__all__ = ["CLASSES"]


def _hyper(name: str) -> property:
    """An argument as an attribute: to be read, and set for the steps to come."""

    def get(self: Any) -> Any:
        return self._host.values[name]

    def put(self: Any, value: Any) -> None:
        if hasattr(self, "_host"):
            self._host.change(name, value)

    return property(get, put, doc=f"The argument `{name}`; assignable.")


def _doc(rule: type[Own], mine: _names.Parameters) -> str:
    """What a class says of itself."""
    found = _names.peer(rule)
    head = (rule.__doc__ or "").partition("\n")[0]
    like = (
        f"Arguments and defaults are those of ``keras.optimizers.{found.__name__}``"
        if found is not None
        else f"Arguments are those of `lrcore.{rule.__name__}`, with ``learning_rate`` for its "
        f"``{rule.rate_name}``, and the options of Keras"
    )
    rows = [
        f"    {k}{'' if p.default is p.empty else f' : default {p.default!r}'}"
        for k, p in mine.items()
        if k not in _names.OPTIONS
    ]
    return "\n".join(
        [
            head,
            "",
            f"    {like}; see :class:`lrcore.{rule.__name__}` for the rule, and",
            "    :class:`lrcore.keras.Optimizer` for what all have in common.",
            "",
            "    Parameters",
            "    ----------",
            *rows,
            "    **options",
            "        As for :class:`lrcore.Optimizer`.",
            "    ",
        ]
    )


def _made(name: str) -> type[Optimizer]:
    rule: type[Own] = getattr(optimizers, name)
    mine = _names.parameters(rule)
    hypers = [k for k in mine if k == "weight_decay" or k not in {**_names.BASE, **_names.OPTIONS}]
    body = {
        "rule": rule,
        "__doc__": _doc(rule, mine),
        "__module__": "lrcore.keras",
        "__signature__": inspect.Signature(list(mine.values())),
        **{k: _hyper(k) for k in hypers},
    }
    made = type(name, (Optimizer,), body)
    register: Any = keras.saving.register_keras_serializable(package="lrcore")
    return register(made)


#: By name; those that Keras spells otherwise under its name, too.
CLASSES: dict[str, type[Optimizer]] = {name: _made(name) for name in optimizers.__all__}
CLASSES |= {
    found.__name__: kind
    for kind in list(CLASSES.values())
    for found in [_names.peer(kind.rule)]
    if found is not None
}
