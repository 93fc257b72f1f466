"""What `_verify` compares: the cases of a table, and what all cases are made of.

Every rule, with every combination of the hyper-parameters that switch its loops, under every option
of the pipeline. One case holds arrays of all the sizes at once, at starts that are not aligned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from itertools import combinations
from math import isqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core, optimizers, schedules
from ._hyper import RULES, STATES, domain_of
from ._optimizer import Optimizer
from ._optimizer.slots import bfloat16
from .reference.step import CHUNK

__all__ = [
    "DTYPES",
    "OPTIONS",
    "SIZES",
    "SWITCHED",
    "Case",
    "Results",
    "arrays_of",
    "by_rows",
    "cases",
    "dtype_of",
    "has_bfloat16",
    "main_cases",
    "main_variants",
    "moved",
    "named",
    "near_square",
    "numbers",
    "odd_numbers",
    "rules",
    "switched",
    "variants",
]

Array: TypeAlias = NDArray[Any]
#: What a case leaves behind: rows of numbers by name.
Results: TypeAlias = dict[str, Array]

BLOCK = _core.BLOCK
SIZES = (0, 1, 3, 7, 15, 16, 17, 31, 33, 64, 1000, BLOCK - 1, BLOCK, BLOCK + 1,
         CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5)  # fmt: skip
DTYPES = ("float32", "float64")
STEPS = 4

#: Values that switch a loop or a stage on, wherever a rule has the hyper-parameter. What is on by
#: default is switched off: see `switched`.
#: Values that switch a loop or a stage on, wherever a rule has the hyper-parameter. A flag that is
#: on by default is switched off: see `switched`.
SWITCHED = {
    "momentum": 0.9,
    "dampening": 0.3,
    "nesterov": True,
    "amsgrad": True,
    "centered": True,
    "eps_inside": True,
    "weight_decay": 0.1,
    "lr_decay": 0.1,
    "initial_accumulator_value": 0.5,
    "decouple": True,
    "use_bias_correction": True,
    "safeguard_warmup": True,
    "growth_rate": 4.0,
    "init_eta": 0.01,
    "trust_clip": True,
    "always_adapt": False,
    "grad_averaging": True,
    "multiplicative": True,
    "hyper_lr": 0.01,
    "floor": 0.09,
    "warmup_steps": 3,
    "r": 1.5,
    "weight_lr_power": 0.5,
    "decoupled_weight_decay": True,
    "rectify": True,
    "amsbound": True,
    "nus": (0.7, 0.9),
    "clip_exp": None,
    "beta3_warmup": 3,
    "alpha_warmup": 4,
    "no_prox": True,
    "t0": 1.0,
    "l1": 0.05,
    "l2": 0.1,
    "l2_shrinkage": 0.1,
    "beta": 1.0,
    "adjust_lr_fn": "match_rms_adamw",
    "normalize_grads": True,
    "correct_bias": True,
    "shampoo_beta": 0.5,
    "beta2_decay": -0.3,
    "d": 1.25,
}

#: What keeps the cases small, wherever a rule has the hyper-parameter.
SMALL = {"max_precond_dim": 70, "update_freq": 2, "precondition_frequency": 2}

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

    def results(self, backend: str) -> Results:
        """Parameters and state after a few steps."""
        params = self._shaped([moved(a, i) for i, a in enumerate(self._rows(1))])
        keywords, dress = OPTIONS[self.option]
        values = switched(self.rule, self.switches)
        overflows = self.option.endswith("gradients")  # on the way to a narrower format
        nonfinite = "ignore" if self.wild or overflows else "raise"
        rule: Any = self.rule  # each rule takes its own arguments
        values = {"lr": 0.1, **values, **keywords, "nonfinite": nonfinite, "backend": backend}
        opt: Optimizer = rule(params, **named(self.rule, values))
        with np.errstate(all="ignore"):
            for k in range(STEPS):
                grads = [dress(g, i) for i, g in enumerate(self._rows(2 + k))]
                opt.step(self._shaped(grads), loss=1.5 - k)
        return arrays_of(params, opt)

    def _rows(self, seed: int) -> tuple[Array, ...]:
        return _arrays(self.dtype, self.wild, seed)

    def _shaped(self, rows: list[Any]) -> list[Any]:
        """For a rule that knows matrices every second row as one, where that is possible."""
        if RULES[self.rule.rule].scope not in ("matrix", "factored"):
            return rows
        return [
            row if i % 2 == 0 or row is None else row.reshape(near_square(row.size))
            for i, row in enumerate(rows)
        ]


def cases() -> Iterator[Case]:
    """Every case of every rule."""
    for rule in rules():
        for switches in variants(rule):
            for dtype in DTYPES:
                for option in OPTIONS:
                    for wild in (False, True):
                        yield Case(rule, switches, dtype, option, wild)


def main_cases() -> Iterator[Case]:
    """Some of each rule, dtype and combination of switches, and every option with many of them.

    What surrounds a rule knows no rule, and its switches are turned one at a time and all together:
    one in six cases finds what all do, in practice.
    """
    main = (("plain", True), ("everything", False))
    return (
        c
        for i, c in enumerate(cases())
        if ((c.option, c.wild) in main or i % 7 == 0) and c.switches in main_variants(c.rule)
    )


# ------------------------------------------------------------------- what cases are made of


def rules() -> list[type[Optimizer]]:
    """The class of every rule."""
    return [getattr(optimizers, name) for name in optimizers.__all__]


def named(rule: type[Optimizer], values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with the rate under its name in this rule, and no decay where it has none."""
    hypers = RULES[rule.rule].hypers
    left = {k: v for k, v in values.items() if k != "weight_decay" or k in hypers}
    return {rule.rate_name if k == "lr" else k: v for k, v in left.items()}


