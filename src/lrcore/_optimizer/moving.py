"""Going on with other memory: of the parameters, or of what is kept beside one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._hyper import RULES
from . import memory, saved
from .layout import encode_starts, planned, stored
from .tree import Leaf

if TYPE_CHECKING:
    from .optimizer import Optimizer

__all__ = ["move", "renew"]

Array: TypeAlias = NDArray[Any]


def move(opt: Optimizer, arrays: Sequence[Array], sources: Sequence[int]) -> None:
    """Let an optimizer go on with these arrays, one for each that it has.

    ``sources[i]`` is the number of the parameter that array `i` was, or -1 for another one, which
    begins anew. A parameter that was updated must keep its shape, dtype and memory order.

    Raises
    ------
    ValueError
        An array does not fit, or cannot be updated in place. Nothing has been changed.
    """
    who = type(opt).__name__
    with opt._alone():
        layout, progress = opt._layout, opt._progress
        leaves, kept, ages, scalars = [], [], [], []
        of_tensors = bool(progress.scalars) and RULES[opt.rule].of_tensors
        for i, (place, new, k) in enumerate(zip(layout.leaves, arrays, sources, strict=True)):
            leaf = Leaf(new, place.path, place.label, place.group)
            age = progress.ages[k] if k >= 0 else 0
            if age and leaf.form != layout.leaves[k].form:
                raise ValueError(
                    f"{who}: params{layout.labels()[i]} must keep shape, dtype and memory order, "
                    f"since it has had {age} updates: {_said(layout.leaves[k])}, got {_said(leaf)}"
                )
            leaves.append(leaf)
            ages.append(age)
            kept.append(layout.arrays[k] if age else {})
            if of_tensors:
                first = opt._first_scalars(layout.groups[leaf.group])
                scalars.append(progress.scalars[k] if age else tuple(first))
        layout = layout._replace(leaves=leaves, arrays=kept, stats=None)
        progress = progress._replace(
            ages=tuple(ages), scalars=tuple(scalars) if of_tensors else progress.scalars
        )
        opt._publish(*planned(type(opt), layout, progress), progress)


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
