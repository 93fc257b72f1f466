"""Combinations of stages and formats for `_verify`: those of a table, and those drawn from seeds.

A combination has one to three groups, each with formats, options and hyper-parameters of its own,
and gradients that lie in memory in some way, come in micro-batches, are missing here and there or
are not finite. What is compared is all that a run leaves behind: parameters, every slot, and after
each step the gradients, the statistics and what the optimizer says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import _core, schedules
from ._cases import (
    DTYPES,
    SIZES,
    Results,
    arrays_of,
    by_rows,
    dtype_of,
    has_bfloat16,
    moved,
    named,
    near_square,
    odd_numbers,
    rules,
    switched,
    variants,
)
from ._hyper import RULES
from ._optimizer import Optimizer
from ._rows import RowGrad
from .averages import EMA, SWA, Lookahead
from .options import AGC, LossScaler

__all__ = ["FLOATS", "FORMATS", "LAYOUTS", "MASTERS", "Combination", "Group", "Run", "drawn",
           "drawn_rows", "formats"]  # fmt: skip

Array: TypeAlias = NDArray[Any]
T = TypeVar("T")

#: What parameters and gradients may be kept in.
FLOATS = (*DTYPES, "float16", "bfloat16")


# -------------------------------------------------------------------------------- numbers

KINDS = ("tame", "odd", "wild")
POOL = 2**17
RUN = 128  # numbers whose sizes are alike


@cache
def _pool(dtype: str, fits: str, kind: str) -> Array:
    """Numbers to take rows from, which another dtype can hold too; read only.

    Their size changes from run to run, and some runs are zero. Most are tame in any case, so that
    sums and the scales of blocks say something; the other kinds have odd or wild ones here and
    there.
    """
    rng = np.random.default_rng([FLOATS.index(dtype), FLOATS.index(fits), KINDS.index(kind)])
    runs = POOL // RUN
    x = rng.standard_normal((runs, RUN)) * 10.0 ** rng.integers(-3, 2, (runs, RUN))
    x *= 10.0 ** rng.integers(-4, 1, (runs, 1))
    x[rng.random(x.shape) < 0.02] = -0.0
    for first in np.flatnonzero(rng.random(runs) < 0.01):
        x[first : first + 3] = 0.0
    if kind != "tame":
        odd = odd_numbers(dtype_of(fits), kind == "wild")
        for chosen in np.flatnonzero(rng.random(runs) < 0.1):
            x[chosen, rng.integers(0, RUN, 3)] = rng.choice(odd, 3)
    with np.errstate(all="ignore"):
        out: Array = x.reshape(-1).astype(dtype_of(fits)).astype(dtype_of(dtype))
    out.flags.writeable = False
    return out


def _row(rng: np.random.Generator, n: int, dtype: str, fits: str, kind: str) -> Array:
    at = int(rng.integers(POOL - n))
    return _pool(dtype, fits, kind)[at : at + n]


# How gradients lie in memory: a row as an array of a shape and order, and the memory it is in.


def _in_order(row: Array, shape: Any, order: Any) -> tuple[Array, Array]:
    memory = moved(row, row.size)
    return memory.reshape(shape, order=order), memory


def _backwards(row: Array, shape: Any, order: Any) -> tuple[Array, Array]:
    memory = np.full(3 * row.size, 7, row.dtype)
    memory[::-3] = row
    return memory[::-3].reshape(shape, order=order), memory


def _transposed(row: Array, shape: Any, order: Any) -> tuple[Array, Array]:
    memory = np.array(row.reshape(shape, order=order), order="F" if order == "C" else "C")
    return memory, memory


def _misaligned(row: Array, shape: Any, order: Any) -> tuple[Array, Array]:
    memory = np.full(row.nbytes + 1, 7, np.uint8)
    memory[1:] = row.view(np.uint8)
    return memory[1:].view(row.dtype).reshape(shape, order=order), memory


LAYOUTS: dict[str, Callable[[Array, Any, Any], tuple[Array, Array]]] = {
    "in order": _in_order,
    "backwards": _backwards,
    "transposed": _transposed,
    "misaligned": _misaligned,
}


# --------------------------------------------------------------------------- combinations


@dataclass(frozen=True)
class Group:
    """One group of parameters: formats, how the gradients lie in memory, and options."""

    dtype: str
    gradients: str  # their dtype
    layout: str = "in order"
    order: str = "C"
    form: str = "row"
    options: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, n: int) -> tuple[int, ...]:
        """A row, or a matrix as near to a square as can be: wide or tall."""
        if self.form == "row":
            return (n,)
        if n == 1:
            return ()
        less, more = near_square(n)
        return (less, more) if self.form == "wide" or n == 0 else (more, less)

    def __str__(self) -> str:
        words = [self.dtype, f"gradients {self.gradients} {self.layout}"]
        words += [f"{self.form} {self.order}"] * (self.form != "row")
        return ", ".join([*words, *_words(self.options)])


def _words(options: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in options.items()]


@dataclass(frozen=True)
class Combination:
    """One rule with groups, options and gradients of any kind.

    `micro` says for each step how many gradients are accumulated for it; 0: it is given one.
    `gaps` leaves some gradients out; the step `poisoned` has one that is not finite. With `of_rows`
    most of them are of some rows alone.
    """

    seed: int
    rule: type[Optimizer]
    groups: tuple[Group, ...]
    options: Mapping[str, Any]
    kind: str = "tame"
    micro: tuple[int, ...] = (0, 0, 0)
    gaps: bool = False
    poisoned: int = -1
    of_rows: bool = False

    dtype: ClassVar[str] = "mixed"

    def __str__(self) -> str:
        words = [*_words(self.options), self.kind, f"micro={self.micro}"]
        words += (
            ["of rows"] * self.of_rows
            + ["gaps"] * self.gaps
            + [f"poisoned={self.poisoned}"] * (self.poisoned >= 0)
        )
        groups = " ".join(f"({group})" for group in self.groups)
        return f"seed {self.seed}: {self.rule.rule} {groups} {', '.join(words)}"

    @property
    def grouped(self) -> bool:
        """Whether the optimizer is given a list of groups, or the parameters alone."""
        return len(self.groups) > 1 or "clip_norm" in self.groups[0].options

    def given(self, values: list[T]) -> Any:
        """One value an array, in the structure of the parameters."""
        rows = [values[k :: len(self.groups)] for k in range(len(self.groups))]
        return rows if self.grouped else rows[0]

    def parameters(self, sizes: tuple[int, ...] = SIZES) -> list[Array]:
        """What the parameters begin at."""
        rng = np.random.default_rng([self.seed, 0])
        out = []
        for i, n in enumerate(sizes):
            group = self.groups[i % len(self.groups)]
            row = moved(_row(rng, n, group.dtype, group.dtype, self.kind), i)
            order: Any = group.order
            out.append(row.reshape(group.shape(n), order=order))
        return out

    def optimizer(self, params: list[Array], **more: Any) -> Optimizer:
        """The optimizer of such parameters; `more` are options that count more."""
        rule: Any = self.rule  # each rule takes its own arguments
        given, options = self.given(params), {**self.options, **more}
        own = [named(self.rule, group.options) for group in self.groups]
        if self.grouped:
            given = [{"params": row, **values} for row, values in zip(given, own, strict=True)]
        else:
            options = {**own[0], **options}
        made: Optimizer = rule(given, **options)
        return made

    def gradients(self, k: int, j: int = 0) -> tuple[list[Array | RowGrad | None], list[Array]]:
        """Those of the j-th micro-batch of step k, and the memory that they are views of."""
        rng = np.random.default_rng([self.seed, 1, k, j])
        poisoned = int(rng.integers(1, len(SIZES))) if (k, j) == (self.poisoned, 0) else -1
        out: list[Array | RowGrad | None] = []
        memory = []
        for i, n in enumerate(SIZES):
            group = self.groups[i % len(self.groups)]
            g: Array | RowGrad
            narrowed = group.gradients == "float64" != group.dtype and self.kind != "wild"
            fits = "float32" if narrowed else group.gradients
            row = _row(rng, n, group.gradients, fits, self.kind)
            if i == poisoned:
                row = row.copy()
                row[rng.integers(n)] = rng.choice([np.inf, -np.inf, np.nan])
            g, base = LAYOUTS[group.layout](row, group.shape(n), group.order)
            if self.of_rows and g.ndim and rng.random() < 0.8:
                g = _some_rows(rng, g)
            out.append(None if self.gaps and rng.random() < 0.15 else g)
            memory.append(base)
        return out, memory

    def results(self, backend: str) -> Results:
        """All that the steps leave behind."""
        return Run(self, backend=backend).finish()


def _some_rows(rng: np.random.Generator, g: Array) -> RowGrad:
    """Rows of a gradient: none, a few or most, in order or not, each once or several times."""
    height = g.shape[0]
    count = int(rng.choice([0, 1, height // 8, height])) if height else 0
    indices = rng.integers(0, max(height, 1), count)
    if rng.random() < 0.4:
        indices = np.unique(indices)
    return RowGrad(indices, g[rng.permutation(height)[: indices.size]], g.shape)


class Run:
    """A combination while it is computed, step by step; `more` are options of the optimizer."""

    def __init__(self, case: Combination, **more: Any) -> None:
        self.case = case
        self.params = case.parameters()
        self.opt = case.optimizer(self.params, **more)
        self.log: Results = {}

    def step(self, k: int, pause: Callable[[], None] | None = None) -> None:
        """Make step k; `pause` is called between its micro-batches and the step itself."""
        case, made = self.case, -1.0
        memory: list[Array] = []
        for j in range(case.micro[k]):
            grads, rows = case.gradients(k, j)
            memory += rows
            self.opt.accumulate(case.given(grads))
        if pause is not None:
            pause()
        try:
            if case.micro[k]:
                made = float(self.opt.step(loss=2.0 - k))
            else:
                grads, memory = case.gradients(k)
                made = float(self.opt.step(case.given(grads), loss=2.0 - k))
        except _core.NonFiniteError as error:
            letters = np.frombuffer(str(error).encode(), np.uint8)
            self.log[f"letters of the error of step {k}"] = letters
        opt = self.opt
        said = [made, opt.t, opt.grad_norm, opt.loss_scale]
        self.log[f"made, t, grad_norm, loss_scale after step {k}"] = np.array(said)
        rows = [row.ravel(order="K").view(np.uint8) for row in memory]
        self.log[f"bytes of the gradients after step {k}"] = np.concatenate(rows)
        if opt._layout.stats is not None:
            self.log[f"statistics of step {k}"] = opt._layout.stats.flatten()

    def finish(self) -> Results:
        """Make the steps that have not been made; all that the run leaves behind."""
        for k in range(sum(name.startswith("made") for name in self.log), len(self.case.micro)):
            self.step(k)
        return {**arrays_of(self.params, self.opt), **self.log}


#: What an optimizer says of choices that exclude each other.
REFUSED = (
    "cannot hold the state",
    "cautious and grams must not both",
    "must go with a matrix",
    "must be in C order",
)


def _is_allowed(case: Combination) -> bool:
    """Whether an optimizer accepts a combination, and there is a bfloat16 if it is needed."""
    names = {x for g in case.groups for x in (g.dtype, g.gradients, g.options["state_dtype"])}
    if "bfloat16" in names and not has_bfloat16():
        return False
    try:
        case.optimizer(case.parameters((1,) * len(SIZES)))
    except ValueError as error:
        if any(words in str(error) for words in REFUSED):
            return False
        raise
    return True


# ------------------------------------------------------------------------------ the table

#: Parameters, gradients, state, rounding, master.
FORMATS: tuple[tuple[str, str, str | None, str, str | None], ...] = (
    ("float32", "float32", "bfloat16", "stochastic", None),
    ("float32", "float16", "int8", "nearest", None),
    ("float32", "bfloat16", "int8", "stochastic", None),
    ("float64", "float64", "float32", "nearest", None),
    ("float64", "float32", "int8", "stochastic", None),
    ("float16", "float16", None, "nearest", None),
    ("float16", "float16", "bfloat16", "stochastic", None),
    ("float16", "float32", "int8", "nearest", "float32"),
    ("bfloat16", "bfloat16", "bfloat16", "stochastic", None),
    ("bfloat16", "bfloat16", "int8", "nearest", "split"),
    ("bfloat16", "float32", None, "stochastic", "float32"),
)

#: All that is on or off for a whole optimizer.
STAGES: dict[str, Any] = {
    "clip_norm": 100.0,
    "ema": EMA(0.9, warmup=True),
    "swa": SWA(2),
    "lookahead": Lookahead(2),
    "zero_grads": True,
    "loss_scale": 1024.0,
    "stats": True,
    "seed": 7,
    "decay_mask": "*[0-4]",
    "lr_scale": {"*[135]": 0.5},
}


def formats() -> Iterator[Combination]:
    """Every rule in every format, with as many switches as go with it; all stages are on.

    A rule that cannot keep its state in a format keeps it in the arithmetic's.
    """
    for rule in rules():
        for i in range(len(FORMATS)):
            state = FORMATS[i][2]
            ways = ((s, x) for s in dict.fromkeys((state, None)) for x in reversed(variants(rule)))
            cases = (_in_format(rule, i, stored, switches) for stored, switches in ways)
            if case := next(filter(_is_allowed, cases), None):
                yield case


def _in_format(
    rule: type[Optimizer], i: int, state: str | None, switches: tuple[str, ...]
) -> Combination:
    dtype, gradients, _, rounding, master = FORMATS[i]
    options = {
        "lr": 0.01,
        "state_dtype": state,
        "rounding": rounding,
        "master": master,
        "agc": AGC(0.1, axis=-(i % 2)),
        "clip_value": 1.0,
        **({}, {"cautious": True}, {"grams": True})[i % 3],
        **switched(rule, switches),
    }
    order = "CF"[i // 2 % 2] if not by_rows(rule) else "C"
    group = Group(dtype, gradients, "in order", order, ("wide", "tall")[i % 2], options)
    return Combination(i, rule, (group,), STAGES, micro=(0, 2, 0), gaps=True)


# ---------------------------------------------------------------------------------- draws


#: What narrow parameters may be continued in.
MASTERS = {"float16": ("float32",), "bfloat16": ("float32", "split", "split")}


def _is_here(dtype: str) -> bool:
    return dtype != "bfloat16" or has_bfloat16()


class _Dice:
    """The choices of a seed: the same with any version of NumPy."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def one(self, *values: T) -> T:
        return self.random.choice(values)

    def some(self, share: float, **options: Any) -> dict[str, Any]:
        """These options, or none."""
        return options if self.random.random() < share else {}


