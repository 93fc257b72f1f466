"""Rules that train one point and mean another: from one to the other, and back without a trace.

What is evaluated takes the place of the parameters; what is trained waits in the slot "trained".
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from .._hyper import RULES, STATES

if TYPE_CHECKING:
    from .optimizer import Optimizer

__all__ = ["require_training", "to_evaluate", "to_train"]


def require_training(opt: Optimizer, what: str) -> None:
    """Refuse gradients while the parameters are not those that are trained."""
    if opt._layout.evaluating:
        raise RuntimeError(
            f"{type(opt).__name__}.{what}: must come after train(), since eval() has put the "
            "averages in place of the parameters, got training == False"
        )


def to_evaluate(opt: Optimizer) -> None:
    """`Optimizer.eval`."""
    if not opt.two_points or opt._layout.evaluating:
        return
    from ..reference.memory import flat, read_parameter, read_state

    row = RULES[opt.rule]
    with opt._alone(), np.errstate(all="ignore"):
        opt._replan(opt._layout._replace(evaluating=True))
        for i, store in enumerate(opt._layout.stores):
            states = {
                state.name: read_state(store, j, not state.unsigned)
                for j, state in enumerate(STATES[opt.rule])
            }
            scalars = opt._plan.scalars[store.group if row.scope == "group" else i]
            k = SimpleNamespace(**dict(zip(row.scalars, scalars, strict=True)))
            point = opt._point(read_parameter(store), SimpleNamespace(**states), k)
            flat(store.p, store.p)[...] = point


def to_train(opt: Optimizer) -> None:
    """`Optimizer.train`."""
    if not opt._layout.evaluating:
        return
    with opt._alone():
        layout = opt._layout
        for store, own in zip(layout.stores, layout.arrays, strict=True):
            store.p[...] = own["trained"]
        opt._replan(layout._replace(evaluating=False))
