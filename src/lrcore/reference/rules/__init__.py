"""The update rules, one module a row of ``rules.def``.

``update(p, g, s, h, t, k)`` updates the parameter ``p`` and the state ``s`` in place from the
gradient ``g``, the hyper-parameters ``h``, the number of the update ``t`` = 1, 2, ... and the
scalars ``k``; a state that a hyper-parameter switches off is None. Constants are Python floats,
rounded once to the dtype of ``p``; every operation on arrays is one correctly rounded IEEE
operation, in the order written.

A rule that keeps scalars has ``estimate(h, seen, k)``, which sets them once a step, for each
tensor or each group as the row says. What it needs to know of the arrays first is
``measure(p, g, s, h, t, k)``: a list of pairs, whose products are added up in float64.

A rule that keeps a state of matrices as two factors has ``follow(v, mean, h, t)``, which moves one
towards mean squares, and ``share(v, mean, h)``, what one has of the product that takes the state's
place in ``measure`` and ``update``, which tell by the factors that it has moved already; ``mean``
is that of the factor of rows, None: it is the one of columns.

A rule with matrices has ``prepare(d, s, h, t)``, which makes a direction of a gradient in place;
its ``update`` is for what is no matrix.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["rule"]


def rule(name: str) -> ModuleType:
    """The module of a rule."""
    return import_module(f"{__name__}.{name}")
