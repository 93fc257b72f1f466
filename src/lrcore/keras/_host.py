"""Host: the optimizer of lrcore behind one of Keras, whatever the backend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._optimizer import Optimizer
from .._optimizer.moving import Source, move
from .._schedule import Schedule
from . import _names

__all__ = ["Host"]

Array: TypeAlias = NDArray[Any]

#: What is saved of a run, besides what there is for each variable and each group.
COUNTERS = ("training", "t", "micro", "scale", "good_steps")
#: What an entry of a state dict says that is no state: how the optimizer was made.
TERMS = ("decays", "lr_scale")


class Host:
    """What an optimizer of Keras has of lrcore: a rule, its values, and, once built, an optimizer.

    Attributes
    ----------
    values : dict
        The arguments under their names in Keras, without those that Keras's base class has.
    core : Optimizer, or None
        Of lrcore; None until the variables are known.
    schedule : Schedule, or None
        Of lrcore, in the place of Keras's rate.
    rate : float, or None
        The rate to use, whatever the others are.
    """

    def __init__(
        self, who: str, rule: type[Optimizer], values: dict[str, Any], options: dict[str, Any]
    ) -> None:
        self.who, self.rule, self.values, self.options = who, rule, values, options
        self.core: Optimizer | None = None
        self.rate: float | None = None
        self.schedule: Schedule | None = None
        self._used: float | None = None  # the last rate but 0
        self._paths: list[str] = []
        self._decays: list[bool] = []
        self.places: list[tuple[int, str]] = []  # of each variable: its group, and its name there
        self.hypers = self._checked(values)
        #: Which hyper-parameters are the rate, and times what.
        self.follows = _names.factors(rule, values)
        self.rate_inside = _names.rate_inside(rule) and bool(self.hypers["momentum"])

    def _make(self, params: Any, hypers: Mapping[str, Any], **more: Any) -> Optimizer:
        kind: Any = self.rule
        made: Optimizer = kind(params, **hypers, **self.options, **more)
        return made

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The hyper-parameters of the rule, found good; or an error with the names of Keras."""
        try:
            hypers = _names.to_ours(self.rule, values)
            self._make(np.zeros(1, np.float32), hypers)
        except (TypeError, ValueError) as error:
            text = str(error).removeprefix(f"{self.rule.__name__}: ")
            raise self._told(error, f"{self.rule.__name__}: {text}") from None
        return hypers

    def _told(self, error: Exception, text: str) -> Exception:
        """An error of the rule, with the names of Keras."""
        return type(error)(_names.back(self.rule, self.who, text))

    def change(self, name: str, value: Any) -> None:
        """Another value for an argument, from the next step on."""
        values = {**self.values, name: value}
        hypers = self._checked(values)
        if self.core is not None:
            new = {k: v for k, v in hypers.items() if v != self.hypers[k]}
            for group in self.core.param_groups:
                group.update(new)
        self.values, self.hypers = values, hypers
        self.follows = _names.factors(self.rule, values)
        self.rate_inside = _names.rate_inside(self.rule) and bool(hypers["momentum"])

    def build(self, memory: Any, paths: Sequence[str], decays: Sequence[bool]) -> None:
        """Get to know the variables, and begin if they have their values."""
        self._paths, self._decays = list(paths), list(decays)
        self.finish(memory)

    def finish(self, memory: Any) -> None:
        """Make the optimizer of lrcore, as soon as the variables have values."""
        if self.core is None and self._paths and memory.pull():
            self._begin(memory.arrays)

    def _begin(self, arrays: Sequence[Array]) -> None:
        paths, decays = self._paths, self._decays
        groups = _names.groups_of(self.rule, self.values, arrays, paths)
        self.places = [(0, "")] * len(arrays)
        given, mask = [], []
        for g, (members, own) in enumerate(groups):
            names = {
                f"{paths[i]}#{i}" if paths.count(paths[i]) > 1 else paths[i]: i for i in members
            }
            for name, i in names.items():
                self.places[i] = (g, name)
            given.append({"params": {name: arrays[i] for name, i in names.items()}, **own})
            mask.append({name: decays[i] for name, i in names.items()})
        masked = {} if all(decays) else {"decay_mask": mask}
        self.core = self._make(given, self.hypers, **masked)

    def move(self, arrays: Sequence[Array]) -> None:
        """Let the optimizer go on with other memory of the variables."""
        assert self.core is not None
        order = dict(zip(self.places, arrays, strict=True))
        leaves = self.core._layout.leaves
        moved = [order[leaf.group, leaf.path] for leaf in leaves]
        sources = [Source(i, tuple(range(leaf.array.ndim))) for i, leaf in enumerate(leaves)]
        move(self.core, moved, sources)

    def step(self, rate: float, iterations: float, loss: float, grads: Sequence[Any]) -> None:
        """Make a step; a gradient is None where there is none, a loss NaN.

        The rate is that of Keras, unless there is a schedule here, or another rate.
        """
        try:
            self._step(rate, iterations, loss, grads)
        except (TypeError, ValueError) as error:
            raise self._told(error, str(error)) from None

    def _step(self, rate: float, iterations: float, loss: float, grads: Sequence[Any]) -> None:
        core = self.core
        assert core is not None
        if self.schedule is not None:
            rate = float(self.schedule(int(iterations)))
        rate = rate if self.rate is None else self.rate
        changes = {name: rate * f for name, f in self.follows.items()}
        if self.rate_inside:
            changes["momentum"] = self._momentum(rate)
        now = core._layout.groups[0]
        if any(now[name] != value for name, value in changes.items()):
            for group in core.param_groups:
                group.update(changes)
        trees: list[dict[str, Any]] = [{} for _ in core._layout.groups]
        for (g, name), grad in zip(self.places, grads, strict=True):
            trees[g][name] = grad
        core.step(trees, loss=self._loss(loss))
        self._used = rate or self._used

    def _loss(self, loss: float) -> float | None:
        if not self.rule.needs_loss:
            return None
        if isnan(loss):
            raise ValueError(
                f"{self.who}: the loss must be known, since the rate of this rule follows from it; "
                "in a loop of your own call optimizer.scale_loss(loss) before the gradients"
            )
        return loss

    def _momentum(self, rate: float) -> float:
        """The momentum with which a buffer of gradients does what Keras's buffer of steps does."""
        momentum: float = self.hypers["momentum"]
        return momentum * self._used / rate if self._used and rate else momentum

    # ------------------------------------------------------------------------ saving

    def save(self) -> tuple[str, list[Array]]:
        """What a run needs to go on: a text, and the arrays that it counts."""
        assert self.core is not None
        state = self.core.state_dict()
        arrays: list[Array] = []
        groups = [
            [self._entry(group["params"][leaf], arrays) for leaf in group["params"]]
            for group in state["param_groups"]
        ]
        out = {
            "rule": self.rule.rule,
            "rate": self._used,
            **{k: state[k] for k in COUNTERS if k in state},
            "estimates": [group.get("estimates") for group in state["param_groups"]],
            "groups": groups,
        }
        return json.dumps(out), arrays

    @staticmethod
    def _entry(entry: Mapping[str, Any], arrays: list[Array]) -> dict[str, Any]:
        out = {}
        for name, value in entry.items():
            if isinstance(value, np.ndarray):
                out[name] = {"array": len(arrays)}
                arrays.append(value)
            elif name not in TERMS:
                out[name] = value
        return out

    def load(self, text: str, arrays: Sequence[Array]) -> None:
        """Take over what `save` returned; hyper-parameters stay as they are here."""
        assert self.core is not None
        given, here = json.loads(text), self.core.state_dict()
        if given.get("rule") != self.rule.rule:
            raise ValueError(
                f"{self.who}: the saved state must be of {self.rule.rule!r}, "
                f"got that of {given.get('rule')!r}"
            )
        groups = here["param_groups"]
        if [len(x) for x in given["groups"]] != [len(group["params"]) for group in groups]:
            raise ValueError(
                f"{self.who}: the saved state must be of as many variables, "
                f"{sum(len(group['params']) for group in groups)}, "
                f"got {sum(map(len, given['groups']))}"
            )
        here |= {k: given[k] for k in COUNTERS if k in given}
        for group, estimates, entries in zip(
            groups, given["estimates"], given["groups"], strict=True
        ):
            if estimates is not None:
                group["estimates"] = estimates
            for path, entry in zip(group["params"], entries, strict=True):
                own = {k: v for k, v in group["params"][path].items() if k in TERMS}
                group["params"][path] = own | {
                    k: arrays[v["array"]] if isinstance(v, dict) and "array" in v else v
                    for k, v in entry.items()
                }
        try:
            self.core.load_state_dict(here)
        except ValueError as error:
            raise ValueError(f"{self.who}: {error}") from None
        self._used = given["rate"]
