"""Going on with other memory: of the parameters, or of what is kept beside one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._hyper import RULES
from . import memory, saved
from .layout import encode_starts, planned, stored
from .tree import Leaf

if TYPE_CHECKING:
    from .optimizer import Optimizer

__all__ = ["Source", "move", "renew"]

Array: TypeAlias = NDArray[Any]


class Source(NamedTuple):
    """What an array was before."""

    #: The number of a parameter; -1: another one, which begins anew.
    number: int
    #: The axes of that parameter in the order of the array's.
    axes: tuple[int, ...]


def move(opt: Optimizer, arrays: Sequence[Array], sources: Sequence[Source]) -> None:
    """Let an optimizer go on with these arrays, one for each that it has.

    A parameter that was updated must keep its shape and dtype. Its state is laid out anew where it
    has another memory order, unless it is in 8 bits or of rows, which go by that order.

    Raises
    ------
    ValueError
        An array does not fit, or cannot be updated in place. Nothing has been changed.
    """
    who = type(opt).__name__
    with opt._alone():
        layout, progress = opt._layout, opt._progress
        leaves, kept, ages, scalars, turned = [], [], [], [], {}
        of_tensors = bool(progress.scalars) and RULES[opt.rule].of_tensors
        for i, (place, new, source) in enumerate(zip(layout.leaves, arrays, sources, strict=True)):
            leaf, k = Leaf(new, place.path, place.label, place.group), source.number
            age = progress.ages[k] if k >= 0 else 0
            if age and not _stays(layout.leaves[k], leaf, source.axes):
                if not _turns(layout.leaves[k], leaf, source.axes, layout.arrays[k]):
                    raise ValueError(
                        f"{who}: params{layout.labels()[i]} must keep shape, dtype and memory "
                        f"order, since it has had {age} updates: {_said(layout.leaves[k])}, got "
                        f"{_said(leaf)}"
                    )
                turned[i] = source
            leaves.append(leaf)
            ages.append(age)
            kept.append(layout.arrays[k] if age and i not in turned else {})
            if of_tensors:
                first = opt._first_scalars(layout.groups[leaf.group])
                scalars.append(progress.scalars[k] if age else tuple(first))
        before = layout.arrays
        layout = layout._replace(leaves=leaves, arrays=kept, stats=None)
        progress = progress._replace(
            ages=tuple(ages), scalars=tuple(scalars) if of_tensors else progress.scalars
        )
        layout, plan = planned(type(opt), layout, progress)
        for i, source in turned.items():
            for name, array in layout.arrays[i].items():
                if name not in saved.PASSING:
                    array[...] = before[source.number][name].transpose(source.axes)
        opt._publish(layout, plan, progress)


def _stays(old: Leaf, new: Leaf, axes: tuple[int, ...]) -> bool:
    """Whether a parameter has its shape, dtype and memory order."""
    return new.form == old.form and axes == tuple(range(len(axes)))


def _turns(old: Leaf, new: Leaf, axes: tuple[int, ...], arrays: Mapping[str, Array]) -> bool:
    """Whether a parameter has another memory order alone, and so has all that is beside it."""
    if not new.form or not old.form:
        return False
    shape = old.form[0]
    return (
        new.form[:2] == (tuple(shape[d] for d in axes), old.form[1])
        and not any(name.endswith("_scale") for name in arrays)
        and all(a.shape == shape for name, a in arrays.items() if name not in saved.PASSING)
    )


def renew(opt: Optimizer, i: int, entry: Mapping[str, Any] | None = None) -> None:
    """Let parameter `i` begin anew, or go on with what a state dict has of it.

    There have been no fewer updates then than of any parameter. The slots get other memory, so that
    whoever looks at the old goes on seeing what was there.
    `entry` is one that `saved.check_convertible` has let through.
    """
    with opt._alone():
        layout, kind = opt._layout, type(opt)
        leaf, age = layout.leaves[i], int(entry["t"]) if entry else 0
        own = memory.allocate([leaf], [{}], [layout.slots_at(kind, i)], layout.file or kind._room)[
            0
        ]
        layout.arrays[i] = {}
        encode_starts(kind, layout, i, own)
        layout.arrays[i] = own
        store = layout.stores[i] = stored(kind, layout, i, own)
        if entry:
            saved.write(opt.rule, layout, i, entry)
        if layout.stats is not None:
            layout.stats[i] = np.nan
        row, scalars = RULES[opt.rule], []
        if row.of_tensors:
            first = opt._first_scalars(layout.groups[leaf.group])
            found = entry.get("estimates", {}) if entry else {}
            scalars = [float(found.get(n, x)) for n, x in zip(row.scalars, first, strict=True)]
        opt._plan.rebind(i, store, age, scalars)
        opt._plan.t = max(opt.t, age)


def _said(leaf: Leaf) -> str:
    if not isinstance(leaf.array, np.ndarray):
        return type(leaf.array).__name__
    shape, dtype, order = leaf.form
    return f"{dtype} of shape {shape} in {order} order"
