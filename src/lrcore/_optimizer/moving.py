"""Going on with other memory in place of the parameters', their state kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .layout import planned
from .tree import Leaf

if TYPE_CHECKING:
    from .optimizer import Optimizer

__all__ = ["move"]

Array: TypeAlias = NDArray[Any]


def move(opt: Optimizer, arrays: list[Array]) -> None:
    """Let an optimizer go on with these arrays, one for each that it has.

    A parameter that was updated must keep its shape, dtype and memory order; one that was not
    begins anew.

    Raises
    ------
    ValueError
        An array does not fit, or cannot be updated in place. Nothing has been changed.
    """
    who = type(opt).__name__
    with opt._alone():
        layout, progress = opt._layout, opt._progress
        leaves, kept = [], []
        for i, (old, new) in enumerate(zip(layout.leaves, arrays, strict=True)):
            leaf = Leaf(new, old.path, old.label, old.group)
            same = leaf.form == old.form
            if progress.ages[i] and not same:
                raise ValueError(
                    f"{who}: params{layout.labels()[i]} must keep shape, dtype and memory order, "
                    f"since it has had {progress.ages[i]} updates: {_said(old)}, got {_said(leaf)}"
                )
            leaves.append(leaf)
            kept.append(layout.arrays[i] if same and progress.ages[i] else {})
        layout = layout._replace(leaves=leaves, arrays=kept, stats=None)
        opt._publish(*planned(type(opt), layout, progress), progress)


def _said(leaf: Leaf) -> str:
    if not isinstance(leaf.array, np.ndarray):
        return type(leaf.array).__name__
    shape, dtype, order = leaf.form
    return f"{dtype} of shape {shape} in {order} order"
