"""The averages in place of the parameters, for the length of a `with`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from .options import Whole
from .slots import AVERAGES

if TYPE_CHECKING:
    from .optimizer import Optimizer

__all__ = ["averages", "named"]


def named(who: str, whole: Whole, which: str | None) -> str:
    """The slot of an average, by its name, that of its option, or as the main or only one."""
    on = [name for name, option in AVERAGES.items() if getattr(whole, option) is not None]
    if which is None:
        main = [name for name in on if name != "slow"] or on
        if len(main) == 2:
            raise ValueError(f'{who}: which must be "ema" or "swa", since both are on')
        if not main:
            raise RuntimeError(
                f"{who}: averages must be switched on with ema=, swa= or lookahead= at construction"
            )
        return main[0]
    which = "slow" if isinstance(which, str) and which == "lookahead" else which
    if not isinstance(which, str) or which not in AVERAGES:
        raise ValueError(
            f'{who}: which must be "ema", "swa" or "lookahead" (or "slow"), got {which!r}'
        )
    if which not in on:
        raise RuntimeError(
            f"{who}: the average {which!r} must be switched on with {AVERAGES[which]}= at "
            "construction"
        )
    return which


@contextmanager
def averages(opt: Optimizer, name: str) -> Iterator[None]:
    """`Optimizer.averaged`: show an average, and restore the parameters bit for bit."""
    layout = opt._layout
    with opt._alone(), np.errstate(all="ignore"):
        kept = [store.p.copy() for store in layout.stores]
        for store, own in zip(layout.stores, layout.arrays, strict=True):
            store.p[...] = own[name]
        opt._show(name)
    try:
        yield
    finally:
        for store, p in zip(layout.stores, kept, strict=True):
            store.p[...] = p
        opt._show(None)
