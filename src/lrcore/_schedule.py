"""Schedule: what all schedules share. A schedule is a value, and a pure function of t."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ._core import Curve, FloatEnvironment
from ._domain import Choice, Instance, Interval, Items

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
PLACE = Interval(0, LAST)
FLAG = Choice(False, True)
#: How a warm-up rises and a decay falls.
BENDS = ("linear", "cosine", "1-sqrt", "1-square")
SHAPE = Choice(*BENDS)
FUNCTION = Instance("callable", callable)
SCHEDULE = Instance("a schedule", lambda value: isinstance(value, Schedule))
POSITIONS = Items(COUNT, increasing=True)
PLACES = Items(PLACE, increasing=True)
VALUES = Items(RATE)  # one more than boundaries
KNOTS = Items(RATE)  # as many as positions
SCHEDULES = Items(SCHEDULE)
Domain: TypeAlias = Interval | Choice | Instance | Items
WARMUP: Mapping[str, Domain] = {
    "warmup": COUNT,
    "warmup_start": NUMBER,
    "warmup_shape": Choice(*BENDS, "logarithmic"),
}


class Schedule:
    """A hyper-parameter as a function of the update: ``s(t)`` is used by update t = 0, 1, 2, ...

    The base of the classes in :mod:`lrcore.schedules`. A schedule cannot be changed and holds no
    state, but for `Plateau`; two of one class with equal arguments are equal. Sums and products of
    schedules, and of schedules and numbers, are schedules.

    A class is declared with the name of its row in ``schedules.def`` and with the arguments of its
    constructor, in their order, each with its domain; what goes to C follows from these.
    """

    kind: ClassVar[str]
    domains: ClassVar[Mapping[str, Domain]]
    numbers: ClassVar[tuple[str, ...]]
    state: ClassVar[tuple[str, ...]] = ()  # arguments that change; a Plateau has some
    _kinds: ClassVar[dict[str, type[Schedule]]] = {}

    warmup: int
    warmup_start: float
    warmup_shape: str

    def __init_subclass__(cls, kind: str, **domains: Domain) -> None:
        cls.kind = kind
        cls.domains = domains
        if "numbers" not in cls.__dict__:  # what the row calls ARGS
            cls.numbers = tuple(k for k, d in domains.items() if isinstance(d, (Interval, Choice)))
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
            if domain is KNOTS:
                got, count = len(self.__dict__[name]), len(self._all(PLACES))
                if got != count or not count:
                    self._refuse(f"the number of {name}", f"{max(count, 1)}, as of positions", got)

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
        array = t if isinstance(t, np.ndarray) else np.asarray(t, None if len(t) else np.int64)
        if array.dtype.kind not in "iu":
            who = type(self).__name__
            raise TypeError(f"{who}: t must be an array of integers, got one of {array.dtype}")
        if array.size:
            self._index(array.min())
            self._index(array.max())
        return self._curve.values(np.ascontiguousarray(array, np.int64).reshape(array.shape))

    def _index(self, t: object) -> int:
        try:
            index: int = COUNT.check(type(self).__name__, "t", t)
        except TypeError as error:
            if type(t).__module__.partition(".")[0] not in ("jax", "jaxlib"):
                raise
            raise TypeError(f"{error}; lrcore.optax.schedule(s) is for JAX") from None
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
        args = [self._number(name) for name in self.numbers]
        positions = self._all(POSITIONS) + self._all(PLACES)
        values = self._all(VALUES) + self._all(KNOTS)
        return curve(
            self.kind,
            tuple(args),
            tuple(map(float, positions + values)),
            len(positions),
            tuple(part._curve if curve is Curve else part._as(curve) for part in self._parts),
            float(self.warmup),
            self.warmup_start,
            int(self._number("warmup_shape")),
            self._callback,
        )

    def _number(self, name: str) -> float:
        """An argument as C takes it: a name as its place among the choices."""
        value, domain = getattr(self, name), {**self.domains, **WARMUP}.get(name)
        return float(domain.choices.index(value) if isinstance(domain, Choice) else value)

    @property
    def _parts(self) -> list[Schedule]:
        """The schedules that this one is made of."""
        return [*self._all(SCHEDULE), *self._all(SCHEDULES)]

    def _all(self, domain: Instance | Items) -> list[Any]:
        """What the arguments of `domain` hold."""
        found = [getattr(self, name) for name, d in self.domains.items() if d is domain]
        return [x for items in found for x in items] if isinstance(domain, Items) else found

    @property
    def _callback(self) -> Callable[[int], float] | None:
        return None

    # -------------------------------------------------------------------- algebra

    def __mul__(self, other: float | Schedule) -> Schedule:
        if isinstance(other, Schedule):
            return self._kinds["product"](first=self, second=other)
        if not _is_number(other):
            return NotImplemented
        return self._kinds["scale"](schedule=self, factor=other)

    __rmul__ = __mul__

    def __add__(self, other: float | Schedule) -> Schedule:
        if not isinstance(other, Schedule) and not _is_number(other):
            return NotImplemented
        return self._kinds["sum"](first=self, second=as_schedule(other))

    __radd__ = __add__
    __array_ufunc__ = None  # np.float64(0.1) * s is for __rmul__, not an array of objects

    def clip(self, low: float, high: float) -> Schedule:
        """Return this schedule, but never below `low` or above `high`: see `Clip`."""
        return self._kinds["clip"](schedule=self, low=low, high=high)

    def shift(self, by: int) -> Schedule:
        """Return this schedule `by` updates ahead, or behind where it is negative: see `Shift`."""
        return self._kinds["shift"](schedule=self, by=by)

    def every(self, updates: int) -> Schedule:
        """Return this schedule, counted in epochs of so many updates: see `Every`."""
        return self._kinds["every"](schedule=self, updates=updates)

    def repeat(self, period: int) -> Schedule:
        """Return the first `period` updates of this schedule, again and again: see `Repeat`."""
        return self._kinds["repeat"](schedule=self, period=period)

    def with_warmup(self, warmup: int, start: float = 0.0, shape: str = "linear") -> Schedule:
        """Return this schedule after a warm-up, which puts all of it off by so many updates.

        Parameters
        ----------
        warmup : int >= 0
            Updates that rise to the value at update 0.
        start : float, default 0.0
            Value of the first of them.
        shape : {"linear", "cosine", "1-sqrt", "1-square", "logarithmic"}, default "linear"
            How they rise; see the top of :mod:`lrcore.schedules`.

        Examples
        --------
        >>> from lrcore import schedules
        >>> schedules.PiecewiseConstant([2], [1.0, 0.5]).with_warmup(2)(range(6)).tolist()
        [0.0, 0.5, 1.0, 1.0, 0.5, 0.5]
        """
        length = COUNT.check(f"{type(self).__name__}.with_warmup", "warmup", warmup)
        return self._kinds["shift"](
            schedule=self, by=-length, warmup=length, warmup_start=start, warmup_shape=shape
        )

    # -------------------------------------------------------------------- a value

    @property
    def _arguments(self) -> dict[str, Any]:
        """What the constructor takes, by name, in its order."""
        return {name: getattr(self, name) for name in (*self.domains, *self.state, *WARMUP)}

    @property
    def _fixed(self) -> tuple[Any, ...]:
        """What cannot change: the class and the arguments, those inside too, without any state."""
        fixed = {k: v for k, v in self._arguments.items() if k not in self.state}
        return type(self), *(_without_state(v) for v in fixed.values())

    def _stateful(self) -> Iterator[Schedule]:
        """Those with a state among this schedule and its parts, from the outside in."""
        if self.state:
            yield self
        for part in self._parts:
            yield from part._stateful()

    def _state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.state}

    def _put(self, **state: Any) -> None:
        """Change the state, also where C sees it."""
        self.__dict__.update(state)
        for name in self.numbers if "_curve" in self.__dict__ else ():
            if name in state:
                self._curve.change(self.numbers.index(name), state[name])

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}: a schedule cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}: a schedule cannot be changed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._arguments == other._arguments

    def __hash__(self) -> int:
        return hash(self._fixed)

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
        >>> d = schedules.Exponential(0.1, gamma=0.9).to_dict()
        >>> d["kind"], d["gamma"], d["warmup"], d["warmup_shape"]
        ('exponential', 0.9, 0, 'linear')
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


def as_schedule(value: Any) -> Any:
    """A number as the schedule that is constant; what is neither is left for the checks."""
    return Schedule._kinds["constant"](lr=value) if _is_number(value) else value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _parameters(cls: type[Schedule]) -> Mapping[str, Parameter]:
    """The constructor's parameters; inspect is slow to import and rarely needed."""
    from inspect import signature

    return signature(cls).parameters


def _make(cls: type[S], arguments: dict[str, Any]) -> S:
    """Undo `Schedule.__reduce__`."""
    return cls(**arguments)


def _without_state(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value._fixed
    return tuple(_without_state(v) for v in value) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value.to_dict()
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _rich(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Schedule.from_dict(value)
    return [_rich(v) for v in value] if isinstance(value, (list, tuple)) else value
