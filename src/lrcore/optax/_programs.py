"""What a step is for given parameters: its slots, its program in ``_core`` and its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import isnan
from threading import Lock
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _core
from .._hyper import CLIP_NORM, POSITIVE, RULES, SCALARS, STATES, domain_of, slots
from .._optimizer import Optimizer
from .._optimizer.layout import Layout
from .._optimizer.memory import blank
from .._optimizer.slots import AVERAGES, Slot
from .._schedule import Schedule
from ._keys import key_of

__all__ = ["Form", "Program", "Spot", "abstract"]

Array: TypeAlias = NDArray[Any]

Form: TypeAlias = tuple[tuple[int, ...], np.dtype[Any]]

_KNOWN: dict[int, Program] = {}
#: Where the numbers that are not hyper-parameters lie, for ``_core.add_step``.
CLIPS = {"clip_value": (-1, POSITIVE), "clip_norm": (-2, CLIP_NORM)}


class Spot(NamedTuple):
    """A number among the arguments: its argument, and where that is a tuple its place there."""

    name: str
    place: int | None = None


class Kept(NamedTuple):
    """One array beside a parameter, as JAX keeps it."""

    tensor: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    #: What it begins at; None: as the parameter is.
    start: float | None
    #: The argument whose value it begins at, if that is handed over.
    follows: Spot | None
    #: Begins with these bytes instead.
    encoded: Array | None


class Program:
    """A step of one rule, with its arguments, for parameters of given shapes and dtypes.

    Parameters
    ----------
    kind : type
        The optimizer's class, which names itself in messages.
    arguments : dict
        What it is made with; a schedule stands in for each number that is handed over.
    given : list of Spot
        The numbers that are handed over at each step.
    params : structure of ndarray
        Of the shapes and dtypes of the parameters; never looked at nor touched.
    dtypes : list of dtype
        Those of the gradients.
    real : dtype
        Of the numbers that are handed over.
    """

    def __init__(
        self,
        kind: type[Optimizer],
        arguments: Mapping[str, Any],
        given: Sequence[Spot],
        params: Any,
        dtypes: Sequence[Any],
        real: DTypeLike,
    ) -> None:
        self.kind, self.arguments, self.given = kind, dict(arguments), list(given)
        self.row, self.params, self.lock = RULES[kind.rule], params, Lock()
        opt = kind(params, **self.arguments)
        layout = opt._layout
        self.forms = [(x.array.shape, x.array.dtype) for x in layout.leaves]
        self.labels = layout.labels()
        self.kept = list(_kept(kind, layout, self.given))
        self.scalars = self._first_scalars(layout)
        self.numbers = list(_numbers(kind, layout, self.given))
        self.key = key_of(
            [
                kind.rule,
                [(x.path, x.array.shape, x.array.dtype.name) for x in layout.leaves],
                [np.dtype(x).name for x in (*dtypes, real)],
                layout.terms,
                {k: v for k, v in layout.groups[0].items() if k != "params"},
                sorted(vars(layout.whole).items()),
                self.given,
                [x[:5] for x in self.kept],
            ],
            [v for _, v, _ in _values(kind, layout) if isinstance(v, Schedule)],
        )
        self.host: Optimizer | None = None
        self.layout, self._plan = layout, opt._plan
        self.dtypes, self.real = [np.dtype(x) for x in dtypes], np.dtype(real)

    def known(self) -> Program:
        """The program of this key that calls find, which is this one unless there is another."""
        program = _KNOWN.setdefault(self.key, self)
        if program is self and self.row.scope == "matrix":
            from ._host import by_address

            sizes = len(self.operands()), len(self.results())
            _core.add_host(self.key, partial(by_address, self), *sizes)
        elif program is self:
            self._tell()
        return program

    @property
    def plain(self) -> type[Optimizer]:
        """The rule's own class, under the name that messages begin with."""
        return type(self.kind.__name__, self.kind.__bases__, {})

    def on_arrays(self, *operands: Array) -> list[Array]:
        """Make a step on the host."""
        from ._host import on_arrays

        return on_arrays(self, *operands)

    def handed(self) -> list[Spot]:
        """The numbers that are handed over, in the order of the operands."""
        return [spot for _, spot, _, _ in self.numbers if spot is not None]

    def operands(self) -> list[Form]:
        """Shape and dtype of each operand: see csrc/xla.c."""
        numbers = [((), self.real)] * (self.kind.needs_loss + len(self.handed()))
        grads = [(shape, d) for (shape, _), d in zip(self.forms, self.dtypes, strict=True)]
        count, *rest = self.results()
        fixed = 1 + (self.scalars is not None)
        return [count, rest[0], *numbers, *rest[1:fixed], *grads, *rest[fixed:]]

    def results(self) -> list[Form]:
        """Shape and dtype of each result."""
        counts: list[Form] = [((), np.dtype(np.int32))] * 2
        if self.scalars is not None:
            counts.append(((*self.scalars.shape, 2), np.dtype(np.uint32)))
        return [*counts, *self.forms, *((x.shape, x.dtype) for x in self.kept)]

    def _tell(self) -> None:
        """Let ``_core`` know what a call with the key is to do."""
        grads = [np.empty(shape, d) for (shape, _), d in zip(self.forms, self.dtypes, strict=True)]
        self._plan.collect(self.layout.structure(grads))  # whose dtypes are looked at
        states = self.row.states
        places = {f"{x}_scale": ("scale", i) for i, x in enumerate(states)}
        places |= {x: ("average", i) for i, x in enumerate(AVERAGES)}
        places |= {"master": ("master", 0), "low": ("master", 0)}
        places |= {x: ("state", i) for i, x in enumerate(states)}
        written = [(i, "p", 0, _size(shape)) for i, (shape, _) in enumerate(self.forms)]
        written += [(x.tensor, *places[x.name], _size(x.shape)) for x in self.kept]
        _core.add_step(
            self.key,
            self._plan,
            self.kind.__name__,
            written,
            [(at, spot is not None, domain, name) for at, spot, domain, name in self.numbers],
            len(self.row.scalars),
            self.kind.needs_loss,
        )

    def _first_scalars(self, layout: Layout) -> Array | None:
        """What the rule's scalars begin at: rows of tensors or of the group; None: it has none."""
        if not self.row.scalars:
            return None
        starts = set(SCALARS[self.kind.rule].values())
        taken = [spot.name for spot in self.given if spot.name in starts]
        if taken:
            raise TypeError(
                f"{self.kind.__name__}: {taken[0]} must be a Python number, since the estimates "
                "begin at it, got an array or a function; with optax.inject_hyperparams name it in "
                "static_args"
            )
        rows = len(layout.leaves) if self.row.of_tensors else 1
        return np.array([self.kind._first_scalars(layout.groups[0])] * rows)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _kept(kind: type[Optimizer], layout: Layout, given: Sequence[Spot]) -> Any:
    """The arrays beside each parameter but those that are worked in, parameter by parameter."""
    starts = {state.name: state.start for state in STATES[kind.rule]}
    handed = {spot.name: spot for spot in given}
    narrow = layout.groups[0]["state_dtype"] == "int8"
    for i, (leaf, wanted) in enumerate(zip(layout.leaves, layout.slots(kind), strict=True)):
        begun = kind._starts(layout.groups[0])
        for slot in wanted:
            if slot.name == "work":
                continue
            of = slot.name.removesuffix("_scale") if narrow else slot.name
            follows = handed.get(starts.get(of) or "")
            encoded = narrow and bool(begun.get(of, 0.0)) and slot.dtype == np.uint8
            yield Kept(
                i,
                slot.name,
                slot.shape(leaf),
                slot.dtype,
                _start(slot),
                follows,
                layout.arrays[i][slot.name].copy() if encoded else None,
            )


