"""Kernel against reference on this machine, bit for bit. Behind ``lrcore verify`` and the tests.

Cases come from the tables: every rule, with every combination of the hyper-parameters that switch
its loops, under every option of the pipeline. One case holds arrays of all the sizes at once, at
starts that are not aligned, and is computed once by the reference and once by each instruction set
and thread count.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core, optimizers, schedules
from ._hyper import DOMAINS, RULES
from ._optimizer import Optimizer
from .reference.step import CHUNK

__all__ = ["DTYPES", "OPTIONS", "SIZES", "Case", "cases", "compare", "reference", "run"]

Array: TypeAlias = NDArray[Any]
Results: TypeAlias = dict[str, Array]

BLOCK = _core.BLOCK
SIZES = (0, 1, 3, 7, 15, 16, 17, 31, 33, 64, 1000, BLOCK - 1, BLOCK, BLOCK + 1,
         CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5)  # fmt: skip
DTYPES = ("float32", "float64")
STEPS = 4

#: Values that switch a loop or a stage on, wherever a rule has the hyper-parameter.
SWITCHED = {
    "momentum": 0.9,
    "dampening": 0.3,
    "nesterov": True,
    "amsgrad": True,
    "centered": True,
    "weight_decay": 0.1,
    "lr_decay": 0.1,
    "initial_accumulator_value": 0.5,
}

#: What the pipeline can be asked for: keyword options, and what is done to the gradients.
OPTIONS: dict[str, tuple[dict[str, Any], Callable[[Array, int], Array | None]]] = {
    "plain": ({}, lambda g, i: g),
    "clip_norm": ({"clip_norm": 0.5}, lambda g, i: g),
    "clip_value": ({"clip_value": 0.25, "maximize": True}, lambda g, i: g),
    "everything": (
        {"clip_norm": schedules.Linear(1.0, steps=3, end=0.25), "clip_value": 0.01,
         "maximize": True, "lr": schedules.Cosine(0.1, steps=4, warmup=2)},
        lambda g, i: None if i % 5 == 4 else g,
    ),
    "float64 gradients": ({}, lambda g, i: g.astype(np.float64)),
    "float32 gradients": ({"clip_norm": 3.0}, lambda g, i: g.astype(np.float32)),
    "float16 gradients": ({}, lambda g, i: g.astype(np.float16)),
    "strided gradients": ({"maximize": True}, lambda g, i: np.stack([g, -g], axis=-1)[::-1, 0]),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One rule with some of its switches, one dtype, one option of the pipeline.

    With `wild`, parameters and gradients also hold inf and NaN, and the step is told to ignore it.
    """

    rule: type[Optimizer]
    switches: tuple[str, ...]
    dtype: str
    option: str
    wild: bool

    def __str__(self) -> str:
        words = [self.rule.rule, *self.switches, self.dtype, self.option, "wild" * self.wild]
        return " ".join(w for w in words if w)


def variants(rule: type[Optimizer]) -> Iterator[tuple[str, ...]]:
    """The combinations of a rule's switches that it accepts."""
    names = [n for n in inspect.signature(rule).parameters if n in SWITCHED]
    loops = {note.partition(":")[2] for note in RULES[rule.rule][3] if ":" in note}
    flags = [n for n in names if DOMAINS[n] is None or n in loops]
    others = tuple(n for n in names if n not in flags)
    for k in range(len(flags) + 1):
        for chosen in combinations(flags, k):
            for more in dict.fromkeys([(), others]):
                try:
                    made: Any = rule  # each rule takes its own arguments
                    made(np.zeros(1), **{n: SWITCHED[n] for n in chosen + more})
                except ValueError:  # not allowed together, by the rule's own word
                    continue
                yield chosen + more


def cases(wild: tuple[bool, ...] = (False, True)) -> Iterator[Case]:
    """Every case of every rule."""
    for name in optimizers.__all__:
        rule = getattr(optimizers, name)
        for switches in variants(rule):
            for dtype in DTYPES:
                for option in OPTIONS:
                    for w in wild:
                        yield Case(rule, switches, dtype, option, w)


def numbers(rng: np.random.Generator, n: int, dtype: str, wild: bool) -> Array:
    """Normal numbers mixed with +-0, subnormals, huge and tiny ones; `wild` adds inf and NaN."""
    info = np.finfo(dtype)
    x = rng.standard_normal(n) * 10.0 ** rng.integers(-3, 2, n)
    odd = np.array([0.0, -0.0, info.smallest_subnormal, -7 * float(info.smallest_subnormal),
                    info.tiny, -info.tiny / 2, info.eps, info.max / 8, -info.max / 64,
                    np.sqrt(float(info.max)), 1e-30])  # fmt: skip
    if wild:
        odd = np.append(odd, [np.inf, -np.inf, np.nan, info.max])
    where = rng.random(n) < (0.2 if wild else 0.1)
    x[where] = rng.choice(odd, where.sum())
    return x.astype(dtype)


