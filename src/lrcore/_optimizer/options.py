"""The options that every rule takes: who has each, its default, and what it may be.

Two tables: `GROUP`, what every group has for itself, and `WHOLE`, what there is once for an
optimizer. `decay_mask` and `lr_scale` (``_masks.py``) are resolved for each parameter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .. import _core
from .._domain import Interval
from .._hyper import CLIP_NORM, POSITIVE, STATES, check_value
from .._schedule import Schedule
from .slots import FORMATS, bfloat16

if TYPE_CHECKING:
    from ..options import LossScaler

__all__ = [
    "GROUP",
    "MASKS",
    "NONFINITE",
    "SAVED",
    "WHOLE",
    "Whole",
    "check_group",
    "is_schedulable",
    "split",
]

Check: TypeAlias = Callable[[str, str, Any], Any]

NONFINITE = _core.NONFINITE
MASKS = ("decay_mask", "lr_scale")
SEED = Interval(0, 2**64, closed_high=False, integer=True)


# ------------------------------------------------------------------------- what they may be


def _flag(who: str, name: str, value: Any) -> bool:
    return bool(check_value(who, name, value, None))


def _clip(who: str, name: str, value: Any) -> Any:
    if value is None or isinstance(value, Schedule):
        return value
    return check_value(who, name, value, CLIP_NORM if name == "clip_norm" else POSITIVE)


def _choice(*names: str | None) -> Check:
    texts = [f'"{name}"' if name else "None" for name in names]
    must = f"one of {', '.join(texts)}" if len(texts) > 2 else " or ".join(texts)

    def check(who: str, name: str, value: Any) -> str | None:
        if not (value is None or isinstance(value, str)) or value not in names:
            raise ValueError(f"{who}: {name} must be {must}, got {value!r}")
        return value

    return check


def _config(module: str, cls: str) -> Check:
    """A value of a class in a module that is imported when there is one."""

    def check(who: str, name: str, value: Any) -> Any:
        if value is None:
            return None
        return getattr(import_module(f"lrcore.{module}"), cls).of(who, name, value)

    return check


def _state_dtype(who: str, name: str, value: Any) -> Any:
    value = _choice(None, *FORMATS)(who, name, value)
    if value == "bfloat16":
        bfloat16(who, 'state_dtype "bfloat16"')
    return value


def _seed(who: str, name: str, value: Any) -> Any:
    return check_value(who, name, value, SEED)


def _path(who: str, name: str, value: Any) -> str | None:
    if value is None:
        return None
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path:
        raise TypeError(f"{who}: {name} must be the path of a file, got {value!r}")
    return path


# -------------------------------------------------------------------------------- the tables


class Option(NamedTuple):
    """An option's default, and what checks it."""

    default: Any
    check: Check
    #: Of a group: whether it decides which slots there are, so that it cannot be changed.
    fixed: bool = False
    #: Of the whole: whether a state dict takes it along.
    saved: bool = True


#: What every group has for itself.
GROUP: dict[str, Option] = {
    "maximize": Option(False, _flag),
    "clip_norm": Option(None, _clip),
    "clip_value": Option(None, _clip),
    "agc": Option(None, _config("options", "AGC")),
    "cautious": Option(False, _flag),
    "grams": Option(False, _flag),
    "state_dtype": Option(None, _state_dtype, fixed=True),
    "rounding": Option("nearest", _choice("nearest", "stochastic")),
    "master": Option(None, _choice(None, "float32", "split"), fixed=True),
}

#: What there is once for an optimizer.
WHOLE: dict[str, Option] = {
    "clip_norm": Option(None, _clip),
    "nonfinite": Option("raise", _choice(*NONFINITE)),
    "ema": Option(None, _config("averages", "EMA")),
    "swa": Option(None, _config("averages", "SWA")),
    "lookahead": Option(None, _config("averages", "Lookahead")),
    "zero_grads": Option(False, _flag),
    "loss_scale": Option(None, _config("options", "LossScaler")),
    "seed": Option(0, _seed),
    "stats": Option(False, _flag, saved=False),
    "backend": Option("c", _choice("c", "numpy"), saved=False),
    "state_file": Option(None, _path, saved=False),
}

#: Those of `WHOLE` that a state dict takes along.
SAVED = [name for name, option in WHOLE.items() if option.saved]


