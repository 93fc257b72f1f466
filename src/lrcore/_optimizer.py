"""Optimizer: parameters in groups, their hyper-parameters and state, and the step.

Knows no rule and no framework. What differs between rules comes from the class (names, defaults,
domains) and from the row in ``rules.def`` (state arrays, order of the hyper-parameters).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from types import SimpleNamespace
from typing import Any, ClassVar, Literal, TypeAlias, TypedDict

from numpy.typing import NDArray

from . import _core, _memory
from ._hyper import DOMAINS, POSITIVE, RULES, Number, check, slots
from ._schedule import Schedule
from ._tree import Leaf, flatten

__all__ = ["Optimizer", "Options", "ParamGroup"]

Array: TypeAlias = NDArray[Any]

NONFINITE = _core.NONFINITE


class Options(TypedDict, total=False):
    """The options that every rule takes, keyword only."""

    maximize: bool
    clip_norm: Number | None
    clip_value: Number | None
    nonfinite: Literal["raise", "skip", "ignore"]
    backend: Literal["c", "numpy"]


class ParamGroup(MutableMapping[str, Any]):
    """One group of parameters and what it is updated with; assigning checks.

    A mapping from ``"params"`` and the names of the hyper-parameters, ``maximize`` and
    ``clip_value`` to their values. ``"params"`` cannot be assigned, nothing can be deleted.
    """

    def __init__(self, owner: Optimizer, index: int, values: dict[str, Any]) -> None:
        self._owner = owner
        self._index = index
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._owner._assign(self._index, {name: value})

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"param_groups[{self._index}]: {name!r} cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr({k: v for k, v in self._values.items() if k != "params"})


class Optimizer:
    """What all update rules share. Made by its subclasses, one a rule.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
        Contiguous, writable float32 or float64 arrays, nested at will; updated in place. A list of
        dicts with the key ``"params"`` makes groups, each with its own hyper-parameters.
    hypers : dict
        The rule's hyper-parameters by name.
    maximize : bool, default False
        Ascend instead of descend.
    clip_norm : float or Schedule, optional
        Scale the gradients by ``clip_norm / (norm + 1e-6)`` where that is below 1; ``norm`` is the
        2-norm of all gradients of the step together, in float64.
    clip_value : float or Schedule, optional
        Limit every element of the (scaled) gradient to [-clip_value, clip_value].
    nonfinite : {"raise", "skip", "ignore"}, default "raise"
        What a step does when a gradient holds inf or NaN: raise `NonFiniteError`, return False, or
        update regardless. The first two leave parameters, state and counters as they were.
    backend : {"c", "numpy"}, default "c"
        "numpy" computes the same bits with `lrcore.reference`, slowly.
    """

    rule: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        rule = cls.__name__.lower()
        if rule in RULES:
            cls.rule = rule

    def __init__(
        self,
        params: Any,
        hypers: dict[str, Any],
        *,
        maximize: bool = False,
        clip_norm: Number | None = None,
        clip_value: Number | None = None,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise",
        backend: Literal["c", "numpy"] = "c",
    ) -> None:
        if backend not in ("c", "numpy"):
            who = type(self).__name__
            raise ValueError(f'{who}: backend must be "c" or "numpy", got {backend!r}')
        self._backend = backend
        self._clip_norm, self._nonfinite = self._checked_options(clip_norm, nonfinite)
        self._defaults = {**hypers, "maximize": maximize, "clip_value": clip_value}
        self._grouped = _is_groups(params)
        self._groups: list[ParamGroup] = []
        self._states: list[list[Array | None]] = []
        self._t = 0
        self._ages: list[int] = []
        self._plan: _core.Plan
        groups = params if self._grouped else [{"params": params}]
        self._add([self._new_group(g, i) for i, g in enumerate(groups)])

    # ------------------------------------------------------------------------- groups

    def _new_group(self, given: Mapping[str, Any], index: int) -> dict[str, Any]:
        unknown = sorted(set(given) - set(self._defaults) - {"params"}, key=repr)
        if unknown:
            raise TypeError(
                f"{type(self).__name__}: params[{index}] has the unknown option {unknown[0]!r}; "
                f"there are {sorted(self._defaults)}"
            )
        return self.check({**self._defaults, **given})

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a group by name, each inside its domain; or raise."""
        who, columns = cls.__name__, RULES[cls.rule][2]
        out: dict[str, Any] = {}
        for name, value in values.items():
            if name == "params" or (name == "clip_value" and value is None):
                out[name] = value
            elif name in ("clip_value", "maximize"):
                out[name] = check(who, name, name, value)
            else:
                try:
                    places = slots(name, value, columns)
                except ValueError as error:
                    raise ValueError(f"{who}: {error}") from None
                checked = [check(who, name, label, v) for _, v, label in places]
                out[name] = checked[0] if name in columns else tuple(checked)
        cls._check_together(out)
        return out

    def _checked_options(self, clip_norm: Any, nonfinite: Any) -> tuple[Any, str]:
        who = type(self).__name__
        if nonfinite not in NONFINITE:
            raise ValueError(f"{who}: nonfinite must be one of {NONFINITE}, got {nonfinite!r}")
        if clip_norm is not None:
            clip_norm = check(who, "clip_norm", "clip_norm", clip_norm)
        return clip_norm, nonfinite

    @classmethod
    def _check_together(cls, values: Mapping[str, Any]) -> None:
        """Refuse values that are fine one by one but not together; a rule may say which."""

    def _assign(self, index: int, changes: Mapping[str, Any]) -> None:
        group = self._groups[index]
        for name in changes:
            if name not in self._defaults:
                raise KeyError(
                    f"param_groups[{index}]: {name!r} cannot be set; there are "
                    f"{sorted(self._defaults)}"
                )
        values = self.check({**group._values, **changes})
        with self._plan:
            group._values = values
            self._t, self._ages = self._plan.t, self._plan.ages
            if self._missing_states():
                self._build()
            else:
                self._send(index)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with hyper-parameters of their own.

        Parameters
        ----------
        group : dict
            ``{"params": ..., "lr": ...}``; what is not named is as at construction.

        Notes
        -----
        From then on ``step`` takes a list with one structure of gradients a group.
        """
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(
                f'{type(self).__name__}: group must be a dict with the key "params", got {group!r}'
            )
        new = self._new_group(group, len(self._groups))
        with self._plan:
            self._t, self._ages = self._plan.t, self._plan.ages
            grouped, self._grouped = self._grouped, True
            try:
                self._add([new])
            except BaseException:
                self._grouped = grouped
                raise

    def _add(self, groups: list[dict[str, Any]]) -> None:
        old = list(self._groups)
        self._groups = old + [
            ParamGroup(self, len(old) + i, values) for i, values in enumerate(groups)
        ]
        try:
            self._build()
        except BaseException:
            self._groups = old
            raise

    # --------------------------------------------------------------------------- plan

    def _build(self) -> None:
        """Lay out the parameters and their state, and make the plan. Changes nothing on error."""
        who, trees = type(self).__name__, []
        leaves: list[Leaf] = []
        for i, group in enumerate(self._groups):
            label = f"[{i}]" if self._grouped else ""
            found, tree = flatten(group["params"], label, start=len(leaves))
            if not found:
                raise ValueError(f"{who}: params{label} must hold at least one array, got none")
            for leaf in found:
                leaf.group = i
            leaves += found
            trees.append(tree)
        _memory.check_params(who, leaves)
        states = self._states + [[] for _ in leaves[len(self._states) :]]
        states = _memory.allocate(
            leaves, states, [self.starts(self._groups[leaf.group]) for leaf in leaves]
        )
        tree = ("grads", None, tuple(trees)) if self._grouped else trees[0]
        plan = _core.Plan(
            RULES[self.rule][0],
            [leaf.array for leaf in leaves],
            [leaf.group for leaf in leaves],
            states,
            [leaf.label for leaf in leaves],
            tree,
            len(self._groups),
        )
        self._leaves, self._states, self._plan = leaves, states, plan
        plan.t = self._t
        plan.ages = self._ages + [0] * (len(leaves) - len(self._ages))
        plan.set_nonfinite(NONFINITE.index(self._nonfinite))
        plan.set_clip_norm(_curve(self._clip_norm), POSITIVE, who)
        for i in range(len(self._groups)):
            self._send(i)

    def _send(self, index: int) -> None:
        """Tell the plan what a group is updated with."""
        who, columns = type(self).__name__, RULES[self.rule][2]
        for name, value in self._groups[index].items():
            if name == "maximize":
                self._plan.set_maximize(index, value)
            elif name == "clip_value":
                self._plan.set_clip_value(index, _curve(value), POSITIVE, who)
            elif name != "params":
                for slot, v, label in slots(name, value, columns):
                    self._plan.set_value(index, slot, _curve(v), DOMAINS[name], who, label)

    @property
    def _state_names(self) -> tuple[str, ...]:
        return RULES[self.rule][1]

    @classmethod
    def starts(cls, values: Mapping[str, Any]) -> list[float | None]:
        """What each state array begins at under these values; None where there is no such array."""
        _, states, _, notes, *_ = RULES[cls.rule]
        out: dict[str, float | None] = dict.fromkeys(states, 0.0)
        for note in notes:
            state, sign, hyper = note.partition(":" if ":" in note else "=")
            value = values[hyper]
            scheduled = isinstance(value, Schedule)
            if sign == "=":
                out[state] = value(0) if scheduled else value
            elif not scheduled and value == 0:
                out[state] = None
        return list(out.values())

    def _missing_states(self) -> bool:
        return any(
            start is not None and array is None
            for leaf, arrays in zip(self._leaves, self._states, strict=True)
            for start, array in zip(self.starts(self._groups[leaf.group]), arrays, strict=True)
        )

    def _resume(
        self,
        groups: list[dict[str, Any]],
        options: tuple[Any, str],
        t: int,
        ages: list[int],
        arrays: dict[int, dict[str, Array]],
    ) -> None:
        """Take over a state that has been found to fit."""
        for group, values in zip(self._groups, groups, strict=True):
            group._values = values
        self._clip_norm, self._nonfinite = options
        self._t, self._ages = t, ages
        self._build()
        for k, entry in arrays.items():
            for name, a in entry.items():
                target = self._states[k][self._state_names.index(name)]
                assert target is not None
                target[...] = a

    # --------------------------------------------------------------------------- step

    def step(self, grads: Any, *, loss: float | None = None) -> bool:
        """Update the parameters in place.

        Parameters
        ----------
        grads : structure of ndarray
            Of the same structure as the parameters; with groups, a list with one structure a group.
            Arrays of the parameter's shape, of float16, float32 or float64 and any strides. None in
            place of an array leaves that parameter and its state alone.
        loss : float, optional
            The loss at the parameters, for rules that use it.

        Returns
        -------
        bool
            True if the step was made, False if it was skipped (``nonfinite="skip"``).

        Raises
        ------
        NonFiniteError
            A gradient holds inf or NaN, and ``nonfinite`` is "raise".
        TypeError, ValueError
            The gradients do not fit the parameters, or a schedule left its domain. In every case of
            an error nothing has been changed.
        """
        if self._backend == "c":
            return self._plan.step(grads)
        with self._plan:
            return self._step_numpy(grads)

    def _step_numpy(self, grads: Any) -> bool:
        from .reference import step as reference

        plan, (_, names, columns, _, decay, _) = self._plan, RULES[self.rule]
        arrays = plan.collect(grads)
        plan.refresh()
        tensors = []
        for leaf, g, state, age in zip(self._leaves, arrays, self._states, plan.ages, strict=True):
            group = self._groups[leaf.group]
            h = {}
            for name, value in group.items():
                if name not in ("params", "maximize", "clip_value"):
                    for slot, v, _ in slots(name, value, columns):
                        h[columns[slot]] = float(_reference_value(v, plan.t))
            tensors.append(
                reference.Tensor(
                    leaf.array,
                    g,
                    SimpleNamespace(**dict(zip(names, state, strict=True))),
                    age,
                    SimpleNamespace(**h),
                    group["maximize"],
                    _reference_value(group["clip_value"] or 0.0, plan.t),
                )
            )
        with _core.FloatEnvironment():
            norm, bad = reference.step(
                self.rule,
                decay,
                tensors,
                _reference_value(self._clip_norm or 0.0, plan.t),
                self._nonfinite,
            )
        if bad >= 0:
            if self._nonfinite == "raise":
                plan.raise_nonfinite(bad)
            return False
        plan.advance(norm)
        return True

    @property
    def t(self) -> int:
        """Updates made."""
        return int(self._plan.t)

    @property
    def lr(self) -> float:
        """The learning rate that the next update will use (of the first group)."""
        value = self._groups[0]["lr"]
        return float(value(self.t)) if isinstance(value, Schedule) else float(value)

    @property
    def grad_norm(self) -> float:
        """2-norm of the gradients of the last step, before clipping; 0.0 without ``clip_norm``."""
        return float(self._plan.grad_norm)

    @property
    def param_groups(self) -> list[ParamGroup]:
        """The groups, live: assigning to ``param_groups[0]["lr"]`` checks and takes effect."""
        return list(self._groups)

    @property
    def state(self) -> dict[str, dict[str, Array]]:
        """The state arrays of each parameter, live, by the parameter's path and the array's name.

        With groups, the path starts with the number of the group.
        """
        return {
            (f"{leaf.group}.{leaf.path}" if self._grouped else leaf.path): {
                name: a for name, a in zip(self._state_names, arrays, strict=True) if a is not None
            }
            for leaf, arrays in zip(self._leaves, self._states, strict=True)
        }

    def __repr__(self) -> str:
        groups = ", ".join(repr(g) for g in self._groups)
        arrays = f"{len(self._leaves)} array{'s' * (len(self._leaves) != 1)}"
        return f"<{type(self).__name__} of {arrays}, t={self.t}: {groups}>"

    # ------------------------------------------------------------------ saving, copying

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs, as plain dicts, lists, numbers, strings and arrays.

        Returns
        -------
        dict
            ``rule``, ``t``, the options, and for each group its hyper-parameters and, by the path
            of each parameter, its number of updates and copies of its state arrays.
        """
        from . import _state

        return _state.save(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; the run then goes on bit for bit.

        Raises
        ------
        ValueError
            Something does not fit; the message names it, and nothing has been changed.
        """
        from . import _state

        with self._plan:
            _state.load(self, state)

    def __getstate__(self) -> dict[str, Any]:
        self._t, self._ages = self._plan.t, self._plan.ages
        skipped = ("_plan", "_leaves", "_groups")
        out = {k: v for k, v in vars(self).items() if k not in skipped}
        return {**out, "groups": [dict(g) for g in self._groups]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        groups = state.pop("groups")
        vars(self).update(state)
        self._groups = [ParamGroup(self, i, values) for i, values in enumerate(groups)]
        self._build()


def _is_groups(params: Any) -> bool:
    return (
        isinstance(params, (list, tuple))
        and len(params) > 0
        and all(isinstance(g, Mapping) and "params" in g for g in params)
    )


def _curve(value: Any) -> Any:
    return value._curve if isinstance(value, Schedule) else value


def _reference_value(value: Any, t: int) -> float:
    """A number, or a schedule's value by the reference."""
    return value.reference(t) if isinstance(value, Schedule) else float(value)