@lru_cache(maxsize=32)
def _arrays(dtype: str, wild: bool, seed: int) -> tuple[Array, ...]:
    """One array a size, each starting at another element of its cache line; read only."""
    rng = np.random.default_rng(seed)
    out = []
    for i, n in enumerate(SIZES):
        room = np.zeros(n + 16, dtype)
        if n != (33 if seed == 1 else 64):  # one parameter and one gradient are nothing but zeros
            room[i % 16 : i % 16 + n] = numbers(rng, n, dtype, wild)
        room.flags.writeable = False
        out.append(room[i % 16 : i % 16 + n])
    return tuple(out)


def _moved(a: Array, i: int) -> Array:
    """A writable copy that starts as far from a cache line as `a` does."""
    room = np.empty(a.size + 16, a.dtype)
    room[i % 16 : i % 16 + a.size] = a
    return room[i % 16 : i % 16 + a.size]


def _results(case: Case, backend: str) -> Results:
    """Parameters and state after a few steps."""
    params = [_moved(a, i) for i, a in enumerate(_arrays(case.dtype, case.wild, 1))]
    keywords, dress = OPTIONS[case.option]
    values: dict[str, Any] = {n: SWITCHED[n] for n in case.switches}
    overflows = case.option.endswith("gradients")  # on the way to a narrower format
    nonfinite = "ignore" if case.wild or overflows else "raise"
    rule: Any = case.rule  # each rule takes its own arguments
    values = {"lr": 0.1, **values, **keywords, "nonfinite": nonfinite, "backend": backend}
    opt: Optimizer = rule(params, **values)
    with np.errstate(all="ignore"):
        for k in range(STEPS):
            grads = _arrays(case.dtype, case.wild, 2 + k)
            opt.step([dress(g, i) for i, g in enumerate(grads)])
    out = {f"p[{p.size}]": p for p in params}
    for path, arrays in opt.state.items():
        out.update({f"{name}[{a.size}] of {path}": a for name, a in arrays.items()})
    return out


def reference(case: Case) -> Results:
    """What the NumPy reference makes of a case."""
    return _results(case, "numpy")


def same_bits(a: Array, b: Array) -> NDArray[np.bool_]:
    """Equal in every bit, or both NaN, whose payload no promise covers."""
    bits = f"u{a.itemsize}"
    both_nan = (a != a) & (b != b)
    same: NDArray[np.bool_] = (a.view(bits) == b.view(bits)) | both_nan
    return same


def compare(case: Case, expected: Results, isa: str, threads: int) -> str:
    """Compute a case in C; the first difference from `expected` in words, or nothing."""
    before = _core.get_isa(), _core.get_num_threads(), _core.get_parallel_from()
    _core.set_isa(isa)
    _core.set_num_threads(threads)
    _core.set_parallel_from(0)
    try:
        found = _results(case, "c")
    finally:
        _core.set_isa(before[0])
        _core.set_num_threads(before[1])
        _core.set_parallel_from(before[2])
    for name, want in expected.items():
        same = same_bits(found[name], want)
        if not same.all():
            i = int(np.argmin(same))
            return (f"{name}: element {i} is {found[name][i]!r}, the reference has {want[i]!r} "
                    f"({int((~same).sum())} of {want.size} differ)")  # fmt: skip
    return ""


def run(
    progress: Callable[[int, int], None] | None = None, quick: bool = False
) -> list[dict[str, Any]]:
    """Compare every rule, dtype and instruction set of this machine.

    Parameters
    ----------
    progress : callable, optional
        Called with the number of cases done and of all cases.
    quick : bool, default False
        Only the plain option and the one with everything on, on one thread and two.

    Returns
    -------
    list of dict
        A row for each rule, dtype, instruction set and thread count: ``rule, dtype, isa, threads,
        n`` (numbers compared), ``ok`` and ``detail`` (the first difference in words).
    """
    options = ("plain", "everything") if quick else tuple(OPTIONS)
    todo = [c for c in cases(wild=(True,) if quick else (False, True)) if c.option in options]
    rows: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for done, case in enumerate(todo):
        expected = reference(case)
        for isa in _core.isas():
            for threads in (1, 2) if quick else (1, 2, 3):
                key = case.rule.rule, case.dtype, isa, threads
                names = ("rule", "dtype", "isa", "threads")
                new = {**dict(zip(names, key, strict=True)), "n": 0, "ok": True, "detail": ""}
                row = rows.setdefault(key, new)
                difference = compare(case, expected, isa, threads)
                row["n"] += sum(a.size for a in expected.values())
                if difference and row["ok"]:
                    row.update(ok=False, detail=f"{case}: {difference}")
        if progress:
            progress(done + 1, len(todo))
    return list(rows.values())
