"""The pipeline: what surrounds a rule in a step.

A step is all or nothing. The order of its stages, all of them in float64 where the parameter is of
float64 and in float32 otherwise:

1. load the gradient; refuse the step where it is not finite; the norms
2. scale: times sign and clip coefficient over the divisor, then clipped by unit, then by value
3. decay: coupled ``g += wd p``, or decoupled ``p *= 1 - lr wd``
4. the rule; then which of its steps are made: ``cautious`` or ``grams``
5. the averages: Lookahead's, from which the parameter goes on, the exponential and the running mean
6. store parameter and state, rounded to their formats
7. statistics
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan, sqrt
from types import SimpleNamespace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._hyper import RULES, STATES
from . import stages, stats, storage
from .memory import (
    Store,
    flat,
    load,
    read_parameter,
    read_state,
    write_parameter,
    write_state,
)
from .reduce import CHUNK, LANES, chunk_sums, in_order, line_squares, strip_sums, unit_squares
from .rows import named, put_back, taken
from .rules import rule as module_of
from .rules._forms import Seen

__all__ = [
    "CHUNK",
    "LANES",
    "Gradient",
    "Group",
    "Options",
    "Tensor",
    "accumulate",
    "chunk_sums",
    "step",
]

Array: TypeAlias = NDArray[Any]
#: Of all of a parameter, of some rows (their numbers and values), or none.
Gradient: TypeAlias = "Array | tuple[NDArray[np.int64], Array] | None"

PARAMETER = 6  # the draw of the parameter's random bits; state j has draw j


@dataclass
class Tensor:
    """One parameter in a step: its arrays, gradient (None: leave it alone) and updates so far.

    The gradient of some rows is as in `rows.named`.
    """

    store: Store
    g: Gradient
    t: int


@dataclass
class Group:
    """What the parameters of a group are updated with; `h` are the rule's hyper-parameters.

    0 switches `clip_value` and `agc` off, and leaves `clip_norm` to the whole optimizer's.
    """

    h: SimpleNamespace
    maximize: bool = False
    clip_value: float = 0.0
    clip_norm: float = 0.0
    agc: float = 0.0
    agc_eps: float = 1e-3
    select: str = ""
    rounding: str = "nearest"


@dataclass
class Options:
    """What the whole optimizer is asked for.

    `lookahead` is (k, alpha), `ema` (decay, warmup), `swa` (start, every); None switches them off.
    `stats` is a float64 array with a row of `stats.COLUMNS` numbers a tensor.
    """

    clip_norm: float = 0.0
    nonfinite: str = "raise"
    divisor: float = 1.0
    seed: int = 0
    lookahead: tuple[int, float] | None = None
    ema: tuple[float, bool] | None = None
    swa: tuple[int, int] | None = None
    stats: NDArray[np.float64] | None = None
    trace_every: int = 1
    loss: float = nan


def step(
    rule: str,
    tensors: Sequence[Tensor],
    groups: Sequence[Group],
    options: Options,
    scalars: Sequence[SimpleNamespace] = (),
    matrices: Matrices | None = None,
) -> tuple[float, int]:
    """Make one update of every tensor that has a gradient.

    `scalars` are the numbers that the rule keeps for each tensor or group, as its row says, and are
    updated in place. `matrices` makes the products of a rule that has them. Returns the norm of the
    gradients (0 where ``clip_norm`` is off) and, where the step was refused because a gradient is
    not finite, the index of its tensor (otherwise -1). The statistics are filled in either case.
    """
    with np.errstate(all="ignore"):
        rows, parts = {}, list(tensors)
        for i, x in enumerate(tensors):
            if isinstance(x.g, tuple):
                indices, values = x.g
                rows[i], g = named(x.store.p, indices, values)
                parts[i] = Tensor(taken(x.store, rows[i]), g, x.t)
        result = _step(rule, parts, groups, options, scalars, matrices)
        for i, numbers in rows.items():
            put_back(parts[i].store, tensors[i].store, numbers)
    return result


def _step(
    rule: str,
    tensors: Sequence[Tensor],
    groups: Sequence[Group],
    options: Options,
    scalars: Sequence[SimpleNamespace],
    matrices: Matrices | None,
) -> tuple[float, int]:
    """`step`, where all gradients are of whole tensors."""
    given = [None if isinstance(x.g, tuple) else x.g for x in tensors]
    grads = [None if g is None else load(g, x.store.p) for g, x in zip(given, tensors, strict=True)]
    owners = [groups[x.store.group] for x in tensors]
    if options.stats is not None:
        for row, group, g in zip(options.stats, owners, grads, strict=True):
            sign = -1.0 if group.maximize else 1.0
            stats.see_gradient(row, g, sign * options.divisor)
    if options.nonfinite != "ignore":
        for i, g in enumerate(grads):
            if g is not None and not np.isfinite(g).all():
                return 0.0, i
    grad_norm, clips = _clips(tensors, grads, groups, options)
    found = [
        _Open(rule, i, x, g, owners[i], clips[x.store.group], options)
        for i, (x, g) in enumerate(zip(tensors, grads, strict=True))
        if g is not None
    ]
    for one in found:
        one.k = _keeper(rule, one, scalars)
    if RULES[rule].scope == "factored":
        for one in found:
            _factor(rule, one)
    _estimate(rule, found, groups, options.loss)
    if matrices is not None:
        _prepare(rule, [one for one in found if one.d is not None], matrices, options)
    for one in found:
        _update(rule, one, options)
    return grad_norm, -1


def accumulate(sum: Array, g: Array, first: bool) -> None:
    """Add a gradient to a sum of the parameter's shape; the first one replaces what is there."""
    with np.errstate(all="ignore"):
        loaded = storage.decode(g, None, signed=True, real=sum.dtype)
        sum[...] = loaded if first else sum + loaded


