"""Optimizers and schedules by name, with defaults that suit the tasks.

The names come from the classes, so that a new rule or schedule is here without being listed.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import lrcore
from lrcore import optimizers, schedules
from lrcore.cli._say import Refusal
from lrcore.tasks import Params, Task

Chosen = TypeVar("Chosen")

# Rates that train well under a cosine with warm-up on inputs of mean 0 and spread 1, whose columns
# may be all but the same. A task has others where it needs them; what is not here either is the
# default of the class.
RATES = {
    "SGD": 0.03,
    "Adagrad": 0.1,
    "Adafactor": 0.01,
    "RMSprop": 0.003,
    "Adam": 0.01,
    "AdamW": 0.01,
    "Lion": 0.001,
    "LAMB": 0.01,
    "LARS": 1.0,
    "FTRL": 1.0,
    "ASGD": 0.1,
    "HypergradientSGD": 0.03,
}


class Span(NamedTuple):
    """What a schedule is stretched over: `steps` updates, the first `warmup` of them rising."""

    lr: float
    steps: int
    warmup: int

    @property
    def length(self) -> int:
        """Updates after the warm-up, at least 1."""
        return self.steps - self.warmup

    def at(self, *shares: float) -> list[int]:
        """Increasing positions at these shares of the length."""
        return sorted({self.warmup + max(round(share * self.length), 1) for share in shares})


# What a schedule is made of. They fall to a hundredth in the end, inverse time to a tenth.
SHAPES: dict[str, Callable[[Span], Any]] = {
    "lr": lambda span: span.lr,
    "steps": lambda span: span.steps,
    "step_size": lambda span: -(-span.length // 3),
    "milestones": lambda span: span.at(0.5, 0.75),
    "gamma": lambda span: 0.01 ** (1 / span.length),
    "decay": lambda span: math.log(100) / span.length,
    "rate": lambda span: 9 / span.length,
    "boundaries": lambda span: span.at(0.5, 0.75),
    "timescale": lambda span: span.warmup or max(span.length // 10, 1),
    "decay_steps": lambda span: -(-span.length // 3),
    "knee": lambda span: span.warmup + span.length // 2,
    "upper_bound": lambda span: 10 * span.steps,
    "period": lambda span: -(-span.length // 3),
    "values": lambda span: [span.lr * 0.1**i for i in range(len(span.at(0.5, 0.75)) + 1)],
}


def optimizer_classes() -> dict[str, type[lrcore.Optimizer]]:
    """Every optimizer lrcore exports, by name."""
    return {
        name: value
        for name in optimizers.__all__
        if isinstance(value := getattr(optimizers, name), type)
        and issubclass(value, lrcore.Optimizer)
        and value is not lrcore.Optimizer
    }


def schedule_classes() -> dict[str, type[lrcore.Schedule]]:
    """Every schedule whose shape can be derived from a rate and a number of steps, by name."""
    return {
        value.kind.replace("_", "-"): value
        for name in schedules.__all__
        if isinstance(value := getattr(schedules, name), type)
        and issubclass(value, lrcore.Schedule)
        and value is not lrcore.Schedule
        and _required(value) <= SHAPES.keys()
    }


def find_optimizer(name: str) -> type[lrcore.Optimizer]:
    """Return the class called `name`, in any case."""
    return find(optimizer_classes(), name, "optimizer")


def make_optimizer(
    rule: type[lrcore.Optimizer], params: Params, lr: float | lrcore.Schedule, **options: Any
) -> lrcore.Optimizer:
    """Return an optimizer of that class at a rate, whatever its name there."""
    return cast("Callable[..., lrcore.Optimizer]", rule)(params, **{rule.rate_name: lr}, **options)


def default_lr(rule: type[lrcore.Optimizer], task: Task) -> float:
    """Rate for `rule` if the user gives none."""
    default = inspect.signature(rule).parameters[rule.rate_name].default
    return float({**RATES, **task.rates}.get(rule.__name__, default))


def make_schedule(name: str, lr: float, *, steps: int, warmup: int) -> lrcore.Schedule:
    """Return the schedule called `name` over `steps` updates, the first `warmup` rising."""
    kind = find(schedule_classes(), name, "schedule")
    span = Span(lr, steps, warmup)
    chosen = {key: SHAPES[key](span) for key in _required(kind)}
    return cast("Callable[..., lrcore.Schedule]", kind)(**chosen, warmup=warmup)


def _required(kind: type) -> set[str]:
    return {
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def find(known: dict[str, Chosen], name: str, what: str) -> Chosen:
    """Return what is called `name`, in any case, with dashes or not; or say what is near."""
    plain = {_plain(key): value for key, value in known.items()}
    if _plain(name) in plain:
        return plain[_plain(name)]
    close = difflib.get_close_matches(_plain(name), plain, n=1)
    names = [key.replace("_", "-") for key in known]  # as lists of them show them
    hint = next((f" (did you mean {key}?)" for key in names if _plain(key) in close), "")
    raise Refusal(f"there is no {what} {name!r}{hint}; choose one of {', '.join(names)}")


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()