def switched(rule: type[Optimizer], switches: tuple[str, ...]) -> dict[str, Any]:
    """Arguments with these switches: what decides on a loop as it is not by default; small ones."""
    known, loops = inspect.signature(rule).parameters, _loops(rule.rule)

    def value(name: str) -> Any:
        if domain_of(rule.rule, name) is None:
            return not known[name].default
        return 0.0 if name in loops and known[name].default else SWITCHED[name]

    small = {name: number for name, number in SMALL.items() if name in known}
    return small | {name: value(name) for name in switches}


def _loops(rule: str) -> set[str]:
    """The hyper-parameters on which it depends which states a rule has."""
    return {note.partition(":")[2] for note in RULES[rule].notes if ":" in note}


def variants(rule: type[Optimizer]) -> tuple[tuple[str, ...], ...]:
    """The combinations of a rule's switches that it accepts."""
    return _variants(rule.__name__)


def main_variants(rule: type[Optimizer]) -> tuple[tuple[str, ...], ...]:
    """Those with no switch, one, or as many as there can be."""
    most = max(map(len, variants(rule)))
    return tuple(v for v in variants(rule) if len(v) <= 1 or len(v) == most)


@cache
def _variants(name: str) -> tuple[tuple[str, ...], ...]:
    rule: Any = getattr(optimizers, name)
    names = [n for n in inspect.signature(rule).parameters if n in SWITCHED]
    flags = [n for n in names if domain_of(rule.rule, n) is None or n in _loops(rule.rule)]
    others = tuple(n for n in names if n not in flags)
    out = []
    for k in range(len(flags) + 1):
        for chosen in combinations(flags, k):
            for more in dict.fromkeys([(), others]):
                try:
                    rule(np.zeros(1), **switched(rule, chosen + more))
                except ValueError:  # not allowed together, by the rule's own word
                    continue
                out.append(chosen + more)
    return tuple(out)


def by_rows(rule: type[Optimizer]) -> bool:
    """Whether a rule keeps one number for each row or column of a parameter."""
    return any(state.of_rows or state.over for state in STATES[rule.rule])


def near_square(n: int) -> tuple[int, int]:
    """The shape of n elements as a matrix as near to a square as can be; wide."""
    less = max((d for d in range(1, isqrt(n) + 1) if n % d == 0), default=0)
    return (less, n // less) if less else (0, 3)


def has_bfloat16() -> bool:
    """Whether there is a bfloat16 here; cases that need it are left out otherwise."""
    try:
        dtype_of("bfloat16")
    except ImportError:
        return False
    return True


def dtype_of(name: str) -> np.dtype[Any]:
    """The dtype of a name, also of bfloat16."""
    return bfloat16("verify", name) if name == "bfloat16" else np.dtype(name)


def odd_numbers(dtype: np.dtype[Any], wild: bool) -> Array:
    """+-0, subnormals, huge and tiny numbers; `wild` adds inf and NaN."""
    module: Any = import_module("ml_dtypes") if dtype.name == "bfloat16" else np
    info = module.finfo(dtype)
    least, tiny, most = (float(x) for x in (info.smallest_subnormal, info.tiny, info.max))
    odd = [0.0, -0.0, least, -7 * least, tiny, -tiny / 2, float(info.eps), most / 8, -most / 64,
           np.sqrt(most), 1e-30]  # fmt: skip
    return np.array(odd + [np.inf, -np.inf, np.nan, most] * wild)


def numbers(rng: np.random.Generator, n: int, dtype: str, wild: bool) -> Array:
    """Normal numbers mixed with odd ones."""
    x = rng.standard_normal(n) * 10.0 ** rng.integers(-3, 2, n)
    where = rng.random(n) < (0.2 if wild else 0.1)
    x[where] = rng.choice(odd_numbers(np.dtype(dtype), wild), where.sum())
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


def moved(a: Array, i: int) -> Array:
    """A writable copy of a row that starts `i` elements from a cache line."""
    room = np.empty(a.size + 16, a.dtype)
    room[i % 16 : i % 16 + a.size] = a
    return room[i % 16 : i % 16 + a.size]


def arrays_of(params: list[Array], opt: Optimizer) -> Results:
    """Parameters and slots, but those that a step uses up, as rows in the order of memory."""
    out = {f"p[{p.size}]": p.ravel(order="K") for p in params}
    for path, arrays in opt.state.items():
        for name, a in arrays.items():
            if name not in ("sum", "work"):
                out[f"{name}[{a.size}] of {path}"] = a.ravel(order="K")
    if opt._plan.scalars:
        out["estimates"] = np.array(opt._plan.scalars).ravel()
    return out