def _clips(
    tensors: Sequence[Tensor],
    grads: Sequence[Array | None],
    groups: Sequence[Group],
    options: Options,
) -> tuple[float, list[float]]:
    """The norm over the groups that are clipped together, and each group's clip coefficient."""

    def norm(members: set[int]) -> float:
        squares = [
            part
            for x, g in zip(tensors, grads, strict=True)
            if g is not None and x.store.group in members
            for part in chunk_sums(g, g)
        ]
        return sqrt(in_order(squares)) / options.divisor

    together = {k for k, group in enumerate(groups) if not group.clip_norm}
    grad_norm = norm(together) if options.clip_norm else 0.0
    clips = [
        stages.clip_coefficient(group.clip_norm, norm({k}))
        if group.clip_norm
        else stages.clip_coefficient(options.clip_norm, grad_norm)
        for k, group in enumerate(groups)
    ]
    return grad_norm, clips


class Matrices(Protocol):
    """What makes the products of a rule with matrices, on their ``work``.

    Each call is given the number, the hyper-parameters and the update of every matrix that has a
    gradient.
    """

    def enter(self, todo: Sequence[tuple[int, Sequence[float], int]]) -> None:
        """Look at the gradients."""

    def leave(self, todo: Sequence[tuple[int, Sequence[float], int]]) -> None:
        """Finish the directions."""


