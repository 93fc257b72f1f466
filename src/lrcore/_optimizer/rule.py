"""Rule: what an optimizer's class knows of its row in ``rules.def``, without an instance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import nan
from types import SimpleNamespace
from typing import Any, ClassVar, TypeAlias

from numpy.typing import NDArray

from .._hyper import RULES, SCALARS, STATES, check, domain_of, slots
from .._schedule import Schedule
from .memory import Slabs, slabs
from .options import GROUP, check_group

__all__ = ["Rule"]

Array: TypeAlias = NDArray[Any]

#: Of a group: what decides which arrays there are besides the switches of a rule's states, and what
#: `check_group` looks at.
SHAPING = ("adamw", "max_precond_dim", "agc")
EXCLUSIVE = ("cautious", "grams", *(name for name, option in GROUP.items() if option.fixed))


class Rule:
    """The row of a class: its hyper-parameters and states under a group's values."""

    rule: ClassVar[str] = ""
    #: The argument that is the rate, which `lr_scale` multiplies: ``"lr"`` in most rules.
    rate_name: ClassVar[str] = ""
    #: The arguments that say nothing of a parameter that is no matrix.
    for_matrices: ClassVar[tuple[str, ...]] = ()
    #: Whether a step must be told the loss.
    needs_loss: ClassVar[bool] = False
    #: What torch.optim calls the number of updates, the states and the scalars, where it has the
    #: rule; others keep their names. Without "t" the number of updates is not kept; None: a scalar
    #: that every step sets anew, and torch does not keep.
    torch_names: ClassVar[Mapping[str, str | None]] = {"t": "step"}
    #: Whether torch keeps the states of a parameter before its first update.
    kept_at_once: ClassVar[bool] = False
    #: The class of the same rule with decoupled weight decay, where torch has both in one.
    decoupled: ClassVar[str | None] = None
    #: Whether what is evaluated is another point than the one that is trained.
    two_points: ClassVar[bool] = False
    #: Where states and averages lie, unless they are in a file.
    _room: ClassVar[Slabs] = staticmethod(slabs)

    @classmethod
    def _hypers(cls, values: Iterable[str]) -> list[str]:
        """The names among a group's values that are hyper-parameters of the rule."""
        return [name for name in values if name not in GROUP and name != "params"]

    @classmethod
    def _each_checked(cls, values: Mapping[str, Any], who: str = "") -> dict[str, Any]:
        """Some values of a group by name, each inside its domain; `who` begins messages."""
        who, columns = who or cls.__name__, RULES[cls.rule].hypers
        out: dict[str, Any] = dict(values)
        for name, value in values.items():
            if name in GROUP:
                out[name] = GROUP[name].check(who, name, value)
        for name in cls._hypers(values):
            try:
                places = slots(name, values[name], columns)
            except ValueError as error:
                raise ValueError(f"{who}: {error}") from None
            domain = domain_of(cls.rule, name)
            checked = [check(who, domain, label, v) for _, v, label in places]
            out[name] = checked[0] if name in columns else tuple(checked)
        return out

    @classmethod
    def _checked(cls, values: Mapping[str, Any], who: str = "") -> dict[str, Any]:
        """The values of a group by name, each inside its domain, and all together."""
        out = cls._each_checked(values, who)
        cls._check_together(who or cls.__name__, out)
        check_group(who or cls.__name__, cls.rule, out, cls._starts(out))
        return out

    @classmethod
    def _check_together(cls, who: str, values: Mapping[str, Any]) -> None:
        """Refuse values that are fine one by one but not together; a rule may say which."""

    @classmethod
    def _point(cls, p: Array, s: SimpleNamespace, k: SimpleNamespace) -> Array:
        """What is evaluated of a parameter, whose states and scalars are `s` and `k`."""
        return p

    @classmethod
    def _starts(cls, values: Mapping[str, Any], matrix: bool | None = None) -> dict[str, float]:
        """What each state there is under these values begins at; NaN: as the parameter is.

        Of a tensor that is a matrix to the rule, of one that is none, or of either.
        """
        out: dict[str, float] = {}
        for state in STATES[cls.rule]:
            if None not in (matrix, state.only) and matrix is not state.only:
                continue
            on = values[state.switch] if state.switch else True
            if isinstance(on, Schedule) or on:
                out[state.name] = nan if state.follows else _first(values, state.start)
        return out

    @classmethod
    def _shape(cls, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """What decides which arrays there are beside a group's parameters."""
        return (*cls._starts(values), *(values.get(name) for name in SHAPING))

    @classmethod
    def _decides(cls, names: Iterable[str]) -> bool:
        """Whether values by these names decide which arrays there are, or go with some only."""
        switches = {state.switch for state in STATES[cls.rule]}
        return any(k in SHAPING or k in switches or k in EXCLUSIVE for k in names)

    @classmethod
    def _first_scalars(cls, values: Mapping[str, Any]) -> list[float]:
        """What the scalars of a tensor or group begin at under these values."""
        return [_first(values, start) for start in SCALARS[cls.rule].values()]


def _first(values: Mapping[str, Any], name: str | None) -> float:
    """The value of a hyper-parameter for the first update; 0 where there is no name."""
    value = values[name] if name else 0.0
    return float(value(0) if isinstance(value, Schedule) else value)
