"""Hyper-parameters: what each may be, and where it goes in a rule's row."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from . import _core
from ._domain import Interval, OneOf
from ._schedule import Schedule

__all__ = [
    "DOMAINS",
    "RULES",
    "SCALARS",
    "STATES",
    "Number",
    "Row",
    "State",
    "check",
    "check_number",
    "check_value",
    "curve",
    "domain_of",
    "is_matrix",
    "kept_of",
    "slots",
]

Number: TypeAlias = "float | Schedule"

INF = float("inf")
POSITIVE = Interval(0, INF, closed_low=False, closed_high=False)
NONNEGATIVE = Interval(0, INF, closed_high=False)
CLIP_NORM = Interval(0, INF, closed_low=False)  # infinity: the norm is only measured
ANY = Interval(-INF, INF, closed_low=False, closed_high=False)
UNIT = Interval(0, 1, closed_high=False)
COUNT = Interval(0, 2**53, integer=True)
LENGTH = Interval(1, 2**53, integer=True)
FLAG = None
POSITIVE_OR_NONE = Interval(0, INF, closed_low=False, closed_high=False, optional=True)

#: What a hyper-parameter may be, under the one name it has in every rule; FLAG: True or False.
#: Where a rule means something else by a name, "rule.name".
DOMAINS: dict[str, Interval | OneOf | None] = {
    "lr": NONNEGATIVE,
    "betas": UNIT,
    "eps": NONNEGATIVE,
    "weight_decay": NONNEGATIVE,
    "momentum": NONNEGATIVE,
    "dampening": ANY,
    "alpha": UNIT,
    "beta3": Interval(0, 1, closed_high=False, optional=True),
    "d0": POSITIVE,
    "d_coef": POSITIVE,
    "growth_rate": Interval(1, INF),
    "reps_rel": POSITIVE,
    "init_eta": POSITIVE_OR_NONE,
    "init_estim_sq_dist": POSITIVE_OR_NONE,
    "lr_decay": NONNEGATIVE,
    "initial_accumulator_value": NONNEGATIVE,
    "amsgrad": FLAG,
    "decouple": FLAG,
    "use_bias_correction": FLAG,
    "safeguard_warmup": FLAG,
    "centered": FLAG,
    "eps_inside": FLAG,
    "nesterov": FLAG,
    "trust_coefficient": NONNEGATIVE,
    "trust_clip": FLAG,
    "always_adapt": FLAG,
    "grad_averaging": FLAG,
    "max_lr": NONNEGATIVE,
    "c": POSITIVE,
    "f_star": ANY,
    "hyper_lr": NONNEGATIVE,
    "floor": NONNEGATIVE,
    "multiplicative": FLAG,
    "warmup_steps": COUNT,
    "r": NONNEGATIVE,
    "weight_lr_power": NONNEGATIVE,
    "ademamix.alpha": NONNEGATIVE,
    "beta3_warmup": POSITIVE_OR_NONE,
    "alpha_warmup": POSITIVE_OR_NONE,
    "final_lr": NONNEGATIVE,
    "gamma": Interval(0, 1, closed_low=False, closed_high=False),
    "nus": Interval(0, 1),
    "clip_exp": Interval(0, INF, closed_high=False, optional=True),
    "amsbound": FLAG,
    "decoupled_weight_decay": FLAG,
    "rectify": FLAG,
    "no_prox": FLAG,
    "dadaptadam.eps": POSITIVE,
    "prodigy.eps": POSITIVE,
    "dadaptsgd.momentum": UNIT,
    "asgd.alpha": NONNEGATIVE,
    "signum.momentum": UNIT,
    "madgrad.momentum": UNIT,
    "beta2_decay": Interval(-INF, 0, closed_low=False),
    "adafactor.eps": Interval(0, INF, closed_high=False, optional=True),
    "d": Interval(1, INF, closed_high=False),
    "rho": Interval(0, 1),
    "momentum_decay": NONNEGATIVE,
    "etas": POSITIVE,
    "step_sizes": NONNEGATIVE,
    "lambd": NONNEGATIVE,
    "t0": NONNEGATIVE,
    "lr_power": Interval(-INF, 0, closed_low=False),
    "l1": NONNEGATIVE,
    "l2": NONNEGATIVE,
    "l2_shrinkage": NONNEGATIVE,
    "beta": NONNEGATIVE,
    "ns_coefficients": ANY,
    "ns_steps": Interval(1, 99, integer=True),
    "adjust_lr_fn": OneOf("original", "match_rms_adamw"),
    "adamw": FLAG,
    "adamw_lr": Interval(0, INF, closed_high=False, optional=True),
    "adamw_betas": UNIT,
    "adamw_eps": NONNEGATIVE,
    "adamw_weight_decay": NONNEGATIVE,
    "update_freq": LENGTH,
    "max_precond_dim": COUNT,
    "shampoo_beta": Interval(-1, 1, closed_high=False),
    "precondition_frequency": LENGTH,
    "normalize_grads": FLAG,
    "correct_bias": FLAG,
}


class Row(NamedTuple):
    """A row of rules.def."""

    number: int
    states: tuple[str, ...]
    hypers: tuple[str, ...]
    notes: tuple[str, ...]
    #: "coupled", "decoupled", "either" or "inside".
    decay: str
    #: "element", "tensor", "group" or "row": what keeps the scalars, of a row states; "matrix"; or
    #: "factored": a tensor, and of matrices one state is kept as two factors.
    scope: str
    sums: int
    scalars: tuple[str, ...]
    #: Kept of each matrix: square ones, as large as its rows ("left...") or columns ("right...").
    matrices: tuple[str, ...]

    @property
    def of_tensors(self) -> bool:
        """Whether the scalars, if there are any, are each tensor's own."""
        return self.scope in ("tensor", "factored")


