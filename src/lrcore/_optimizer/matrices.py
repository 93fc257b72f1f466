"""Those parameters that a rule takes for matrices, as their module sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._hyper import RULES
from .._matrices import module_of
from .._matrices._forms import Matrix, Names, Room, as_matrix, put
from .memory import Store

__all__ = ["Matrices"]


class Matrices:
    """The products of a step, made with NumPy: once with the gradients, once with directions.

    Each call is given the number, the hyper-parameters and the update of every matrix that has a
    gradient, and works on what lies in its store.
    """

    def __init__(self, rule: str, stores: Sequence[Store]) -> None:
        self._columns, self._module = RULES[rule].hypers, module_of(rule)
        self._states, self._stores, self._room = RULES[rule].states, stores, Room()
        self._open: list[Matrix] = []

    def enter(self, todo: Sequence[tuple[int, Sequence[float], int]]) -> None:
        """Look at the gradients: where this raises, nothing but the work arrays has changed."""
        self._open = []
        with np.errstate(all="ignore"):
            for i, values, t in todo:
                store = self._stores[i]
                assert store.work is not None
                states = Names(**dict(zip(self._states, store.states, strict=True)))
                x = Matrix(as_matrix(store.work), store.matrices, states, self._room)
                x.h, x.t = Names(**dict(zip(self._columns, values, strict=True))), t
                self._module.enter(x)
                put(store.work, x.d)
                self._open.append(x)

    def leave(self, todo: Sequence[tuple[int, Sequence[float], int]]) -> None:
        """Finish the directions and take over what was found out."""
        opened, self._open = self._open, []
        with np.errstate(all="ignore"):
            for (i, _, _), x in zip(todo, opened, strict=True):
                store = self._stores[i]
                assert store.work is not None
                x.d = as_matrix(store.work)
                self._module.leave(x)
                put(store.work, x.d)
