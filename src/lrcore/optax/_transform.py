"""An lrcore optimizer as a gradient transformation: pure functions of JAX arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter, Signature, signature
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import schedules
from .._hyper import SCALARS
from .._optimizer import Optimizer
from .._optimizer.options import GROUP, MASKS, WHOLE, split
from .._schedule import Schedule
from . import _host
from ._crossing import call
from ._programs import Program, Spot, abstract
from ._schedules import check_pure
from ._trees import as_masks, nested

__all__ = ["State", "Transformation", "signature_of", "to_optax"]

#: The options that make no sense here, and why.
REFUSED = {
    "zero_grads": "gradients are JAX arrays, which nobody may write to",
    "loss_scale": "what scales the loss belongs into the step: optax.scale(1 / scale) before this",
    "stats": "a compiled step tells nothing but its results",
    "backend": "the reference is no part of compiled code; lrcore.Optimizer has it",
    "state_file": "the state lies in JAX's arrays",
}
OPTIONS = [name for name in (*GROUP, *MASKS, *WHOLE) if name not in REFUSED]
OPTIONS = list(dict.fromkeys(OPTIONS))


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


class Transformation(optax.GradientTransformationExtraArgs):
    """An lrcore rule as optax's pair of `init` and `update`, and an exact `step` besides.

    ``updates, state = tx.update(grads, state, params)`` returns the difference of new and old
    parameters, for ``optax.apply_updates``. ``params, state = tx.step(grads, state, params)``
    returns the new parameters themselves: to the bit those of the plain optimizer, and in the
    memory of the old ones where these are donated. A rule that needs the loss takes it as `value`.
    """

    _rule: _Rule

    def step(
        self, grads: Any, state: State, params: Any, *, value: Any = None, **extra: Any
    ) -> tuple[Any, State]:
        """Return the new parameters and state.

        Parameters
        ----------
        grads, params : structure of jax.Array
            Of one structure; gradients of any floating dtype.
        state : State
            What `init`, `update` or `step` returned.
        value : scalar, optional
            The loss at `params`, for a rule that needs it.
        **extra
            Ignored.

        Raises
        ------
        TypeError, ValueError
            The arguments do not fit; in compiled code an error of the runtime where a number left
            its domain or, with ``nonfinite="raise"``, a gradient is not finite.
        """
        del extra
        return self._rule.step(grads, state, params, value)

    def eval_params(self, state: State, params: Any) -> Any:
        """Return the parameters that a schedule-free rule wants evaluated; of others, these.

        Outside of compiled code; the bits of :meth:`lrcore.Optimizer.eval`.
        """
        with self._rule.held(state, params) as (opt, tree):
            opt.eval()
            leaves = [jnp.asarray(leaf.array.copy()) for leaf in opt._layout.leaves]
            opt.train()
        return jax.tree_util.tree_unflatten(tree, leaves)

    def estimates(self, state: State, params: Any) -> Any:
        """Return the numbers that a rule keeps, as :attr:`lrcore.Optimizer.estimates`.

        Outside of compiled code.
        """
        with self._rule.held(state, params) as (opt, _):
            return opt.estimates

    def state_dict(self, state: State, params: Any) -> dict[str, Any]:
        """Return what :meth:`lrcore.Optimizer.state_dict` would: a run may go on in NumPy.

        Outside of compiled code. Checkpoints need it not: a `State` is JAX arrays. Numbers that
        are handed over at each step, and `skipped`, are no part of it.
        """
        with self._rule.held(state, params) as (opt, _):
            return opt.state_dict()

    def load_state_dict(self, saved: Mapping[str, Any], params: Any) -> State:
        """Return the state of a run that :meth:`lrcore.Optimizer.state_dict` wrote down.

        Parameters
        ----------
        saved : dict
            From an optimizer of the same rule, whose parameters have the same paths; all of them
            must have had the same number of updates. Hyper-parameters stay those given here.
        params : structure of jax.Array
            The parameters.
        """
        return self._rule.load(saved, params)


class _Rule:
    """A rule and its arguments, for parameters of any structure."""

    def __init__(self, kind: type[Optimizer], arguments: Mapping[str, Any]) -> None:
        self.kind, self.who = abstract(kind), f"lrcore.optax.{kind.__name__}"
        self.arguments, self.handed = _sorted_out(self.who, kind, arguments)
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

    def step(self, grads: Any, state: State, params: Any, value: Any) -> tuple[Any, State]:
        """`Transformation.step`."""
        if params is None:
            raise ValueError(
                f"{self.who}: params must be given, as in update(grads, state, params)"
            )
        params = _as_arrays(self.who, "params", params)
        grads = _as_arrays(self.who, "grads", grads)
        leaves, tree = jax.tree_util.tree_flatten(params)
        given = self._gradients(grads, leaves, tree)
        if not isinstance(state, State):
            raise TypeError(
                f"{self.who}: state must be what init returned, got {type(state).__name__}"
            )
        if not leaves:
            return params, state._replace(count=optax.safe_increment(state.count))
        program = self.program(params, tuple(x.dtype for x in given))
        kept = self._kept(program, state, tree)
        scalars = [] if program.scalars is None else [state.scalars]
        head = [state.count, state.skipped]
        numbers = self._loss(program, value) + self.numbers(program, state.count)
        operands = [*head, *numbers, *scalars, *given, *leaves, *kept]
        made = self._call(program, operands, len(numbers), len(scalars))
        at, end = 2 + len(scalars), 2 + len(scalars) + len(leaves)
        arrays = self._columns(program, state.arrays, tree, made[end:])
        new = State(made[0], made[1], made[2] if scalars else (), arrays)
        return jax.tree_util.tree_unflatten(tree, made[at:end]), new

    @contextmanager
    def held(self, state: State, params: Any) -> Iterator[tuple[Optimizer, Any]]:
        """An optimizer on the host that holds the state and copies of the parameters."""
        leaves, tree = jax.tree_util.tree_flatten(_as_arrays(self.who, "params", params))
        program = self.program(params, tuple(x.dtype for x in leaves))
        arrays = map(np.asarray, [*leaves, *self._kept(program, state, tree)])
        scalars = None if program.scalars is None else np.asarray(state.scalars)
        with _host.held(program, int(state.count), scalars, list(arrays)) as opt:
            yield opt, tree

    def load(self, saved: Mapping[str, Any], params: Any) -> State:
        """`Transformation.load_state_dict`."""
        state = self.init(params)
        with self.held(state, params) as (opt, tree):
            program = self.program(
                params, tuple(x.dtype for x in jax.tree_util.tree_leaves(params))
            )
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

    def _gradients(self, grads: Any, leaves: list[Any], tree: Any) -> list[Any]:
        given, other = jax.tree_util.tree_flatten(grads)
        if other != tree:
            raise ValueError(
                f"{self.who}: grads must have the structure of params, {tree}, got {other}; "
                "optax.masked leaves parameters out"
            )
        for (path, g), p in zip(
            jax.tree_util.tree_flatten_with_path(grads)[0], leaves, strict=True
        ):
            if g.shape != p.shape:
                raise ValueError(
                    f"{self.who}: grads{jax.tree_util.keystr(path)} must have the shape "
                    f"{p.shape}, got {g.shape}"
                )
        return given

    def _kept(self, program: Program, state: State, tree: Any) -> list[Any]:
        """The arrays of a state in the order of the program."""
        wanted = {x.name for x in program.kept}
        if not isinstance(state.arrays, dict) or set(state.arrays) != wanted:
            got = sorted(state.arrays) if isinstance(state.arrays, dict) else state.arrays
            raise ValueError(
                f"{self.who}: state.arrays must be a dict with the keys {sorted(wanted)}, got {got}"
            )
        columns = {k: tree.flatten_up_to(v) for k, v in state.arrays.items()}
        out = []
        for x in program.kept:
            array = jnp.asarray(columns[x.name][x.tensor])
            if (array.shape, array.dtype) != (x.shape, x.dtype):
                raise ValueError(
                    f"{self.who}: state.arrays[{x.name!r}] of parameter {x.tensor} must be "
                    f"{x.dtype} of shape {x.shape}, got {array.dtype} of shape {array.shape}"
                )
            out.append(array)
        return out


def _as_arrays(who: str, what: str, tree: Any) -> Any:
    """A structure with arrays of floating point for leaves."""

    def array(path: Any, x: Any) -> Any:
        x = jnp.asarray(x)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise TypeError(
                f"{who}: {what}{jax.tree_util.keystr(path)} must be of dtype float16, bfloat16, "
                f"float32 or float64, got {x.dtype}; optax.masked leaves parameters out"
            )
        return x

    return jax.tree_util.tree_map_with_path(array, tree)


def _at(value: Any, count: Any, real: Any) -> jax.Array:
    """A number that is handed over, at an update."""
    return jnp.asarray(value(count) if callable(value) else value, real).reshape(())


def _is_handed(value: Any) -> bool:
    """Whether a number is known only when a step is made."""
    return isinstance(value, jax.Array) or (callable(value) and not isinstance(value, Schedule))


def _sorted_out(
    who: str, kind: type[Optimizer], arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[Spot, Any]]:
    """The arguments, checked, with schedules for the numbers that are handed over; and these."""
    fixed, handed = dict(arguments), {}
    stand_in = schedules.Constant(1.0)
    hypers = [x for x in signature(kind).parameters if x not in ("params", "options")]
    for name in (*hypers, "clip_norm", "clip_value"):
        value = fixed.get(name)
        if _is_handed(value):
            handed[Spot(name)], fixed[name] = value, stand_in
        elif isinstance(value, (tuple, list)):
            handed |= {Spot(name, i): v for i, v in enumerate(value) if _is_handed(v)}
            fixed[name] = tuple(stand_in if _is_handed(v) else v for v in value)
    for name in MASKS:
        if name in fixed:
            fixed[name] = as_masks(fixed[name])
    for name in REFUSED:
        if name in fixed:
            raise TypeError(f"{who}: {name} must not be given, since {REFUSED[name]}")
    _check(who, kind, hypers, fixed, handed)
    return fixed, handed


def _check(
    who: str,
    kind: type[Optimizer],
    hypers: list[str],
    fixed: Mapping[str, Any],
    handed: Mapping[Spot, Any],
) -> None:
    """Refuse arguments that are wrong whatever the parameters are."""
    for spot in handed:
        if spot.name in SCALARS[kind.rule].values():
            raise TypeError(
                f"{who}: {spot.name} must be a Python number, since the estimates begin at it, got "
                "an array or a function; with optax.inject_hyperparams name it in static_args"
            )
    defaults = {k: p.default for k, p in signature(kind).parameters.items() if k in hypers}
    given = {k: v for k, v in fixed.items() if k in hypers}
    options = {k: v for k, v in fixed.items() if k not in hypers}
    try:
        values, _, _ = split(who, {**defaults, **given}, options)
        kind._checked(values, who)
    except TypeError as error:
        names = [spot.name for spot in handed if f"{who}: {spot.name}" in str(error)]
        if not names:
            raise
        raise TypeError(
            f"{who}: {names[0]} must be a Python number, got an array or a function; with "
            "optax.inject_hyperparams name it in static_args"
        ) from None
    for name, value in fixed.items():
        for v in value if isinstance(value, tuple) else (value,):
            if isinstance(v, Schedule):
                check_pure(who, name, v)


def signature_of(kind: type[Optimizer]) -> Signature:
    """The arguments of a rule, without its parameters and with the options by name."""
    own = [p for k, p in signature(kind).parameters.items() if k not in ("params", "options")]
    known: dict[str, Any] = {k: o.default for k, o in {**WHOLE, **GROUP}.items()}
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None if name == "seed" else known.get(name))
        for name in OPTIONS
    ]
    return Signature([*own, *options])


def _arguments_of(opt: Optimizer) -> dict[str, Any]:
    """What an optimizer was made with."""
    who, layout = f"lrcore.optax.to_optax({type(opt).__name__})", opt._layout
    if len(layout.groups) > 1:
        raise ValueError(
            f"{who}: optimizer must have one group of parameters, got {len(layout.groups)}; "
            "optax.multi_transform gives each group a transformation"
        )
    if opt.t or opt._plan.micro:
        raise ValueError(
            f"{who}: optimizer must not have made a step, since its state stays behind, got t = "
            f"{opt.t}"
        )
    group, whole = layout.groups[0], vars(layout.whole)
    out = {name: group[name] for name in opt._hypers(group)}
    out |= {k: group[k] for k, x in GROUP.items() if k != "clip_norm" and group[k] != x.default}
    out |= {k: whole[k] for k, x in WHOLE.items() if whole[k] != x.default}
    if group["clip_norm"] is not None:
        out["clip_norm"] = group["clip_norm"]
    return out | {k: mask for k, mask in opt._masks.masks.items() if mask is not None}


def to_optax(
    optimizer: type[Optimizer] | Optimizer, *args: Any, **arguments: Any
) -> Transformation:
    """An lrcore optimizer as an optax gradient transformation.

    Parameters
    ----------
    optimizer : class or instance
        A class of :mod:`lrcore.optimizers`, with its arguments but `params` behind it; or an
        optimizer with one group that has made no step, whose hyper-parameters, options and masks
        are taken over, but neither parameters nor state.
    *args, **arguments
        As the class takes them. Every number may also be an lrcore schedule (evaluated in float64
        with the step), an optax schedule, or a JAX array (as from ``optax.inject_hyperparams``).

    Returns
    -------
    Transformation
        ``init``, ``update`` and the exact ``step``: pure functions of JAX arrays, on the CPU.

    Raises
    ------
    TypeError, ValueError
        An argument is not what the rule takes, or an option has no meaning here; the message names
        it and says why.

    Notes
    -----
    ``lrcore.optax.AdamW(1e-3)`` is short for ``to_optax(lrcore.AdamW, 1e-3)``, and so for every
    rule. Masks are asked for paths, shapes and dtypes, never for values. Parameters are in the
    order in which JAX has them: dicts by sorted keys.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, lrcore, lrcore.optax
    >>> tx = lrcore.optax.to_optax(lrcore.SGD, lr=0.5)
    >>> params = {"w": jnp.array([1.0, 2.0])}
    >>> state = tx.init(params)
    >>> grads = {"w": jnp.array([2.0, 2.0])}
    >>> params, state = jax.jit(tx.step)(grads, state, params)
    >>> print(params["w"], state.count)
    [0. 1.] 1
    """
    if isinstance(optimizer, Optimizer):
        if args or arguments:
            raise TypeError(
                "lrcore.optax.to_optax: arguments must go with a class, got an optimizer that has "
                "its own"
            )
        return _transformation(type(optimizer), _arguments_of(optimizer))
    if not (isinstance(optimizer, type) and issubclass(optimizer, Optimizer) and optimizer.rule):
        raise TypeError(
            "lrcore.optax.to_optax: optimizer must be a class of lrcore.optimizers or one of its "
            f"instances, got {optimizer!r}"
        )
    own = [k for k in signature(optimizer).parameters if k not in ("params", "options")]
    if len(args) > len(own):
        raise TypeError(
            f"lrcore.optax.{optimizer.__name__}: must have at most {len(own)} arguments by place, "
            f"got {len(args)}"
        )
    placed = dict(zip(own, args, strict=False))
    twice = next((name for name in placed if name in arguments), None)
    if twice is not None:
        raise TypeError(f"lrcore.optax.{optimizer.__name__}: {twice} must be given once, got two")
    return _transformation(optimizer, {**placed, **arguments})


def _transformation(kind: type[Optimizer], arguments: Mapping[str, Any]) -> Transformation:
    given = {k: v for k, v in arguments.items() if not (k == "seed" and v is None)}
    rule = _Rule(kind, given)

    def init(params: Any) -> State:
        return rule.init(params)

    def update(
        updates: Any, state: State, params: Any = None, *, value: Any = None, **extra: Any
    ) -> tuple[Any, State]:
        del extra
        new, state = rule.step(updates, state, params, value)
        return jax.tree_util.tree_map(lambda q, p: q - p, new, params), state

    made = Transformation(init, update)
    made._rule = rule
    return made