class Whole(SimpleNamespace):
    """The values of `WHOLE`, checked; never changed, only replaced."""

    @classmethod
    def of(cls, who: str, given: Mapping[str, Any]) -> Whole:
        """The options that were given and the defaults of the others, checked."""
        values = {
            name: option.check(who, name, given.get(name, option.default))
            for name, option in WHOLE.items()
        }
        whole = cls(**values)
        if whole.scaler is not None and "nonfinite" not in given:
            return whole.but(nonfinite="skip")
        if whole.scaler is not None and whole.nonfinite != "skip":
            raise ValueError(
                f'{who}: loss_scale with a LossScaler must go with nonfinite="skip", since it '
                f"learns from skipped steps, got nonfinite={whole.nonfinite!r}"
            )
        return whole

    def but(self, **changes: Any) -> Whole:
        """The same with some other values."""
        return Whole(**{**vars(self), **changes})

    def check_scale(self, who: str, name: str, value: Any) -> float:
        """A scale of the loss that may be set or loaded, or an error."""
        scale: float = check_value(who, name, value, POSITIVE)
        scaler = self.scaler
        if scaler is not None and not scaler.floor <= scale <= scaler.ceiling:
            raise ValueError(
                f"{who}: {name} must be in the LossScaler's [floor, ceiling] = "
                f"[{scaler.floor}, {scaler.ceiling}], got {scale}"
            )
        return scale

    @property
    def shown(self) -> dict[str, Any]:
        """The values that are not the defaults."""
        return {k: v for k, v in vars(self).items() if v != WHOLE[k].default}

    @property
    def scaler(self) -> LossScaler | None:
        """The LossScaler, where the scale of the loss adapts."""
        return self.loss_scale if hasattr(self.loss_scale, "after") else None

    @property
    def first_scale(self) -> float:
        """The scale of the loss to begin with."""
        if self.loss_scale is None:
            return 1.0
        return float(getattr(self.loss_scale, "init", self.loss_scale))


def is_schedulable(name: str) -> bool:
    """Whether a value of a group may be a schedule: hyper-parameters and limits."""
    return name not in GROUP or GROUP[name].check is _clip


def split(
    who: str, hypers: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], Whole, dict[str, Any]]:
    """The defaults of the groups, the options there are once, and the masks."""
    options = {name: option.default for name, option in GROUP.items()}
    known = {*hypers, *options, *MASKS, *WHOLE}
    for name in given:
        if name not in known:
            raise TypeError(f"{who}: there is no option {name!r}; there are {sorted(known)}")
    # clip_norm is of the whole optimizer; a group has one only where it is given its own.
    of_groups = {k: v for k, v in given.items() if k in GROUP and k != "clip_norm"}
    masks = {name: given.get(name) for name in MASKS}
    return {**hypers, **options, **of_groups}, Whole.of(who, given), masks


def check_group(
    who: str, rule: str, values: Mapping[str, Any], starts: Mapping[str, float]
) -> None:
    """Refuse options of a group that are fine one by one but not together."""
    if values.get("cautious") and values.get("grams"):
        raise ValueError(
            f"{who}: cautious and grams must not both be True; they exclude each other"
        )
    stored = values.get("state_dtype")
    for state in STATES[rule]:
        if state.name not in starts or stored in (None, "float64"):
            continue
        if state.follows:
            raise ValueError(
                f"{who}: state_dtype {stored!r} cannot hold the state {state.name!r} of {rule}, "
                "which begins at the parameter; it must be None"
            )
        if state.over:
            raise ValueError(
                f"{who}: state_dtype {stored!r} cannot hold the state {state.name!r} of {rule}, "
                "which is one number a row or column; it must be None"
            )
        if state.of_rows:
            raise ValueError(
                f"{who}: state_dtype {stored!r} cannot hold the state {state.name!r} of {rule}, "
                "which is one number a row; it must be None"
            )
        if state.exact and stored == "int8":
            switched = f", which {state.switch} switches on," if state.switch else ""
            without = f", or do without {state.switch}" if state.switch else ""
            raise ValueError(
                f'{who}: state_dtype "int8" cannot hold the state {state.name!r} of {rule}'
                f'{switched} closely enough; choose "bfloat16" or None{without}'
            )