def _start(slot: Slot) -> float | None:
    if slot.dtype == np.uint8:
        return 0.0
    return None if slot.start is None or isnan(slot.start) else slot.start


def _values(kind: type[Optimizer], layout: Layout) -> Any:
    """Each number of the group: its spot, its value and how ``_core`` finds and checks it."""
    values = layout.groups[0]
    for name in kind._hypers(values):
        many = isinstance(values[name], tuple)
        for place, (at, v, label) in enumerate(slots(name, values[name], RULES[kind.rule].hypers)):
            spot = Spot(name, place if many else None)
            yield spot, v, (at, domain_of(kind.rule, name), label)
    for name, (at, domain) in CLIPS.items():
        value = values[name] if name == "clip_value" else layout.whole.clip_norm
        yield Spot(name), value, (at, domain, name)


def _numbers(kind: type[Optimizer], layout: Layout, given: Sequence[Spot]) -> Any:
    """What is looked at before each step: numbers that are handed over, and schedules."""
    for spot, value, (at, domain, label) in _values(kind, layout):
        if isinstance(value, Schedule):
            yield at, spot if spot in given else None, domain, label


def abstract(kind: type[Optimizer]) -> type[Optimizer]:
    """A class for plans alone: it takes no memory for states, and names itself as users do."""
    return type(f"lrcore.optax.{kind.__name__}", (kind,), {"_room": staticmethod(blank)})
