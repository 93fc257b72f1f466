"""Optimizer: parameters in groups, their hyper-parameters and state, and the step.

Knows no rule and no framework. What differs between rules comes from the class (names, defaults,
domains) and from the row in ``rules.def`` (state arrays, order of the hyper-parameters).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypedDict

from numpy.typing import NDArray

from . import _core, _memory
from ._hyper import DOMAINS, POSITIVE, RULES, Number, check, slots
from ._schedule import Schedule
from ._tree import Leaf, flatten, labelled

if TYPE_CHECKING:
    from typing_extensions import Self

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

    def __init__(self, owner: Optimizer, index: int) -> None:
        self._owner = owner
        self._index = index

    @property
    def _values(self) -> dict[str, Any]:
        return self._owner._layout.groups[self._index]

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._owner._assign(self._index, {name: value})

    def update(self, *args: Any, **changes: Any) -> None:
        """Assign several at once: all of them, or none where one is refused."""
        self._owner._assign(self._index, dict(*args, **changes))

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"param_groups[{self._index}]: {name!r} cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr({k: v for k, v in self._values.items() if k != "params"})


@dataclass(frozen=True)
class _Layout:
    """What an optimizer works on; replaced as a whole, so that nothing is ever half changed.

    ``leaves`` are the arrays as they were found when their group was made: whatever happens to the
    containers they came in, an optimizer goes on with these.
    """

    groups: list[dict[str, Any]]
    leaves: list[Leaf]
    trees: list[Any]
    states: list[list[Array | None]]
    grouped: bool
    clip_norm: Any
    nonfinite: str


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

    rule: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        rule = cls.__name__.lower()
        if rule in RULES:
            cls.rule = rule
        elif not cls.rule:
            raise TypeError(f"csrc/rules.def has no row {rule} for the class {cls.__name__}")

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
        **unknown: Any,
    ) -> None:
        who = type(self).__name__
        self._defaults = {**hypers, "maximize": maximize, "clip_value": clip_value}
        if not self.rule:
            raise TypeError("Optimizer is what all rules share; make one of lrcore.optimizers")
        for name in unknown:
            known = [*self._defaults, "clip_norm", "nonfinite", "backend"]
            raise TypeError(f"{who}: there is no option {name!r}; there are {sorted(known)}")
        if not isinstance(backend, str) or backend not in ("c", "numpy"):
            raise ValueError(f'{who}: backend must be "c" or "numpy", got {backend!r}')
        self._backend = backend
        options = self._checked_options(clip_norm, nonfinite)
        grouped = _is_groups(who, params)
        groups = [
            self._new_group(g, i) for i, g in enumerate(params if grouped else [{"params": params}])
        ]
        layout = _Layout([], [], [], [], grouped, *options)
        for group in groups:
            layout = self._with_group(layout, group)
        self._publish(*self._planned(layout, 0, []))

    # ------------------------------------------------------------------------- groups

    def _new_group(self, given: Mapping[str, Any], index: int) -> dict[str, Any]:
        unknown = sorted(set(given) - set(self._defaults) - {"params"}, key=repr)
        if unknown:
            raise TypeError(
                f"{type(self).__name__}: params[{index}] has the unknown option {unknown[0]!r}; "
                f"there are {sorted(self._defaults)}"
            )
        return self._checked({**self._defaults, **given})

    @classmethod
    def _checked(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a group by name, each inside its domain."""
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
        if not isinstance(nonfinite, str) or nonfinite not in NONFINITE:
            raise ValueError(f"{who}: nonfinite must be one of {NONFINITE}, got {nonfinite!r}")
        if clip_norm is not None:
            clip_norm = check(who, "clip_norm", "clip_norm", clip_norm)
        return clip_norm, nonfinite

    @classmethod
    def _check_together(cls, values: Mapping[str, Any]) -> None:
        """Refuse values that are fine one by one but not together; a rule may say which."""

    def _assign(self, index: int, changes: Mapping[str, Any]) -> None:
        for name in changes:
            if name not in self._defaults:
                raise KeyError(
                    f"param_groups[{index}]: {name!r} cannot be set; there are "
                    f"{sorted(self._defaults)}"
                )
        with self._plan:
            old = self._layout.groups[index]
            new = self._checked({**old, **changes})
            switched = [a is None for a in self._starts(old)] != [
                a is None for a in self._starts(new)
            ]
            if switched:
                groups = list(self._layout.groups)
                groups[index] = new
                layout = replace(self._layout, groups=groups)
                self._publish(*self._planned(layout, self._plan.t, self._plan.ages))
            else:
                self._send(self._plan, index, new)
                self._layout.groups[index] = new

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
        with self._plan:
            new = self._new_group(group, len(self._layout.groups))
            layout = self._with_group(replace(self._layout, grouped=True), new)
            self._publish(*self._planned(layout, self._plan.t, self._plan.ages))

    # --------------------------------------------------------------------------- plan

    def _with_group(self, layout: _Layout, group: dict[str, Any]) -> _Layout:
        """The layout and one more group, whose arrays are looked at here and never again."""
        index = len(layout.groups)
        leaves, tree = flatten(group["params"], index, start=len(layout.leaves))
        if not leaves:
            label = f"[{index}]" if layout.grouped else ""
            raise ValueError(
                f"{type(self).__name__}: params{label} must hold at least one array, got none"
            )
        no_state: list[Array | None] = [None] * len(self._state_names)
        return replace(
            layout,
            groups=[*layout.groups, group],
            leaves=[*layout.leaves, *leaves],
            trees=[*layout.trees, tree],
            states=layout.states + [no_state.copy() for _ in leaves],
        )

    def _planned(self, layout: _Layout, t: int, ages: list[int]) -> tuple[_Layout, _core.Plan]:
        """The layout with the state it needs, and its plan, ready for a step."""
        who, leaves = type(self).__name__, layout.leaves
        labels = [f"[{x.group}]{x.label}" if layout.grouped else x.label for x in leaves]
        _memory.check_params(who, leaves, labels)
        starts = [self._starts(layout.groups[leaf.group]) for leaf in leaves]
        states = _memory.allocate(leaves, layout.states, starts)
        if layout.grouped:
            trees = [labelled(tree, f"grads[{i}]") for i, tree in enumerate(layout.trees)]
            tree: Any = ("grads", None, tuple(trees))
        else:
            tree = labelled(layout.trees[0], "grads")
        plan = _core.Plan(
            RULES[self.rule][0],
            [leaf.array for leaf in leaves],
            [leaf.group for leaf in leaves],
            states,
            labels,
            tree,
            len(layout.groups),
        )
        plan.t = t
        plan.ages = ages + [0] * (len(leaves) - len(ages))
        plan.set_nonfinite(NONFINITE.index(layout.nonfinite))
        plan.set_clip_norm(_curve(layout.clip_norm), POSITIVE, who)
        for i, group in enumerate(layout.groups):
            self._send(plan, i, group)
        return replace(layout, states=states), plan

    def _publish(self, layout: _Layout, plan: _core.Plan) -> None:
        self._layout = layout
        self._plan = plan

    def _send(self, plan: _core.Plan, index: int, group: Mapping[str, Any]) -> None:
        """Tell a plan what a group is updated with."""
        who, columns = type(self).__name__, RULES[self.rule][2]
        for name, value in group.items():
            if name == "maximize":
                plan.set_maximize(index, value)
            elif name == "clip_value":
                plan.set_clip_value(index, _curve(value), POSITIVE, who)
            elif name != "params":
                for slot, v, label in slots(name, value, columns):
                    plan.set_value(index, slot, _curve(v), DOMAINS[name], who, label)

    @property
    def _state_names(self) -> tuple[str, ...]:
        return RULES[self.rule][1]

    @classmethod
    def _starts(cls, values: Mapping[str, Any]) -> list[float | None]:
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

    def _resume(
        self,
        layout: _Layout,
        t: int,
        ages: list[int],
        arrays: list[dict[str, Array]],
    ) -> None:
        """Take over a state that has been found to fit."""
        layout, plan = self._planned(layout, t, ages)
        for state, entry in zip(layout.states, arrays, strict=True):
            for target, name in zip(state, self._state_names, strict=True):
                if target is not None:
                    target[...] = entry[name]
        self._publish(layout, plan)

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
        layout, arrays = self._layout, plan.collect(grads)
        groups = [self._numbers(i, group, columns) for i, group in enumerate(layout.groups)]
        clip_norm = self._number("clip_norm", "clip_norm", layout.clip_norm or 0.0)
        tensors = []
        for leaf, g, state, age in zip(
            layout.leaves, arrays, layout.states, plan.ages, strict=True
        ):
            s = SimpleNamespace(**dict(zip(names, state, strict=True)))
            h, maximize, clip = groups[leaf.group]
            tensors.append(reference.Tensor(leaf.array, g, s, age, h, maximize, clip))
        with _core.FloatEnvironment():
            norm, bad = reference.step(self.rule, decay, tensors, clip_norm, layout.nonfinite)
        if bad >= 0:
            if layout.nonfinite == "raise":
                plan.raise_nonfinite(bad)
            return False
        plan.advance(norm)
        return True

    def _numbers(
        self, index: int, group: Mapping[str, Any], columns: tuple[str, ...]
    ) -> tuple[SimpleNamespace, bool, float]:
        """The hyper-parameters of a group for this update, schedules evaluated by the reference."""
        h = SimpleNamespace()
        for name, value in group.items():
            if name not in ("params", "maximize", "clip_value"):
                for slot, v, label in slots(name, value, columns):
                    setattr(h, columns[slot], self._number(name, label, v))
        clip_value = self._number("clip_value", "clip_value", group["clip_value"] or 0.0)
        return h, group["maximize"], clip_value

    def _number(self, name: str, label: str, value: Any) -> float:
        if not isinstance(value, Schedule):
            return float(value)
        number = value.reference(self.t)
        return float(check(f"{type(self).__name__} at update {self.t}", name, label, number))

    @property
    def t(self) -> int:
        """Updates made."""
        return int(self._plan.t)

    @property
    def lr(self) -> float:
        """The learning rate that the next update will use (of the first group)."""
        value = self._layout.groups[0]["lr"]
        return float(value(self.t)) if isinstance(value, Schedule) else float(value)

    @property
    def grad_norm(self) -> float:
        """2-norm of the gradients of the last step, before clipping; 0.0 without ``clip_norm``."""
        return float(self._plan.grad_norm)

    @property
    def param_groups(self) -> tuple[ParamGroup, ...]:
        """The groups, live: assigning to ``param_groups[0]["lr"]`` checks and takes effect."""
        return tuple(ParamGroup(self, i) for i in range(len(self._layout.groups)))

    @property
    def state(self) -> dict[str, dict[str, Array]]:
        """The state arrays of each parameter, live, by the parameter's path and the array's name.

        With groups, the path starts with the number of the group.
        """
        layout = self._layout
        return {
            (f"{leaf.group}.{leaf.path}" if layout.grouped else leaf.path): {
                name: a for name, a in zip(self._state_names, arrays, strict=True) if a is not None
            }
            for leaf, arrays in zip(layout.leaves, layout.states, strict=True)
        }

    def __repr__(self) -> str:
        groups = ", ".join(repr(g) for g in self.param_groups)
        count = len(self._layout.leaves)
        arrays = f"{count} array{'s' * (count != 1)}"
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
        with self._plan:
            kept = {k: v for k, v in vars(self).items() if k != "_plan"}
            return {**kept, "t": self._plan.t, "ages": self._plan.ages}

    def __setstate__(self, state: dict[str, Any]) -> None:
        t, ages = state.pop("t"), state.pop("ages")
        vars(self).update(state)
        self._publish(*self._planned(self._layout, t, ages))

    def __copy__(self) -> Self:
        raise TypeError(
            f"{type(self).__name__}: a shallow copy would share parameters and state, but count by "
            "itself; use copy.deepcopy"
        )


def _is_groups(who: str, params: Any) -> bool:
    if not isinstance(params, (list, tuple)) or not params:
        return False
    named = [isinstance(g, Mapping) and "params" in g for g in params]
    if any(named) and not all(named):
        raise ValueError(
            f'{who}: params[{named.index(False)}] must be a dict with the key "params" like the '
            f"other groups, got {params[named.index(False)]!r:.60}"
        )
    return all(named)


def _curve(value: Any) -> Any:
    return value._curve if isinstance(value, Schedule) else value
