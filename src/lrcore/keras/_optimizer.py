"""Optimizer: what the classes of lrcore.keras share."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np

from .._optimizer import Optimizer as Own
from .._schedule import Schedule as OwnSchedule
from . import _names
from ._host import Host
from .schedules import Schedule

__all__ = ["Optimizer"]

#: Under these names the state is saved, beside Keras's own variables.
TEXT, ARRAY = "lrcore", "lrcore_{}"


class Optimizer(keras.optimizers.Optimizer):
    """What all optimizers of this module share. Made by its subclasses, one a rule.

    The arguments of a subclass are those of Keras's optimizer of its name, with Keras's defaults;
    where Keras has none, those of :mod:`lrcore.optimizers`, with ``learning_rate`` for the rate,
    and Keras's options. Every one also takes the options of :class:`lrcore.Optimizer`
    by keyword, but for those that Keras has itself.

    Parameters
    ----------
    learning_rate : float, keras LearningRateSchedule, lrcore Schedule or callable
        In [0, inf).

    Attributes
    ----------
    core : lrcore.Optimizer
        What makes the steps; None until the optimizer is built.

    Raises
    ------
    TypeError, ValueError
        An argument is unknown or not what it must be.
    RuntimeError
        The backend is neither TensorFlow nor PyTorch.

    Notes
    -----
    ``docs/keras.md`` says what is the same as with Keras's optimizers, and what is not.
    """

    rule: ClassVar[type[Own]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kind = type(self)
        who = f"lrcore.keras.{kind.__name__}"
        if not hasattr(kind, "rule"):
            raise TypeError("lrcore.keras.Optimizer is what all rules share; take one of them")
        backend = keras.backend.backend()
        if backend not in ("tensorflow", "torch"):
            use = "; with JAX use lrcore.optax" if backend == "jax" else ""
            raise RuntimeError(
                f'{who}: the backend of Keras must be "tensorflow" or "torch", got {backend!r}{use}'
            )
        given = _bound(who, kind, args, kwargs)
        base = {k: v for k, v in given.items() if k in _names.BASE}
        options = {k: v for k, v in given.items() if k in _names.OPTIONS}
        values = {k: _rich(v) for k, v in given.items() if k not in base and k not in options}
        decay = base.pop("weight_decay", None)
        if "weight_decay" in given:
            values["weight_decay"] = _rich(decay)
        changed = {k: _rich(v) for k, v in options.items() if v != _names.OPTIONS[k]}
        host = Host(who, kind.rule, values, {"nonfinite": options["nonfinite"], **changed})
        base["learning_rate"] = _rate(who, base["learning_rate"])
        super().__init__(**base)
        self._host = host
        self._memory: Any = None
        self._loss: Any = None
        self._follow()

    # --------------------------------------------------------------------------- building

    def build(self, variables: Any) -> None:
        """Make the state for a list of variables."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        if keras.backend.backend() == "torch":
            from ._torch import Memory
        else:
            from ._tensorflow import Memory  # type: ignore[assignment]
        kept = [v for v in variables if not self._overwrite_variable_with_gradient(v)]
        paths = [str(getattr(v, "path", v.name)) for v in kept]
        memory = Memory(self._host, kept, paths)
        self._places = {self._var_key(v): i for i, v in enumerate(kept)}
        self._memory = memory
        self._host.build(memory, paths, [self._use_weight_decay(v) for v in kept])

    @property
    def core(self) -> Own | None:
        """The optimizer of lrcore that makes the steps; None until this one is built."""
        if self._memory is not None:
            self._host.finish(self._memory)
        return self._host.core

    # --------------------------------------------------------------------------- the step

    def _backend_update_step(
        self, grads: Any, trainable_variables: Any, learning_rate: Any
    ) -> None:
        places, key = self._places, self._var_key
        present = [places[key(v)] for v in trainable_variables]
        rate = 0.0 if self._host.schedule is not None else learning_rate
        loss, self._loss = self._loss, None
        self._memory.step(rate, self._iterations, loss, grads, present)

    def _apply_weight_decay(self, variables: Any) -> None:
        if not _names.decays_itself(self.rule):
            super()._apply_weight_decay(variables)

    def scale_loss(self, loss: Any) -> Any:
        """Keras's scaling; a rule that needs to know the loss is told it here."""
        if self.rule.needs_loss:
            self._loss = loss
        return super().scale_loss(loss)

    @property
    def learning_rate(self) -> Any:
        """The rate of the next step; assignable, as in Keras."""
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        value = _rate(f"lrcore.keras.{type(self).__name__}", value)
        keras.optimizers.Optimizer.learning_rate.fset(self, value)
        self._follow()

    def _follow(self) -> None:
        """Let the host use a schedule of lrcore itself."""
        own = isinstance(self._learning_rate, Schedule)
        self._host.schedule = self._learning_rate.schedule if own else None

    # --------------------------------------------------------------------------- two points

    def eval(self) -> None:
        """Move the variables to where the rule wants them evaluated; see `lrcore.Optimizer.eval`.

        Of the two schedule-free rules; for others nothing happens. Not inside a ``tf.function``.
        """
        self._moved("eval")

    def train(self) -> None:
        """Move the variables back, bit for bit, to where they are trained."""
        self._moved("train")

    def _moved(self, how: str) -> None:
        core = self.core
        if core is not None and core.two_points and core.training == (how == "eval"):
            self._memory.pull()
            getattr(core, how)()
            self._memory.push()

    # --------------------------------------------------------------------------- saving

    def get_config(self) -> dict[str, Any]:
        """Plain data that `from_config` makes the same optimizer of, without its state."""
        config = super().get_config() | self._host.values
        config = {k: v for k, v in config.items() if k in inspect.signature(type(self)).parameters}
        options = {k: v for k, v in self._host.options.items() if v != _names.OPTIONS[k]}
        return {k: _plain(v) for k, v in (config | options).items()}

    def save_own_variables(self, store: Any) -> None:
        """Put the state into a store of Keras."""
        super().save_own_variables(store)
        if self.core is not None:
            text, arrays = self._host.save()
            store[TEXT] = np.frombuffer(text.encode(), np.uint8)
            for i, a in enumerate(arrays):
                store[ARRAY.format(i)] = a.reshape(1) if a.ndim == 0 else a

    def load_own_variables(self, store: Any) -> None:
        """Take the state from a store of Keras.

        Raises
        ------
        ValueError
            It is of another rule, or of other variables. The rule's state is then as it was.
        """
        names = list(store.keys())  # all that a store of Keras has in common with a dict
        count = sum(name.startswith(ARRAY.format("")) for name in names)
        if TEXT in names and self.core is not None:
            text = np.asarray(store[TEXT]).tobytes().decode()
            self._host.load(text, [np.asarray(store[ARRAY.format(i)]) for i in range(count)])
        super().load_own_variables({k: store[k] for k in names if not k.startswith(TEXT)})


def _bound(
    who: str, kind: type[Optimizer], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments by name, with their defaults."""
    try:
        found = inspect.signature(kind).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{who}: {error}") from None
    found.apply_defaults()
    return dict(found.arguments)


def _rate(who: str, value: Any) -> Any:
    """A rate as Keras takes it."""
    if isinstance(value, OwnSchedule):
        return Schedule(value)
    if isinstance(value, (int, np.integer, np.floating)) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, float) and not 0 <= value < float("inf"):
        raise ValueError(f"{who}: learning_rate must be in [0, inf), got {value}")
    return value


def _plain(value: Any) -> Any:
    """A value that JSON takes: schedules and options of lrcore as dicts."""
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, OwnSchedule):
        return {SCHEDULE: value.to_dict()}
    return value.to_dict() if hasattr(value, "to_dict") else value


def _rich(value: Any) -> Any:
    """Undo `_plain`; lists become the tuples that the rules take."""
    if isinstance(value, Mapping) and set(value) == {SCHEDULE}:
        return OwnSchedule.from_dict(value[SCHEDULE])
    return tuple(_rich(v) for v in value) if isinstance(value, list) else value


SCHEDULE = "lrcore_schedule"
