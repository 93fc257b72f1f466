"""What an optimizer works on, and the plan that follows from it.

A Layout is replaced as a whole, so that nothing is ever half changed: `planned` makes the next one
with the slots it needs and a plan for it, and whoever asked puts both in place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._hyper import CLIP_NORM, POSITIVE, RULES, curve, domain_of, is_matrix, slots
from . import memory
from .matrices import Matrices
from .options import GROUP, NONFINITE, Whole
from .slots import AVERAGES, Slot, check_order, real, slots_of, trace_every
from .tree import Leaf, flatten, labelled, rebuilt

if TYPE_CHECKING:
    from .file import StateFile
    from .masks import Terms
    from .optimizer import Optimizer

__all__ = ["Layout", "Progress", "encode_starts", "planned", "send", "stored"]

Array: TypeAlias = NDArray[Any]

ROW = len(_core.STATS)  # numbers of a tensor in the statistics of a step
SELECT = ("", "cautious", "grams")
ROUNDING = ("nearest", "stochastic")


class Progress(NamedTuple):
    """How far a run is: all that changes with a step besides the arrays."""

    t: int = 0
    #: Updates each parameter has had; those of parameters beyond the list are 0.
    ages: tuple[int, ...] = ()
    #: Calls of accumulate() that wait for a step, and of how many gradients each sum is.
    micro: int = 0
    summed: tuple[int, ...] = ()
    #: The scale of the loss, and the steps made in a row since it changed.
    loss_scale: float = 1.0
    good_steps: int = 0
    #: Of the last step that was made.
    grad_norm: float = 0.0
    #: What the rule keeps for each parameter or group; those beyond the list are at their start.
    scalars: tuple[tuple[float, ...], ...] = ()


class Layout(NamedTuple):
    """Parameters in groups, what is done with them, and their slots.

    ``leaves`` are the arrays as they were found when their group was made: whatever happens to the
    containers they came in, an optimizer goes on with these.
    """

    grouped: bool
    whole: Whole
    file: StateFile | None
    summing: bool
    #: Whether the parameters are where they are evaluated, and "trained" is where they are trained.
    evaluating: bool
    groups: list[dict[str, Any]]
    trees: list[Any]
    leaves: list[Leaf]
    terms: list[Terms]
    arrays: list[memory.Arrays]
    stores: list[memory.Store]
    stats: NDArray[np.float64] | None
    #: Without the option `stats`, measure a few of so many steps; 0: none.
    watched: int = 0

    @classmethod
    def empty(cls, grouped: bool, whole: Whole) -> Layout:
        """A layout without groups."""
        return cls(grouped, whole, None, False, False, [], [], [], [], [], [], None)

    def with_group(self, who: str, group: dict[str, Any]) -> Layout:
        """The layout and one more group, whose arrays are looked at here and never again."""
        index = len(self.groups)
        leaves, tree = flatten(group["params"], index, start=len(self.leaves))
        if not leaves and not self.grouped:
            raise ValueError(f"{who}: params must hold at least one array, got none")
        return self._replace(
            groups=[*self.groups, group],
            leaves=[*self.leaves, *leaves],
            trees=[*self.trees, tree],
            arrays=self.arrays + [{} for _ in leaves],
        )

    def with_values(self, index: int, group: dict[str, Any]) -> Layout:
        """The layout with other values of a group."""
        groups = list(self.groups)
        groups[index] = group
        return self._replace(groups=groups)

    def labels(self) -> list[str]:
        """The parameters as messages name them."""
        return [self.label(i) for i in range(len(self.leaves))]

    def label(self, i: int) -> str:
        """Parameter `i` as messages name it."""
        leaf = self.leaves[i]
        return f"[{leaf.group}]{leaf.label}" if self.grouped else leaf.label

    def paths(self) -> list[str]:
        """The keys of ``opt.state``."""
        return [f"{x.group}.{x.path}" if self.grouped else x.path for x in self.leaves]

    def structure(self, values: list[Any]) -> Any:
        """One value a parameter, in the structure of the parameters."""
        made = [rebuilt(tree, values) for tree in self.trees]
        return made if self.grouped else made[0]

    @property
    def measured(self) -> bool:
        """Whether there are statistics, of all steps or of some."""
        return self.whole.stats or self.watched > 0

    def every(self) -> int:
        """Which chunks a trace keeps."""
        return trace_every(sum(leaf.array.size for leaf in self.leaves))

    def slots(self, kind: type[Optimizer]) -> list[list[Slot]]:
        """The slots that each parameter is to have."""
        every = self.every()
        starts = [[kind._starts(group, x) for x in (False, True)] for group in self.groups]
        known: dict[Any, list[Slot]] = {}  # parameters of one form in one group have the same
        for leaf in self.leaves:
            if (leaf.group, leaf.form) not in known:
                made = self._slots(kind, leaf, starts[leaf.group], every)
                known[leaf.group, leaf.form] = made
        return [known[leaf.group, leaf.form] for leaf in self.leaves]

    def slots_at(self, kind: type[Optimizer], i: int) -> list[Slot]:
        """The slots of parameter `i`."""
        leaf = self.leaves[i]
        starts = [kind._starts(self.groups[leaf.group], x) for x in (False, True)]
        return self._slots(kind, leaf, starts, self.every() if self.measured else 1)

    def _slots(
        self, kind: type[Optimizer], leaf: Leaf, starts: list[dict[str, float]], every: int
    ) -> list[Slot]:
        """The slots of one parameter; `starts` are those of what is no matrix, and of a matrix."""
        values = self.groups[leaf.group]
        return slots_of(
            kind.rule,
            leaf,
            values,
            starts[is_matrix(kind.rule, leaf.array.shape, values)],
            self.whole,
            summing=self.summing,
            evaluating=self.evaluating,
            every=every,
            traced=self.measured,
        )


def check_formats(who: str, layout: Layout, labels: list[str]) -> None:
    """Refuse storage that does not go with a parameter's dtype, by name."""
    for leaf, label in zip(layout.leaves, labels, strict=True):
        master, stored = (layout.groups[leaf.group][k] for k in ("master", "state_dtype"))
        if master is None and stored != "float64":
            continue
        name = leaf.array.dtype.name
        if master is not None and name in ("float32", "float64"):
            must = f"master must be None for params{label}, which is {name} already"
        elif master == "split" and name != "bfloat16":
            must = f'master "split" must go with bfloat16 parameters; params{label} is {name}'
        elif stored == "float64" and name != "float64":
            must = f'state_dtype "float64" must go with float64 parameters; params{label} is {name}'
        else:
            continue
        raise ValueError(f"{who}: {must}")


