"""Schedule: what all schedules share. A schedule is a value, and a pure function of t."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ._core import Curve, FloatEnvironment
from ._domain import Interval

if TYPE_CHECKING:
    from inspect import Parameter

T = TypeVar("T")
S = TypeVar("S", bound="Schedule")
Integer: TypeAlias = "int | np.integer[Any]"
Integers: TypeAlias = "NDArray[np.integer[Any]] | Sequence[int]"

LAST = 2**53  # beyond it float64 does not hold every integer

# ------------------------------------------------------------------------ domains
# What an argument may be: an object whose check() returns the value as it is kept.

RATE = Interval(0, math.inf, closed_high=False)
POSITIVE = Interval(0, math.inf, closed_low=False, closed_high=False)
NUMBER = Interval(-math.inf, math.inf, closed_low=False, closed_high=False)
COUNT = Interval(0, LAST, integer=True)
LENGTH = Interval(1, LAST, integer=True)


class Instance:
    """Objects that are `what`, as `test` tells them."""

    def __init__(self, what: str, test: Callable[[object], bool]) -> None:
        self.what = what
        self.test = test

    def check(self, who: str, name: str, value: Any) -> Any:
        """Return `value`, or raise TypeError."""
        if not self.test(value):
            raise TypeError(f"{who}: {name} must be {self.what}, got {value!r}")
        return value


class Items:
    """Lists of `item`, kept as tuples."""

    def __init__(self, item: Interval | Instance, increasing: bool = False) -> None:
        self.item = item
        self.increasing = increasing

    def check(self, who: str, name: str, value: Any) -> tuple[Any, ...]:
        """Return the items, each checked, or raise TypeError or ValueError."""
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise TypeError(f"{who}: {name} must be a list, got {value!r}")
        items = tuple(self.item.check(who, f"{name}[{i}]", x) for i, x in enumerate(value))
        if self.increasing and any(b <= a for a, b in pairwise(items)):
            raise ValueError(f"{who}: {name} must be increasing, got {list(items)}")
        return items


FUNCTION = Instance("callable", callable)
SCHEDULE = Instance("a schedule", lambda value: isinstance(value, Schedule))
POSITIONS = Items(COUNT, increasing=True)
VALUES = Items(RATE)
SCHEDULES = Items(SCHEDULE)
Domain: TypeAlias = Interval | Instance | Items
WARMUP: Mapping[str, Interval] = {"warmup": COUNT, "warmup_start": NUMBER}


class Schedule:
    """A hyper-parameter as a function of the update: ``s(t)`` is used by update t = 0, 1, 2, ...

    The base of the classes in :mod:`lrcore.schedules`. A schedule holds no state and cannot be
    changed; two of one class with equal arguments are equal. A number times a schedule is a
    schedule.

    A class is declared with the name of its row in ``schedules.def`` and with the arguments of its
    constructor, in their order, each with its domain; what goes to C follows from these.
    """

    kind: ClassVar[str]
    domains: ClassVar[Mapping[str, Domain]]
    _kinds: ClassVar[dict[str, type[Schedule]]] = {}

    warmup: int
    warmup_start: float

    def __init_subclass__(cls, kind: str, **domains: Domain) -> None:
        cls.kind = kind
        cls.domains = domains
        cls._kinds[kind] = cls

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise TypeError("Schedule is a base class; use one of lrcore.schedules")

    def _set(self, **arguments: object) -> None:
        """Check the arguments by their domains and keep them."""
        who = type(self).__name__
        for name, domain in {**self.domains, **WARMUP}.items():
            self.__dict__[name] = domain.check(who, name, arguments[name])
        steps = self.__dict__.get("steps")
        if steps is not None and steps <= self.warmup:
            self._refuse("steps", f"an integer > warmup ({self.warmup})", steps)
        for name, domain in self.domains.items():
            if domain in (VALUES, SCHEDULES):
                got, count = len(self.__dict__[name]), len(self._all(POSITIONS)) + 1
                if got != count:
                    self._refuse(f"the number of {name}", f"{count}, boundaries and one", got)

    def _refuse(self, name: str, must: str, got: object) -> NoReturn:
        raise ValueError(f"{type(self).__name__}: {name} must be {must}, got {got!r}")

    # ----------------------------------------------------------------- evaluation

    @overload
    def __call__(self, t: Integer) -> float: ...
    @overload
    def __call__(self, t: Integers) -> NDArray[np.float64]: ...
    def __call__(self, t: Integer | Integers) -> float | NDArray[np.float64]:
        """Value at update t.

        Parameters
        ----------
        t : int or array of int
            Index of the update, from 0 for the first to at most 2**53. An array may have any
            shape and integer dtype; a list or range is taken as one.

        Returns
        -------
        float or ndarray of float64
            A float for an integer; for an array, the same values in an array of its shape.

        Raises
        ------
        TypeError
            `t` is not a number, or an array of something else than integers; a bool is neither.
        ValueError
            `t` is negative, not whole, NaN or beyond 2**53.
        """
        if type(t) is int and 0 <= t <= LAST:  # the common case, without a check that takes a while
            return self._curve.at(t)
        if not isinstance(t, (np.ndarray, Sequence)) or isinstance(t, str):
            return self._curve.at(self._index(t))
        array = np.asarray(t)
        if array.dtype.kind not in "iu":
            who = type(self).__name__
            raise TypeError(f"{who}: t must be an array of integers, got one of {array.dtype}")
        if array.size:
            self._index(array.min())
            self._index(array.max())
        return self._curve.values(np.ascontiguousarray(array, np.int64).reshape(array.shape))

    def _index(self, t: object) -> int:
        index: int = COUNT.check(type(self).__name__, "t", t)
        return index

    def reference(self, t: Integer) -> float:
        """Value at update t as :mod:`lrcore.reference` computes it: the same bits, slowly."""
        index = self._index(t)
        with FloatEnvironment():
            from .reference.schedules import Curve as ReferenceCurve

            return self._as(ReferenceCurve).at(index)

    @cached_property
    def _curve(self) -> Curve:
        return self._as(Curve)

    def _as(self, curve: Callable[..., T]) -> T:
        """Describe this schedule as C, or the reference, evaluates it."""
        args = [getattr(self, name) for name, d in self.domains.items() if isinstance(d, Interval)]
        positions, values = self._all(POSITIONS), self._all(VALUES)
        parts = [part._as(curve) for part in (*self._all(SCHEDULE), *self._all(SCHEDULES))]
        return curve(
            self.kind,
            tuple(map(float, args)),
            tuple(map(float, positions + values)),
            len(positions),
            tuple(parts),
            float(self.warmup),
            self.warmup_start,
            self._callback,
        )

    def _all(self, domain: Instance | Items) -> list[Any]:
        """What the arguments of `domain` hold."""
        found = [getattr(self, name) for name, d in self.domains.items() if d is domain]
        return [x for items in found for x in items] if isinstance(domain, Items) else found

    @property
    def _callback(self) -> Callable[[int], float] | None:
        return None

    # -------------------------------------------------------------------- algebra

    def __mul__(self, factor: float) -> Schedule:
        if isinstance(factor, bool) or not isinstance(factor, (int, float, np.number)):
            return NotImplemented
        return self._kinds["scale"](schedule=self, factor=factor)

    __rmul__ = __mul__
    __array_ufunc__ = None  # np.float64(0.1) * s is for __rmul__, not an array of objects

    # -------------------------------------------------------------------- a value

    @property
    def _arguments(self) -> dict[str, Any]:
        """What the constructor takes, by name, in its order."""
        return {name: getattr(self, name) for name in (*self.domains, *WARMUP)}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}: a schedule cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}: a schedule cannot be changed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._arguments == other._arguments

    def __hash__(self) -> int:
        return hash((type(self), *self._arguments.values()))

    def __repr__(self) -> str:
        parameters = _parameters(type(self))
        arguments = ", ".join(
            f"{name}={list(value) if isinstance(value, tuple) else value!r}"
            for name, value in self._arguments.items()
            if value != parameters[name].default
        )
        return f"{type(self).__name__}({arguments})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (type(self), self._arguments)

    def to_dict(self) -> dict[str, Any]:
        """Numbers, strings, lists and dicts, ready for JSON, that `from_dict` makes it of again.

        Raises
        ------
        TypeError
            The schedule is a `Lambda`, or one is inside it.

        Examples
        --------
        >>> from lrcore import schedules
        >>> schedules.Exponential(0.1, gamma=0.9).to_dict()
        {'kind': 'exponential', 'lr': 0.1, 'gamma': 0.9, 'warmup': 0, 'warmup_start': 0.0}
        """
        return {"kind": self.kind} | {k: _plain(v) for k, v in self._arguments.items()}

    @classmethod
    def from_dict(cls: type[S], d: Mapping[str, Any]) -> S:
        """Make the schedule that `to_dict` wrote down, with the checks of its constructor.

        Raises
        ------
        ValueError
            The kind is unknown or another, or an argument is missing, unknown or out of its domain.

        Examples
        --------
        >>> from lrcore import schedules
        >>> schedules.Schedule.from_dict({"kind": "cosine", "lr": 0.1, "steps": 100})
        Cosine(lr=0.1, steps=100)
        """
        if not isinstance(d, Mapping):
            raise TypeError(f"{cls.__name__}: a schedule must be a dict, got {d!r}")
        kind = d.get("kind")
        kinds = {k: c for k, c in cls._kinds.items() if issubclass(c, cls)}
        if not isinstance(kind, str) or kind not in kinds:
            names = ", ".join(map(repr, kinds))
            raise ValueError(f"{cls.__name__}: kind must be one of {names}, got {kind!r}")
        made = kinds[kind]
        arguments = {k: _rich(v) for k, v in d.items() if k != "kind"}
        parameters = _parameters(made)
        for name in arguments:
            if name not in parameters:
                raise ValueError(f"{made.__name__}: there is no argument {name!r}")
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty and name not in arguments:
                raise ValueError(f"{made.__name__}: argument {name!r} is missing")
        return made(**arguments)


def _parameters(cls: type[Schedule]) -> Mapping[str, Parameter]:
    """The constructor's parameters; inspect is slow to import and rarely needed."""
    from inspect import signature

    return signature(cls).parameters


def _make(cls: type[S], arguments: dict[str, Any]) -> S:
    """Undo `Schedule.__reduce__`."""
    return cls(**arguments)


def _plain(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value.to_dict()
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _rich(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Schedule.from_dict(value)
    return [_rich(v) for v in value] if isinstance(value, (list, tuple)) else value
