"""What callbacks need of a model that is trained: its losses, its rate, and a way back."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ._optimizer import Optimizer

__all__ = ["BatchLoss", "Kept", "inner", "rate_of"]


def inner(optimizer: Any) -> Any:
    """The optimizer inside a ``LossScaleOptimizer``, or the one that is given."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def number(x: Any) -> float:
    """A variable, a tensor or a number as a float."""
    return float(keras.ops.convert_to_numpy(x))


def rate_of(optimizer: Any) -> float:
    """The rate of the next step."""
    host = getattr(inner(optimizer), "_host", None)
    if host is not None and host.schedule is not None:
        return float(host.schedule(int(number(inner(optimizer)._iterations))))
    return number(optimizer.learning_rate)


class BatchLoss:
    """The losses of single batches, of which Keras shows the running mean."""

    def __init__(self, model: Any) -> None:
        sums = (m for m in model.metrics if m.name == "loss" and hasattr(m, "total"))
        self._mean = next(sums, None)
        self._before = (0.0, 0.0)

    def of(self, logs: dict[str, Any] | None) -> float:
        """The loss of the last batch (of several that are made at once, their mean)."""
        if self._mean is None:
            return float((logs or {}).get("loss", np.nan))
        total, count = number(self._mean.total), number(self._mean.count)
        before = self._before if count > self._before[1] else (0.0, 0.0)
        self._before = total, count
        return (total - before[0]) / (count - before[1]) if count > before[1] else np.nan


class Kept:
    """A model and its optimizer as they are now, to be put back any number of times."""

    def __init__(self, model: Any) -> None:
        optimizer = model.optimizer
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        unique = {id(v): v for v in [*model.variables, *optimizer.variables]}
        self._values = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in unique.values()]
        self._own = inner(optimizer)
        own = isinstance(self._own, Optimizer) and self._own.core is not None
        self._state = self._own._host.save() if own else None

    def put_back(self) -> None:
        """Give every variable the value it had, and the rule its state."""
        for variable, value in self._values:
            variable.assign(value)
        if self._state is not None:
            self._own._host.load(*self._state)