def planned(kind: type[Optimizer], layout: Layout, progress: Progress) -> tuple[Layout, _core.Plan]:
    """The layout with the slots it needs, and its plan, ready for a step."""
    who, leaves, labels = kind.__name__, layout.leaves, layout.labels()
    memory.check_params(who, leaves, labels)
    check_formats(who, layout, labels)
    for leaf, label in zip(leaves, labels, strict=True):
        check_order(who, kind.rule, leaf.array, label)
    arrays = memory.allocate(leaves, layout.arrays, layout.slots(kind), layout.file or kind._room)
    if any(values["state_dtype"] == "int8" for values in layout.groups):
        for i, own in enumerate(arrays):
            encode_starts(kind, layout, i, own)
    stores = [stored(kind, layout, i, own) for i, own in enumerate(arrays)]
    if layout.grouped:
        trees = [labelled(tree, f"grads[{i}]") for i, tree in enumerate(layout.trees)]
        tree: Any = ("grads", None, tuple(trees))
    else:
        tree = labelled(layout.trees[0], "grads")
    plan = _core.Plan(RULES[kind.rule].number, stores, labels, tree, len(layout.groups))
    if RULES[kind.rule].scope == "matrix":
        plan.set_matrices(Matrices(kind.rule, stores))
    layout = layout._replace(arrays=arrays, stores=stores, stats=_rows(layout, arrays))
    _send_whole(who, plan, layout)
    for i, group in enumerate(layout.groups):
        send(kind, plan, i, group)
    missing = (0,) * len(leaves)
    plan.t, plan.micro, plan.loss_scale = progress.t, progress.micro, progress.loss_scale
    plan.grad_norm = progress.grad_norm
    plan.ages = list((progress.ages + missing)[: len(leaves)])
    plan.summed = list((progress.summed + missing)[: len(leaves)])
    plan.scalars = [*map(list, progress.scalars), *_scalars(kind, layout)[len(progress.scalars) :]]
    return layout, plan