class _Open:
    """One tensor, the `index`-th of the optimizer, read and brought to where the rule begins."""

    k: SimpleNamespace  # the rule's scalars
    d: Array | None  # of a matrix: its gradient, then its direction

    def __init__(
        self,
        rule: str,
        index: int,
        x: Tensor,
        loaded: Array,
        group: Group,
        clip: float,
        options: Options,
    ) -> None:
        row, store, real = RULES[rule], x.store, loaded.dtype.type
        self.index, self.x, self.loaded, self.group, self.clip = index, x, loaded, group, clip
        self.signed = [f"{name}+" not in row.notes for name in row.states]
        self.h = h = _hypers(rule, group.h, store)
        self.old = read_parameter(store)
        states = {n: read_state(store, j, self.signed[j]) for j, n in enumerate(row.states)}
        self.s = SimpleNamespace(**states)

        # 2. scale
        factor = (-clip if group.maximize else clip) / options.divisor
        g = loaded
        if factor != 1.0:
            g = stages.scale(g, factor)
        if group.agc and g.size:
            gg, pp = (unit_squares(a, store.units, store.rows) for a in (loaded, self.old))
            unit_factors = stages.unit_factors(gg, pp, factor, group.agc, group.agc_eps)
            g = stages.scale_units(g, unit_factors, store.rows)
        if group.clip_value:
            g = stages.clip_by_value(g, group.clip_value)

        # 3. decay
        decay = row.decay
        if decay == "either":
            decay = "decoupled" if h.decoupled_weight_decay else "coupled"
        if decay == "coupled" and h.weight_decay != 0:
            g = stages.couple(g, self.old, h.weight_decay)
        rate = getattr(h, row.hypers[0])
        keep = 1.0 - rate * h.weight_decay if decay == "decoupled" else 1.0
        self.g = g
        self.d = None if store.work is None else flat(store.work, store.p)
        self.base = self.old if keep == 1.0 else real(keep) * self.old


def _keeper(rule: str, one: _Open, scalars: Sequence[SimpleNamespace]) -> SimpleNamespace:
    """The scalars that a tensor's update goes by."""
    scope = RULES[rule].scope
    if not RULES[rule].scalars:
        return SimpleNamespace()
    return scalars[one.x.store.group if scope == "group" else one.index]


def _factor(rule: str, one: _Open) -> None:
    """Move the factors of a tensor that is matrices, and put the product in the state's place."""
    (height, width), module = one.x.store.matrix, module_of(rule)
    if not one.g.size or not height:
        return
    real, factors = one.g.dtype, {state.over: state.name for state in STATES[rule]}
    per_row, per_column = (getattr(one.s, factors[axis]) for axis in (-1, -2))
    rows, columns = line_squares(one.g.reshape(-1, height, width))
    module.follow(per_row, (rows / float(width)).astype(real).ravel(), one.h, one.x.t + 1)
    module.follow(per_column, (columns / float(height)).astype(real).ravel(), one.h, one.x.t + 1)
    per_row = per_row.reshape(-1, height, 1)
    total = 0.0 + np.add.accumulate(per_row.astype(np.float64), axis=1)[:, -1:]
    row_shares = module.share(per_row, (total / float(height)).astype(real), one.h)
    product = row_shares * module.share(per_column, None, one.h).reshape(-1, 1, width)
    setattr(one.s, factors[None], product.ravel())


def _sum(rule: str, a: Array, b: Array | None) -> float:
    if RULES[rule].scope == "factored" and b is not None:
        return in_order(strip_sums(a, b))
    return in_order(chunk_sums(a, np.ones_like(a) if b is None else b))


def _estimate(rule: str, found: list[_Open], groups: Sequence[Group], loss: float) -> None:
    """Set the scalars of every tensor or group, from sums over its elements."""
    row, module = RULES[rule], module_of(rule)
    if not row.scalars:
        return
    seen = []
    for one in found:
        pairs = module.measure(one.old, one.g, one.s, one.h, one.x.t + 1, one.k) if row.sums else []
        sums = [0.0 if pair is None else _sum(rule, *pair) for pair in pairs]
        seen.append(Seen(one.x.t + 1, one.g.size, -loss if one.group.maximize else loss, sums))
    if row.of_tensors:
        for one, own in zip(found, seen, strict=True):
            module.estimate(one.h, own, one.k)
        return
    members = [
        [own for one, own in zip(found, seen, strict=True) if one.x.store.group == i]
        for i in range(len(groups))
    ]
    totals = [[in_order([x.sums[j] for x in own]) for j in range(row.sums)] for own in members]
    together = [in_order([total[j] for total in totals]) for j in range(row.sums)]
    for i, some in enumerate(members):
        if some:
            t, n = max(x.t for x in some), sum(x.n for x in some)
            k = next(one.k for one in found if one.x.store.group == i)
            module.estimate(groups[i].h, Seen(t, n, some[0].loss, totals[i], together), k)