#: The rows of rules.def.
RULES = {rule: Row(*row) for rule, row in _core.rules().items()}


class State(NamedTuple):
    """What a row of rules.def and its notes say of one of its arrays."""

    name: str
    #: The hyper-parameter that switches it on, and the one at whose value it starts.
    switch: str | None
    start: str | None
    #: Whether it starts as the parameter is.
    follows: bool
    #: Whether it is never negative, and whether 8 bits are too few for it.
    unsigned: bool
    exact: bool
    #: Whether it is one number a row.
    of_rows: bool
    #: Of a factor: the axis whose elements it has one number for; None: it is none.
    over: int | None
    #: Whether only tensors that are matrices have it, or only the others; None: all do.
    only: bool | None


def _noted(row: Row, start: str) -> str | None:
    return next((note[len(start) :] for note in row.notes if note.startswith(start)), None)


#: Which tensors have a state, by the sign of its note: those that are matrices, or the others.
ONLY = {"#": True, "-": True, "|": True, "~": False, "*": False}
#: The axis that a factor is a mean over.
OVER = {"-": -1, "|": -2}


def _state(row: Row, name: str) -> State:
    start, follows = _noted(row, f"{name}="), f"{name}=p" in row.notes
    signs = [note[-1] for note in row.notes if note[:-1] == name]
    return State(
        name,
        _noted(row, f"{name}:"),
        None if follows else start,
        follows,
        f"{name}+" in row.notes,
        f"{name}!" in row.notes,
        f"{name}/" in row.notes,
        next((OVER[x] for x in signs if x in OVER), None),
        next((ONLY[x] for x in signs if x in ONLY), None),
    )


#: The arrays of each rule, in the order of its row.
STATES = {rule: tuple(_state(row, name) for name in row.states) for rule, row in RULES.items()}
#: The hyper-parameter at whose value each scalar of a rule starts; None: it starts at 0.
SCALARS = {rule: {x: _noted(row, f"{x}=") for x in row.scalars} for rule, row in RULES.items()}


def is_matrix(rule: str, shape: tuple[int, ...], values: Mapping[str, Any]) -> bool:
    """Whether a rule takes a tensor of a group with such `values` for a matrix."""
    if RULES[rule].scope == "factored":
        return len(shape) > 1 and 0 not in shape
    if RULES[rule].scope != "matrix" or len(shape) < 2 or 0 in shape or values["adamw"]:
        return False
    return not RULES[rule].matrices or bool(kept_of(rule, shape, values))


def kept_of(rule: str, shape: tuple[int, ...], values: Mapping[str, Any]) -> dict[str, int]:
    """The square matrices that a rule keeps of a matrix of a shape, and their rows."""
    sides = {"left": shape[0], "right": prod(shape[1:])}
    out = {name: sides[name.partition("_")[0]] for name in RULES[rule].matrices}
    most = values.get("max_precond_dim", INF)
    return {name: side for name, side in out.items() if side <= most}


def slots(name: str, value: Any, columns: tuple[str, ...]) -> list[tuple[int, Any, str]]:
    """Where a hyper-parameter goes: (place in h, value, name in messages) for each number of it.

    A plural that is no column itself (``betas``, ``eps``) is a tuple of ``beta1, beta2, ...``,
    columns side by side; one that stands elsewhere (Prodigy's ``beta3``) is an argument of its own.
    """
    if name in columns:
        return [(columns.index(name), value, name)]
    singular = (name, name[:-1])  # of eps, eps1
    found = [i for i, c in enumerate(columns) if c.rstrip("0123456789") in singular]
    parts = [i for k, i in enumerate(found) if i == found[0] + k]
    if not isinstance(value, (tuple, list)) or len(value) != len(parts):
        raise ValueError(f"{name} must be a tuple of {len(parts)} numbers, got {value!r}")
    return [(i, v, f"{name}[{k}]") for k, (i, v) in enumerate(zip(parts, value, strict=True))]


def domain_of(rule: str, name: str) -> Interval | OneOf | None:
    """What a rule's hyper-parameter may be."""
    own = f"{rule}.{name}"
    if own not in DOMAINS and name not in DOMAINS:
        raise KeyError(f"DOMAINS in _hyper.py says nothing of {name!r}, which {rule} has")
    return DOMAINS[own if own in DOMAINS else name]


def check(who: str, domain: Interval | OneOf | None, name: str, value: Any) -> Any:
    """A hyper-parameter inside its domain: a number, a bool or the schedule it is; or an error.

    A schedule's values are floats, so that a whole number must be given as one.
    """
    may_change = isinstance(domain, Interval) and not domain.integer
    scheduled = isinstance(value, Schedule) and may_change
    return value if scheduled else check_value(who, name, value, domain)


def check_value(who: str, name: str, value: Any, domain: Interval | OneOf | None) -> Any:
    """A number inside an interval, or a bool where there is none; or an error."""
    if domain is None:
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{who}: {name} must be True or False, got {value!r}")
        return bool(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    return domain.check(who, name, value)


def check_number(who: str, name: str, value: Any) -> float:
    """Any float, inf and NaN too, such as a run may arrive at; or an error."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{who}: {name} must be a number, got {value!r}")
    return float(value)


def curve(value: Any, domain: Interval | OneOf | None = None) -> Any:
    """A value as ``_core`` takes it: a schedule as its curve, a name as its number."""
    if isinstance(domain, OneOf):
        return domain.number(value)
    return value._curve if isinstance(value, Schedule) else value
