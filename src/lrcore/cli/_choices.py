"""Optimizers and schedules by name, with defaults that suit the tasks.

The names come from the classes, so that a new rule or schedule is here without being listed.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import lrcore
from lrcore import optimizers, schedules
from lrcore.cli._say import Refusal

# Rates that train well under a cosine with warm-up: (the networks of digits and table, the
# two numbers of linear, which lie some 5 away from their start). A rule that is not here uses
# the default of its class.
RATES = {
    "SGD": (0.3, 0.3),
    "Adagrad": (0.03, 3.0),
    "RMSprop": (0.003, 0.03),
    "Adam": (0.003, 0.3),
    "AdamW": (0.003, 0.3),
    "Lion": (0.001, 0.01),
    "LAMB": (0.01, 0.01),
}

# What a schedule needs besides its rate, from the rate and the number of updates after warm-up
# (`steps`, which counts the warm-up too, is given apart). Falls to a hundredth where it can.
SHAPES: dict[str, Callable[[float, int], Any]] = {
    "step_size": lambda lr, n: max(n // 3, 1),
    "milestones": lambda lr, n: [n // 2, 3 * n // 4] if n >= 4 else [max(n // 2, 1)],
    "gamma": lambda lr, n: 0.01 ** (1 / max(n, 1)),
    "decay": lambda lr, n: math.log(100) / max(n, 1),
    "rate": lambda lr, n: 99 / max(n, 1),
    "boundaries": lambda lr, n: [n // 2, 3 * n // 4] if n >= 4 else [max(n // 2, 1), max(n, 2)],
    "values": lambda lr, n: [lr, 0.1 * lr, 0.01 * lr],
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


def schedule_classes() -> dict[str, Callable[..., lrcore.schedules.Schedule]]:
    """Every schedule whose shape can be derived from a rate and a number of steps, by name."""
    return {
        _hyphenated(name): value
        for name in schedules.__all__
        if isinstance(value := getattr(schedules, name), type)
        and issubclass(value, schedules.Schedule)
        and value is not schedules.Schedule
        and _required(value) <= {"lr", "steps", *SHAPES}
    }


def find_optimizer(name: str) -> type[lrcore.Optimizer]:
    """Return the class called `name`, in any case."""
    return _find(optimizer_classes(), name, "optimizer")


def default_lr(rule: type[lrcore.Optimizer], *, line: bool) -> float:
    """Rate for `rule` if the user gives none; `line` for the task linear."""
    if rule.__name__ in RATES:
        return RATES[rule.__name__][line]
    return float(inspect.signature(rule).parameters["lr"].default)


def make_schedule(name: str, lr: float, *, steps: int, warmup: int) -> Callable[[int], float]:
    """Return the schedule called `name` over `steps` updates, the first `warmup` rising."""
    kind = _find(schedule_classes(), name, "schedule")
    given = {"lr": lr, "steps": steps}
    chosen = {
        key: given[key] if key in given else SHAPES[key](lr, steps - warmup)
        for key in _required(kind)
    }
    return kind(**chosen, warmup=warmup)


def _required(kind: type) -> set[str]:
    return {
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    }


def _find(known: dict[str, Any], name: str, what: str) -> Any:
    plain = {_plain(key): value for key, value in known.items()}
    if _plain(name) in plain:
        return plain[_plain(name)]
    close = difflib.get_close_matches(_plain(name), plain, n=1)
    hint = next((f" (did you mean {key}?)" for key in known if _plain(key) in close), "")
    raise Refusal(f"there is no {what} {name!r}{hint}; choose one of {', '.join(known)}")


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def _hyphenated(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
