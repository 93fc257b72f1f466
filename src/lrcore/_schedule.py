"""Schedule: what all schedules share. A schedule is a value, and a pure function of t."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ._core import Curve
from ._domain import Interval

if TYPE_CHECKING:
    from inspect import Parameter

T = TypeVar("T")
S = TypeVar("S", bound="Schedule")
Integer: TypeAlias = "int | np.integer[Any]"
Integers: TypeAlias = "NDArray[np.integer[Any]] | Sequence[int]"

LAST = 2**53  # beyond it float64 does not hold every integer

# The domains of a schedule's numbers.
RATE = Interval(0, math.inf, closed_high=False)
POSITIVE = Interval(0, math.inf, closed_low=False, closed_high=False)
NUMBER = Interval(-math.inf, math.inf, closed_low=False, closed_high=False)
COUNT = Interval(0, math.inf, integer=True)
LENGTH = Interval(1, math.inf, integer=True)


class Schedule:
    """A hyper-parameter as a function of the update: ``s(t)`` is used by update t = 0, 1, 2, ...

    The base of the classes in :mod:`lrcore.schedules`. A schedule holds no state and cannot be
    changed; two of one class with equal arguments are equal. A number times a schedule is a
    schedule.

    A class has `kind`, the name of its row in ``schedules.def``; `numbers`, the row's numbers in
    its order, each with its domain; `lists`, its lists of positions and values; and `__slots__`,
    what its constructor takes, in that order, before `warmup` and `warmup_start`.
    """

    __slots__ = ("__weakref__", "_made", "warmup", "warmup_start")

    kind: ClassVar[str]
    numbers: ClassVar[Mapping[str, Interval]] = {}
    lists: ClassVar[tuple[str, ...]] = ()
    _kinds: ClassVar[dict[str, type[Schedule]]] = {}

    warmup: int
    warmup_start: float
    _made: Curve

    def __init_subclass__(cls) -> None:
        cls._kinds[cls.kind] = cls

    def __init__(self, **arguments: Any) -> None:
        raise TypeError("Schedule is a base class; use one of lrcore.schedules")

    # ------------------------------------------------------------------ arguments

    def _init(self, warmup: int, warmup_start: float, **arguments: Any) -> None:
        """Check numbers by their domains, and set all arguments."""
        self._set("warmup", self._number("warmup", COUNT, warmup))
        self._set("warmup_start", self._number("warmup_start", NUMBER, warmup_start))
        for name, value in arguments.items():
            domain = self.numbers.get(name)
            self._set(name, self._number(name, domain, value) if domain else value)
        steps = arguments.get("steps")
        if steps is not None and steps <= self.warmup:
            self._refuse("steps", f"an integer > warmup ({self.warmup})", steps)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _number(self, name: str, domain: Interval, value: object) -> Any:
        number = domain.check(type(self).__name__, name, value)
        if domain.integer and number > LAST:
            self._refuse(name, "at most 2**53", number)
        return number

    def _items(self, name: str, what: str, value: Iterable[T]) -> tuple[T, ...]:
        """Items of a list, tuple or array of `what`."""
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            self._refuse(name, f"a list of {what}", value, TypeError)
        return tuple(value)

    def _positions(self, name: str, value: Iterable[int]) -> tuple[int, ...]:
        """Integers >= 0 that increase."""
        items = enumerate(self._items(name, "integers", value))
        positions = tuple(self._number(f"{name}[{i}]", COUNT, x) for i, x in items)
        if any(b <= a for a, b in zip(positions, positions[1:], strict=False)):
            self._refuse(name, "increasing", list(positions))
        return positions

    def _one_more(self, name: str, items: tuple[T, ...], boundaries: tuple[int, ...]) -> None:
        if len(items) != len(boundaries) + 1:
            must = f"one more than boundaries ({len(boundaries)})"
            self._refuse(f"the number of {name}", must, len(items))

    def _refuse(
        self, name: str, must: str, got: object, error: type[Exception] = ValueError
    ) -> NoReturn:
        raise error(f"{type(self).__name__}: {name} must be {must}, got {got!r}")

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
            `t` is not an integer; a bool or a float is none.
        ValueError
            `t` is negative or beyond 2**53.
        """
        if isinstance(t, (np.ndarray, Sequence)):
            array = np.asarray(t)
            if array.dtype.kind not in "iu":
                self._refuse("t", "an array of integers", array.dtype.name, TypeError)
            if array.size:
                self._index(array.min())
                self._index(array.max())
            return self._curve.values(np.ascontiguousarray(array, np.int64).reshape(array.shape))
        return self._curve.at(self._index(t))

    def _index(self, t: object) -> int:
        if not isinstance(t, (int, np.integer)) or isinstance(t, bool):
            self._refuse("t", "an integer or an array of integers", t, TypeError)
        index = int(t)
        if not 0 <= index <= LAST:
            self._refuse("t", ">= 0" if index < 0 else "at most 2**53", index)
        return index

    def reference(self, t: Integer) -> float:
        """Value at update t as :mod:`lrcore.reference` computes it: the same bits, slowly."""
        from .reference.schedules import Curve as ReferenceCurve

        return self._as(ReferenceCurve).at(self._index(t))

    @property
    def _curve(self) -> Curve:
        """This schedule in C, made at the first use."""
        if not hasattr(self, "_made"):
            self._set("_made", self._as(Curve))
        return self._made

    def _as(self, curve: Callable[..., T]) -> T:
        """This schedule as the description that C, or the reference, evaluates."""
        args = tuple(float(getattr(self, name)) for name in self.numbers)
        lists = [getattr(self, name) for name in self.lists]
        values = tuple(float(x) for items in lists for x in items)
        count = len(lists[0]) if lists else 0
        parts = tuple(part._as(curve) for part in self._parts)
        warmup = float(self.warmup)
        return curve(
            self.kind, args, values, count, parts, warmup, self.warmup_start, self._callback
        )

    @property
    def _parts(self) -> tuple[Schedule, ...]:
        """What a schedule that is made of others is made of."""
        return ()

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
        names = (*type(self).__slots__, "warmup", "warmup_start")
        return {name: getattr(self, name) for name in names}

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
        if kind not in kinds:
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