def drawn(seed: int) -> Combination:
    """The combination of a seed. 28 in a row have every rule with every dtype of parameters."""
    dice, number = _Dice(seed), len(rules())
    rule, dtype = rules()[seed % number], FLOATS[seed // number % len(FLOATS)]
    dtype = dtype if _is_here(dtype) else "float16"
    while not _is_allowed(case := _draw(dice, seed, rule, dtype)):
        pass
    return case


#: What is about whole parameters, so that no gradient of some rows goes with it.
OF_WHOLES = ("ema", "swa", "lookahead", "zero_grads", "stats")


def drawn_rows(seed: int) -> Combination:
    """The combination of a seed with gradients of some rows, of a rule that takes them."""
    takers = [rule for rule in rules() if "rows" in RULES[rule.rule].notes]
    dice, rule = _Dice(seed), takers[seed % len(takers)]
    while True:
        case = _draw(dice, seed, rule, dice.one(*(x for x in FLOATS if _is_here(x))))
        options = {k: v for k, v in case.options.items() if k not in OF_WHOLES}
        groups = tuple(_by_rows(group) for group in case.groups)
        micro = (0,) * len(case.micro)
        case = replace(case, options=options, groups=groups, micro=micro, of_rows=True)
        if _is_allowed(case):
            return case


def _by_rows(group: Group) -> Group:
    """A group whose gradients may be of some rows."""
    options = {k: v for k, v in group.options.items() if k != "agc"}
    if options["state_dtype"] == "int8":
        options["state_dtype"] = None
    return replace(group, order="C", options=options)


def _draw(dice: _Dice, seed: int, rule: type[Optimizer], dtype: str) -> Combination:
    one, some = dice.one, dice.some
    groups = [_draw_group(dice, rule, dtype)]
    groups += [_draw_group(dice, rule, one(*FLOATS)) for _ in range(one(0, 0, 1, 1, 2))]
    kind = one("tame", "tame", "tame", "odd", "wild")
    nonfinite = "ignore" if kind == "wild" else one("raise", "raise", "skip", "skip", "ignore")
    scaler = [LossScaler(init=8.0, every=2)] if nonfinite == "skip" else []
    steps, accumulates = one(3, 4), one(False, False, True)
    options = {
        "nonfinite": nonfinite,
        "seed": dice.random.getrandbits(64),
        **some(0.4, clip_norm=one(0.5, 100.0, schedules.Linear(100.0, steps=3, end=0.25))),
        **some(0.4, ema=one(0.0, 0.9, EMA(0.99, warmup=True), EMA(0.3, warmup=True))),
        **some(0.3, swa=one(SWA(), SWA(2, 2))),
        **some(0.3, lookahead=one(Lookahead(2, 0.3), Lookahead(3), Lookahead(1, 1.0))),
        **some(0.4, zero_grads=True),
        **some(0.4, loss_scale=one(1024.0, 3.0, *2 * scaler)),
        **some(0.6, stats=True),
        **some(0.3, decay_mask=one("[024]", ["1", "[3-9]"])),
        **some(0.3, lr_scale={"[135]": 0.5, "[02]": 3.0}),
    }
    return Combination(
        seed,
        rule,
        tuple(groups),
        options,
        kind,
        micro=tuple(one(0, 1, 2, 3) if accumulates else 0 for _ in range(steps)),
        gaps=one(False, True),
        poisoned=-1 if nonfinite == "ignore" else one(-1, one(*range(steps))),
    )


def _draw_group(dice: _Dice, rule: type[Optimizer], dtype: str) -> Group:
    one, some = dice.one, dice.some
    real = "float64" if dtype == "float64" else "float32"
    options = {
        "lr": one(0.1, 0.1, 1e-3, 1e-5, schedules.Cosine(0.1, steps=4, warmup=2)),
        **switched(rule, one(*variants(rule))),
        "state_dtype": one(None, None, "float32", real, "bfloat16", "bfloat16", "int8", "int8"),
        "rounding": one("nearest", "stochastic"),
        "master": one(None, *MASTERS.get(dtype, ())),
        **some(0.3, maximize=True),
        **some(0.3, clip_value=one(0.05, schedules.Linear(1.0, steps=3, end=0.1))),
        **some(0.2, clip_norm=one(0.3, 50.0)),
        **some(0.3, agc=AGC(one(0.01, 0.1, 1.0), one(1e-3, 1.0), one(-1, 0))),
        **some(0.3, cautious=True),
        **some(0.3, grams=True),
    }
    return Group(
        dtype,
        gradients=one(dtype, dtype, *FLOATS),
        layout=one("in order", "in order", *LAYOUTS),
        order=one("C", "C", "F") if not by_rows(rule) else "C",
        form=one("row", "row", "wide", "tall"),
        options=options,
    )
