"""state_dict and load_state_dict: a run to plain data and back, checked before it is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

from .._hyper import COUNT, POSITIVE, RULES, check_number, check_value
from .._schedule import Schedule
from . import saved
from .layout import Layout, Progress, planned
from .masks import Terms
from .options import GROUP, SAVED, Whole, is_schedulable
from .slots import AVERAGES

if TYPE_CHECKING:
    from .optimizer import Optimizer

__all__ = ["UNSAVED", "groups_of", "load", "looked_at", "plain", "rich", "save"]

Array: TypeAlias = NDArray[Any]
#: Schedules that are kept, and where they get their state from.
Adopted: TypeAlias = "list[tuple[Schedule, Schedule]]"

#: In place of the entry of a parameter that begins anew.
FRESH: Mapping[str, Any] = {"t": 0}
UNSAVED = "not saved"  # a Lambda: code, which plain data cannot hold
#: What there is beside the options.
KEYS = {"rule", "t", "micro", "scale", "good_steps", "param_groups"}


def save(opt: Optimizer, *, arrays: bool = True) -> dict[str, Any]:
    """`Optimizer.state_dict`; without the arrays where somebody else saves those."""
    layout, progress, groups = opt._layout, opt._progress, []
    row = RULES[opt.rule]
    scalars = [dict(zip(row.scalars, values, strict=True)) for values in progress.scalars]
    for i, group in enumerate(layout.groups):
        out = {name: plain(value) for name, value in group.items() if name != "params"}
        if row.scope == "group":
            out["estimates"] = scalars[i]
        out["params"] = {
            leaf.path: _entry(layout, progress, k, scalars[k] if row.of_tensors else {}, arrays)
            for k, leaf in enumerate(layout.leaves)
            if leaf.group == i
        }
        groups.append(out)
    return {
        "rule": opt.rule,
        **({"training": opt.training} if opt.two_points else {}),
        "t": progress.t,
        **{name: plain(getattr(layout.whole, name)) for name in SAVED},
        "scale": progress.loss_scale,
        "good_steps": progress.good_steps,
        "micro": progress.micro,
        "param_groups": groups,
    }


def _entry(
    layout: Layout, progress: Progress, k: int, estimates: dict[str, float], arrays: bool
) -> dict[str, Any]:
    """What is saved of one parameter; what is as in most of them is left out."""
    leaf, terms, own = layout.leaves[k], layout.terms[k], layout.arrays[k] if arrays else {}
    out: dict[str, Any] = {"t": progress.ages[k]}
    if estimates:
        out["estimates"] = estimates
    if not terms.decays:
        out["decays"] = False
    if terms.lr_scale != 1:
        out["lr_scale"] = terms.lr_scale
    if saved.order(leaf) == "F":
        out["order"] = "F"
    if progress.summed[k]:
        out["summed"] = progress.summed[k]
    left_out = ("work",) if progress.summed[k] else ("work", "sum")
    return {**out, **{k: a.copy() for k, a in own.items() if k not in left_out}}


def plain(value: Any) -> Any:
    """A value of a group as plain data."""
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if hasattr(value, "to_dict"):  # a schedule, or what an option takes
        try:
            return value.to_dict()
        except TypeError:
            states = [s._state() for s in value._stateful()]
            return {"schedule": UNSAVED} | ({"state": states} if states else {})
    return value


def rich(value: Any, present: Any, where: str, adopted: Adopted) -> Any:
    """Undo `plain`; what could not be saved must be there already.

    A schedule that is there and differs by its state alone is kept, since others may hold it (a
    Plateau is told a metric by its owner); it is to take over the state that was `adopted`.
    """
    if isinstance(value, (list, tuple)):
        here = present if isinstance(present, tuple) else (None,) * len(value)
        return tuple(rich(v, p, where, adopted) for v, p in zip(value, here, strict=False))
    if not isinstance(value, Mapping):
        return value
    if value.get("schedule") == UNSAVED:
        if not isinstance(present, Schedule):
            raise ValueError(
                f"{where} was a schedule made of a Python function, which no state dict can hold; "
                "make the optimizer with that schedule first"
            )
        adopted += _stated(present, value.get("state", []), where)
        return present
    try:
        new = Schedule.from_dict(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None
    if isinstance(present, Schedule) and present._fixed == new._fixed:
        adopted += zip(present._stateful(), new._stateful(), strict=True)
        return present
    return new


def _stated(present: Schedule, states: Any, where: str) -> Adopted:
    """The schedules inside that have a state, each with what it takes that state from."""
    here = list(present._stateful())
    if not isinstance(states, (list, tuple)) or len(states) != len(here):
        raise ValueError(f"{where}['state'] must be a list of {len(here)}, got {states!r}")
    try:
        return [
            (s, type(s)(**{**s._arguments, **given})) for s, given in zip(here, states, strict=True)
        ]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}['state']: {error}") from None


def load(opt: Optimizer, state: Mapping[str, Any], convert: bool, *, partial: bool = False) -> None:
    """`Optimizer.load_state_dict`: first look at everything, then take it over.

    Where it may be `partial`, a parameter begins anew that has None in place of an entry.
    """
    who = f"{type(opt).__name__}.load_state_dict"
    try:
        adopted: Adopted = []
        layout, progress, entries = looked_at(opt, who, state, convert, partial, adopted)
    except TypeError as error:
        raise ValueError(str(error)) from None
    layout, plan = planned(type(opt), layout._replace(stats=None), progress)
    for i, entry in enumerate(entries):
        if entry is not FRESH:
            saved.write(opt.rule, layout, i, entry)
    for present, new in adopted:
        present._put(**new._state())
    opt._publish(layout, plan, progress)


def looked_at(
    opt: Optimizer,
    who: str,
    state: Mapping[str, Any],
    convert: bool,
    partial: bool,
    adopted: Adopted,
) -> tuple[Layout, Progress, list[Mapping[str, Any]]]:
    """What a state makes of an optimizer, or an error."""
    saved.require(
        who, "state", state, KEYS | set(SAVED) | ({"training"} if opt.two_points else set())
    )
    if not isinstance(state["rule"], str) or state["rule"] != opt.rule:
        raise ValueError(f"{who}: rule must be {opt.rule!r}, got {state['rule']!r}")
    t, micro = (_count(who, name, state[name]) for name in ("t", "micro"))
    given, layout = state["param_groups"], opt._layout
    groups = groups_of(opt, who, given, adopted)
    for i, new in enumerate(given):
        paths = {leaf.path for leaf in layout.leaves if leaf.group == i}
        saved.require(who, f"param_groups[{i}]['params']", new["params"], paths)
    whole = _whole(who, layout.whole, state, convert, adopted)
    summing = layout.summing or micro > 0
    training = check_value(who, "training", state.get("training", True), None)
    layout = layout._replace(groups=groups, whole=whole, summing=summing, evaluating=not training)
    entries = _entries(opt, who, layout, given, convert, partial)
    fresh = [{} if e is FRESH else own for (_, e), own in zip(entries, layout.arrays, strict=True)]
    layout = layout._replace(arrays=fresh)
    scalars = _scalars(opt, who, layout, given, entries)
    progress = Progress(
        t,
        tuple(_count(who, f"{place}['t']", entry["t"]) for place, entry in entries),
        micro,
        tuple(
            _count(who, f"{place}['summed']", e["summed"]) if "summed" in e else 0
            for place, e in entries
        ),
        whole.check_scale(who, "scale", state["scale"]),
        _count(who, "good_steps", state["good_steps"]),
        scalars=scalars,
    )
    if any(n > micro for n in progress.summed):
        raise ValueError(
            f"{who}: micro must be at least what was summed, {max(progress.summed)}, got {micro}"
        )
    terms = [
        old if entry is FRESH else _terms(who, place, entry)
        for old, (place, entry) in zip(layout.terms, entries, strict=True)
    ]
    return layout._replace(terms=terms), progress, [entry for _, entry in entries]


def groups_of(opt: Optimizer, who: str, given: Any, adopted: Adopted) -> list[dict[str, Any]]:
    """The values of all groups as a state dict has them, inside their domains."""
    groups = opt._layout.groups
    if not isinstance(given, (list, tuple)) or len(given) != len(groups):
        got = len(given) if isinstance(given, (list, tuple)) else type(given).__name__
        raise ValueError(f"{who}: param_groups must be a list of {len(groups)}, got {got}")
    return [
        _group(opt, f"{who}: param_groups[{i}]", group, new, adopted)
        for i, (group, new) in enumerate(zip(groups, given, strict=True))
    ]


def _group(
    opt: Optimizer, where: str, group: Mapping[str, Any], new: Any, adopted: Adopted
) -> dict[str, Any]:
    """The saved hyper-parameters of a group, inside their domains; storage is as it is here."""
    who, _, place = where.partition(": ")
    estimated = {"estimates"} if RULES[opt.rule].scope == "group" else set()
    saved.require(who, place, new, set(group) | estimated)
    values = {
        k: rich(v, group[k], f"{where}[{k!r}]", adopted) if is_schedulable(k) else v
        for k, v in new.items()
        if k not in ("params", "estimates")
    }
    fixed = {name: group[name] for name, option in GROUP.items() if option.fixed}
    return opt._checked({**values, **fixed, "params": group["params"]}, where)


def _whole(
    who: str, here: Whole, state: Mapping[str, Any], convert: bool, adopted: Adopted
) -> Whole:
    """The saved options that there are once; which averages are kept is as it is here."""
    values = {name: state[name] for name in SAVED}
    values["clip_norm"] = rich(values["clip_norm"], here.clip_norm, f"{who}: clip_norm", adopted)
    whole = Whole.of(who, {**vars(here), **values})
    for name in AVERAGES.values():
        ours, theirs = (getattr(w, name) is not None for w in (here, whole))
        if ours != theirs and not convert:
            on = ("off", "on")
            raise ValueError(
                f"{who}: {name} must be {on[theirs]} here as it is in the state, got {on[ours]}; "
                "convert=True goes on as it is here"
            )
        if ours != theirs:
            whole = whole.but(**{name: getattr(here, name)})
    return whole


def _entries(
    opt: Optimizer, who: str, layout: Layout, given: Any, convert: bool, partial: bool
) -> list[tuple[str, Mapping[str, Any]]]:
    """What is saved of each parameter, with its place, found to fit."""
    out = []
    for leaf, slots in zip(layout.leaves, layout.slots(type(opt)), strict=True):
        place = f"param_groups[{leaf.group}]['params'][{leaf.path!r}]"
        entry = given[leaf.group]["params"][leaf.path]
        if partial and entry is None:
            out.append((place, FRESH))
            continue
        look = saved.check_convertible if convert else saved.check_same
        look(who, place, entry, opt.rule, leaf, slots)
        out.append((place, entry))
    return out


def _scalars(
    opt: Optimizer,
    who: str,
    layout: Layout,
    groups: Any,
    entries: list[tuple[str, Mapping[str, Any]]],
) -> tuple[tuple[float, ...], ...]:
    """What the rule kept for each parameter or group: numbers by name."""
    row = RULES[opt.rule]
    if not row.scalars:
        return ()
    owners = entries
    if row.scope == "group":
        owners = [(f"param_groups[{i}]", group) for i, group in enumerate(groups)]
    out = []
    for i, (place, owner) in enumerate(owners):
        if owner is FRESH:
            out.append(tuple(opt._first_scalars(layout.groups[layout.leaves[i].group])))
            continue
        found: Any = owner.get("estimates")
        saved.require(who, f"{place}['estimates']", found, set(row.scalars))
        where = f"{place}['estimates']"
        numbers = [check_number(who, f"{where}[{x!r}]", found[x]) for x in row.scalars]
        out.append(tuple(numbers))
    return tuple(out)


def _terms(who: str, place: str, entry: Mapping[str, Any]) -> Terms:
    if "decays" not in entry and "lr_scale" not in entry:
        return Terms()
    return Terms(
        check_value(who, f"{place}['decays']", entry.get("decays", True), None),
        check_value(who, f"{place}['lr_scale']", entry.get("lr_scale", 1.0), POSITIVE),
    )


def _count(who: str, where: str, value: Any) -> int:
    try:
        return int(COUNT.check(who, where, value))
    except (TypeError, ValueError):
        raise ValueError(
            f"{who}: {where} must be an integer in [0, 2**53], got {value!r}"
        ) from None
