"""A rule and its arguments as pure functions of JAX arrays, for parameters of any structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .._optimizer import Optimizer
from . import _host
from ._arguments import sorted_out
from ._crossing import call
from ._programs import Form, Program, abstract
from ._trees import nested

__all__ = ["JaxRule", "State"]


class State(NamedTuple):
    """What a transformation keeps: JAX arrays only.

    Attributes
    ----------
    count : int32 scalar
        Updates made, at most 2**31 - 1.
    skipped : int32 scalar
        Steps that were not made, with ``nonfinite="skip"``.
    scalars : uint32 array or tuple
        The rule's estimates (`Prodigy`'s ``d``), float64 as pairs of 32 bits, since JAX may have no
        float64; an empty tuple where the rule has none. See `estimates`.
    arrays : dict of str to structure
        By name, as in :attr:`lrcore.Optimizer.state`, the rule's states, the averages and what
        stands behind narrow parameters, each in the structure of the parameters;
        ``optax.MaskedNode()`` for a parameter that has none.
    """

    count: Any
    skipped: Any
    scalars: Any
    arrays: dict[str, Any]


class JaxRule:
    """A rule and its arguments, for parameters of any structure."""

    def __init__(self, kind: type[Optimizer], arguments: Mapping[str, Any]) -> None:
        self.kind, self.who = abstract(kind), f"lrcore.optax.{kind.__name__}"
        self.arguments, self.handed = sorted_out(self.who, kind, arguments)
        self.programs: dict[Any, Program] = {}

    def program(self, params: Any, dtypes: tuple[Any, ...]) -> Program:
        """The program for parameters of this structure and gradients of these dtypes."""
        leaves, tree = jax.tree_util.tree_flatten(params)
        real = jnp.result_type(float)
        key = tree, tuple((x.shape, x.dtype) for x in leaves), dtypes, real
        if key not in self.programs:
            like = nested(params, lambda x: np.empty(x.shape, x.dtype))
            made = Program(self.kind, self.arguments, list(self.handed), like, dtypes, real)
            self.programs[key] = made.known()
        return self.programs[key]

    def numbers(self, program: Program, count: Any) -> list[Any]:
        """The numbers that are handed over for an update."""
        return [_at(self.handed[spot], count, program.real) for spot in program.handed()]

    def init(self, params: Any) -> State:
        """`Transformation.init`."""
        params = _as_arrays(self.who, "params", params)
        leaves, tree = jax.tree_util.tree_flatten(params)
        count = jnp.zeros([], jnp.int32)
        if not leaves:
            return State(count, count, (), {})
        program = self.program(params, tuple(x.dtype for x in leaves))
        columns: dict[str, list[Any]] = {}
        for x in program.kept:
            column = columns.setdefault(x.name, [optax.MaskedNode()] * len(leaves))
            if x.encoded is not None:
                column[x.tensor] = jnp.asarray(x.encoded)
            elif x.follows is not None:
                start = _at(self.handed[x.follows], 0, program.real)
                column[x.tensor] = jnp.full(x.shape, start, x.dtype)
            elif x.start is None:
                column[x.tensor] = jnp.array(leaves[x.tensor], x.dtype)
            else:
                column[x.tensor] = jnp.full(x.shape, x.start, x.dtype)
        arrays = {k: jax.tree_util.tree_unflatten(tree, column) for k, column in columns.items()}
        scalars: Any = ()
        if program.scalars is not None:
            raw = program.scalars.reshape(-1).view(np.uint32)
            scalars = jnp.asarray(raw.reshape(*program.scalars.shape, 2))
        return State(count, jnp.zeros([], jnp.int32), scalars, arrays)

    def step(self, params: Any, state: State, grads: Any, value: Any) -> tuple[Any, State]:
        """`Transformation.step`."""
        if params is None:
            raise ValueError(
                f"{self.who}: params must be given, as in update(grads, state, params)"
            )
        params = _as_arrays(self.who, "params", params)
        leaves, tree = jax.tree_util.tree_flatten(params)
        given = self._gradients(grads, tree)
        if not leaves:
            return params, state._replace(count=optax.safe_increment(state.count))
        program = self.program(params, tuple(x.dtype for x in given))
        self._check_shapes(program, given)
        head, kept = self._head(program, state), self._kept(program, state, tree)
        scalars = head[2:]
        numbers = self._loss(program, value) + self.numbers(program, state.count)
        operands = [*head[:2], *numbers, *scalars, *given, *leaves, *kept]
        made = self._call(program, operands, len(numbers), len(scalars))
        at, end = 2 + len(scalars), 2 + len(scalars) + len(leaves)
        arrays = self._columns(program, state.arrays, tree, made[end:])
        new = State(made[0], made[1], made[2] if scalars else (), arrays)
        return jax.tree_util.tree_unflatten(tree, made[at:end]), new

    @contextmanager
    def held(self, state: State, params: Any) -> Iterator[tuple[Optimizer, Any]]:
        """An optimizer on the host that holds the state and copies of the parameters."""
        params = _as_arrays(self.who, "params", params)
        leaves, tree = jax.tree_util.tree_flatten(params)
        program = self.program(params, tuple(x.dtype for x in leaves))
        arrays = map(np.asarray, [*leaves, *self._kept(program, state, tree)])
        scalars = None if program.scalars is None else np.asarray(self._head(program, state)[2])
        with _host.held(program, int(state.count), scalars, list(arrays)) as opt:
            yield opt, tree

    def load(self, saved: Mapping[str, Any], params: Any) -> State:
        """`Transformation.load_state_dict`."""
        params = _as_arrays(self.who, "params", params)
        state = self.init(params)
        program = self.program(params, tuple(x.dtype for x in jax.tree_util.tree_leaves(params)))
        with self.held(state, params) as (opt, tree):
            before = opt.state_dict()
            opt.load_state_dict(saved)
            count, ages = opt.t, set(opt._plan.ages)
            made = _host.kept(program, opt)
            opt.load_state_dict(before)
        if ages != {count}:
            raise ValueError(
                f"{self.who}.load_state_dict: every parameter must have had t = {count} updates, "
                f"got {sorted(ages)}"
            )
        scalars = jnp.asarray(made.pop(0)) if program.scalars is not None else ()
        arrays = self._columns(program, state.arrays, tree, made[len(program.forms) :])
        return state._replace(count=jnp.int32(count), scalars=scalars, arrays=arrays)

    def _columns(self, program: Program, like: Any, tree: Any, made: list[Any]) -> dict[str, Any]:
        """The arrays of a state out of those of a program."""
        columns = {k: [optax.MaskedNode()] * tree.num_leaves for k in like}
        for x, array in zip(program.kept, made, strict=True):
            columns[x.name][x.tensor] = jnp.asarray(array)
        return {k: jax.tree_util.tree_unflatten(tree, column) for k, column in columns.items()}

    def _call(self, program: Program, operands: list[Any], numbers: int, scalars: int) -> list[Any]:
        results = [jax.ShapeDtypeStruct(*form) for form in program.results()]
        first = 2 + numbers + scalars + len(program.forms)  # operand that is written to
        aliases = {0: 0, 1: 1} | ({2 + numbers: 2} if scalars else {})
        aliases |= {first + i: 2 + scalars + i for i in range(len(results) - 2 - scalars)}
        host = program.on_arrays
        return call("lrcore_step", program.key, host, operands, results, aliases, "sequential")

    def _loss(self, program: Program, value: Any) -> list[Any]:
        if not self.kind.needs_loss:
            return []
        if value is None:
            raise ValueError(
                f"{self.who}: value must be given, as in update(grads, state, params, value=loss), "
                "since the rate of this rule follows from the loss"
            )
        return [jnp.asarray(value, program.real).reshape(())]

    def _gradients(self, grads: Any, tree: Any) -> list[Any]:
        """The gradients in the order of the parameters."""
        given, other = jax.tree_util.tree_flatten(_as_arrays(self.who, "grads", grads))
        if other != tree:
            raise ValueError(
                f"{self.who}: grads must have the structure of params, {tree}, got {other}; "
                "optax.masked leaves parameters out"
            )
        return given

    def _check_shapes(self, program: Program, given: list[Any]) -> None:
        """Refuse gradients of other shapes."""
        for g, (shape, _), label in zip(given, program.forms, program.labels, strict=True):
            if g.shape != shape:
                raise ValueError(
                    f"{self.who}: grads{label} must have the shape {shape}, got {g.shape}"
                )

    def _head(self, program: Program, state: State) -> list[Any]:
        """Both counts, and the scalars where there are some."""
        if not isinstance(state, State):
            raise TypeError(
                f"{self.who}: state must be what init returned, got {type(state).__name__}"
            )
        named = {"count": state.count, "skipped": state.skipped}
        if program.scalars is not None:
            named["scalars"] = state.scalars
        forms = program.results()
        return [
            self._checked(f"state.{name}", value, form)
            for (name, value), form in zip(named.items(), forms, strict=False)
        ]

    def _checked(self, what: str, value: Any, form: Form) -> Any:
        """An array of this shape and dtype."""
        array = jnp.asarray(value)
        if (array.shape, array.dtype) != form:
            shape, dtype = form
            raise ValueError(
                f"{self.who}: {what} must be {dtype} of shape {shape}, got {array.dtype} of shape "
                f"{array.shape}"
            )
        return array

    def _kept(self, program: Program, state: State, tree: Any) -> list[Any]:
        """The arrays of a state in the order of the program."""
        wanted = {x.name for x in program.kept}
        if not isinstance(state.arrays, dict) or set(state.arrays) != wanted:
            got = sorted(state.arrays) if isinstance(state.arrays, dict) else state.arrays
            raise ValueError(
                f"{self.who}: state.arrays must be a dict with the keys {sorted(wanted)}, got {got}"
            )
        columns = {}
        for name, column in state.arrays.items():
            try:
                columns[name] = tree.flatten_up_to(column)
            except ValueError:
                raise ValueError(
                    f"{self.who}: state.arrays[{name!r}] must have the structure of params, "
                    f"{tree}, got {jax.tree_util.tree_structure(column)}"
                ) from None
        return [
            self._checked(
                f"state.arrays[{x.name!r}]{program.labels[x.tensor]}",
                columns[x.name][x.tensor],
                (x.shape, x.dtype),
            )
            for x in program.kept
        ]


def _as_arrays(who: str, what: str, tree: Any) -> Any:
    """A structure with arrays of floating point for leaves."""

    def array(path: Any, x: Any) -> Any:
        x = jnp.asarray(x)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            label = jax.tree_util.keystr(path).replace("'", '"')
            raise TypeError(
                f"{who}: {what}{label} must be of dtype float16, bfloat16, "
                f"float32 or float64, got {x.dtype}; optax.masked leaves parameters out"
            )
        return x

    return jax.tree_util.tree_map_with_path(array, tree)


def _at(value: Any, count: Any, real: Any) -> jax.Array:
    """A number that is handed over, at an update."""
    return jnp.asarray(value(count) if callable(value) else value, real).reshape(())
