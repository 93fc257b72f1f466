"""The matrix part of the rules whose row says MATRIX, one module a rule: NumPy's products.

A step calls twice for every matrix that has a gradient. ``enter(x)`` finds the gradient in ``x.d``
and may change nothing else: all that can fail, by want of memory or convergence, is done here, and
what it finds out is kept in ``x.found``. Then the rule's ``prepare`` makes a direction of ``x.d``,
and ``leave(x)`` makes of that what the step is ``lr`` times of, and takes over what was found. Both
backends call these functions, so that they agree; but the bits are those of NumPy's BLAS.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["module_of"]


def module_of(rule: str) -> ModuleType:
    """The module of a rule."""
    return import_module(f"{__name__}.{rule}")