def _scalars(kind: type[Optimizer], layout: Layout) -> list[list[float]]:
    """What the scalars of each parameter or group begin at."""
    scope, groups = RULES[kind.rule].scope, layout.groups
    if not RULES[kind.rule].scalars:
        return []
    owners = groups if scope == "group" else [groups[leaf.group] for leaf in layout.leaves]
    return [kind._first_scalars(values) for values in owners]


def _axis(values: Mapping[str, Any]) -> int | None:
    return None if values["agc"] is None else int(values["agc"].axis)


def stored(kind: type[Optimizer], layout: Layout, i: int, own: memory.Arrays) -> memory.Store:
    """The store of parameter `i` with these slots."""
    leaf = layout.leaves[i]
    axis = _axis(layout.groups[leaf.group])
    return memory.store(leaf, RULES[kind.rule], own, axis, layout.terms[i])


def encode_starts(kind: type[Optimizer], layout: Layout, i: int, own: memory.Arrays) -> None:
    """Let new 8-bit states of parameter `i` begin at their value, where that is not zero."""
    from . import convert

    leaf, have = layout.leaves[i], layout.arrays[i]
    for j, (name, start) in enumerate(kind._starts(layout.groups[leaf.group]).items()):
        if start and name not in have and own[name].dtype == np.uint8:
            x = np.full(leaf.array.size, start, real(leaf.array.dtype))
            convert.encode(kind.rule, name, x, own, leaf, layout.whole.seed, i, j)


def _rows(layout: Layout, arrays: list[memory.Arrays]) -> NDArray[np.float64] | None:
    """Room for the statistics: NaN until a parameter is measured with the trace it has."""
    if not layout.measured:
        return None
    rows = np.full((len(layout.leaves), ROW), np.nan)
    for i, row in enumerate(() if layout.stats is None else layout.stats):
        if layout.arrays[i].get("trace") is arrays[i]["trace"]:
            rows[i] = row
    return rows


def _send_whole(who: str, plan: _core.Plan, layout: Layout) -> None:
    """Tell a plan what there is once."""
    whole = layout.whole
    plan.set_options(NONFINITE.index(whole.nonfinite), whole.zero_grads, whole.seed)
    plan.set_clip_norm(-1, curve(whole.clip_norm), CLIP_NORM, who)
    plan.set_averages(**averages_of(whole))
    if layout.stats is not None:
        plan.set_stats(layout.stats, layout.every())
        plan.measure(0 if whole.stats else layout.watched)


def averages_of(whole: Whole) -> dict[str, Any]:
    """The averages as tuples of their numbers, by the option's name."""
    given = {name: getattr(whole, name) for name in AVERAGES.values()}
    return {k: None if v is None else tuple(v.to_dict().values()) for k, v in given.items()}


def send(
    kind: type[Optimizer],
    plan: _core.Plan,
    index: int,
    values: Mapping[str, Any],
    names: Collection[str] | None = None,
) -> None:
    """Tell a plan what a group is updated with: all of it, or what has these names."""
    who, columns = kind.__name__, RULES[kind.rule].hypers
    names = values if names is None else names
    for name in kind._hypers(names):
        for slot, v, label in slots(name, values[name], columns):
            domain = domain_of(kind.rule, name)
            plan.set_value(index, slot, curve(v, domain), domain, who, label)
    if "clip_value" in names:
        plan.set_clip_value(index, curve(values["clip_value"]), POSITIVE, who)
    if "clip_norm" in names:
        plan.set_clip_norm(index, curve(values["clip_norm"]), CLIP_NORM, who)
    if not GROUP.keys().isdisjoint(names):
        _send_form(plan, index, values)


def _send_form(plan: _core.Plan, index: int, values: Mapping[str, Any]) -> None:
    """Tell a plan what a group's step is beyond its numbers."""
    agc = values["agc"]
    plan.set_group(
        index,
        values["maximize"],
        0.0 if agc is None else agc.clip,
        0.0 if agc is None else agc.eps,
        SELECT.index(selected(values)),
        ROUNDING.index(values["rounding"]),
    )


def selected(values: Mapping[str, Any]) -> str:
    """Which parts of a step a group keeps: all, the cautious choice, or that of Grams."""
    return next((name for name in SELECT[1:] if values[name]), SELECT[0])