def _prepare(rule: str, found: list[_Open], matrices: Matrices, options: Options) -> None:
    """The directions of matrices: products, what the rule makes of these, and products again."""
    columns = RULES[rule].hypers
    todo = [(one.index, [getattr(one.h, x) for x in columns], one.x.t + 1) for one in found]
    for one in found:
        assert one.d is not None
        one.d[...] = one.g
    matrices.enter(todo)
    for one in found:
        module_of(rule).prepare(one.d, one.s, one.h, one.x.t + 1)
        _store_states(rule, one, options)
    matrices.leave(todo)


def _update(rule: str, one: _Open, options: Options) -> None:
    """Stages 4 to 7 for one tensor."""
    x, group, g, s, base = one.x, one.group, one.g, one.s, one.base
    store, k = x.store, x.t + 1

    # 4. the rule
    p = base.copy()
    if one.d is None:
        module_of(rule).update(p, g, s, one.h, k, one.k)
    else:
        p = base - p.dtype.type(getattr(one.h, RULES[rule].hypers[0])) * one.d
    if group.select == "cautious":
        p, g = stages.cautious(p, base, g)
    elif group.select == "grams":
        p = stages.grams(p, base, g)

    # 5. the averages
    weights = _weights(options, k)
    for j, mean in enumerate(store.averages):
        if mean is not None and weights[j] != 0.0:
            row = flat(mean, store.p)
            stages.average(row, p, weights[j])
            if j == 0:
                p = row.copy()

    # 6. store
    if one.d is None:
        _store_states(rule, one, options)
    write_parameter(store, p, _bits(one, options, PARAMETER))

    # 7. statistics
    if options.stats is not None:
        now = read_parameter(store)
        row = options.stats[one.index]
        row[stats.CLIP] = one.clip
        stats.see_step(row, one.loaded, g, one.old, now, store.trace, options.trace_every)


def _bits(
    one: _Open, options: Options, draw: int, always: bool = False
) -> NDArray[np.uint16] | None:
    """What numbers are rounded by, where that is by chance."""
    if always or one.group.rounding == "stochastic":
        return storage.random16(options.seed, one.x.t, one.index, one.g.size, draw)
    return None


def _store_states(rule: str, one: _Open, options: Options) -> None:
    store, signed = one.x.store, one.signed
    for j, name in enumerate(RULES[rule].states):
        stored, value = store.states[j], getattr(one.s, name)
        if stored is not None:
            # To nearest, a second moment would stall.
            random = _bits(one, options, j, always=stored.itemsize < 4 and not signed[j])
            write_state(store, j, value, signed[j], random)


def _hypers(rule: str, h: SimpleNamespace, store: Store) -> SimpleNamespace:
    """The hyper-parameters of one tensor; the rate is the first."""
    own, rate = dict(vars(h)), RULES[rule].hypers[0]
    if store.work is None:
        replaced = {x: f"adamw_{x}" for x in (rate, "weight_decay")}
        own.update({x: own[y] for x, y in replaced.items() if y in own and not isnan(own[y])})
    own[rate] *= store.lr_scale
    if not store.decays and "weight_decay" in own:
        own["weight_decay"] = 0.0
    return SimpleNamespace(**own)


def _weights(options: Options, k: int) -> list[float]:
    """What share of the parameter each average takes over at update k = 1, 2, ...."""
    return [
        stages.lookahead_weight(k, *options.lookahead) if options.lookahead else 0.0,
        stages.ema_weight(k, *options.ema) if options.ema else 0.0,
        stages.swa_weight(k, *options.swa) if options.swa else 0.0,
    ]
