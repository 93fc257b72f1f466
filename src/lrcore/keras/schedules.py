"""Schedules of lrcore as schedules of Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from .._schedule import Schedule as OwnSchedule

__all__ = ["Schedule"]


@keras.saving.register_keras_serializable(package="lrcore")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of lrcore as a ``LearningRateSchedule`` of Keras.

    Parameters
    ----------
    schedule : lrcore.Schedule
        Any of :mod:`lrcore.schedules`. One with a Python function inside works, and cannot be
        saved with a model.

    Notes
    -----
    ``Schedule(s)(step)`` is ``float32(s(step))``: a tensor of the backend, also inside a
    ``tf.function``, where it is a call of the host. An optimizer of :mod:`lrcore.keras` needs no
    such call, and steps with all of ``s(step)``. Under JAX see :mod:`lrcore.optax`.

    Examples
    --------
    >>> import keras, lrcore.keras  # doctest: +SKIP
    >>> s = lrcore.schedules.Cosine(1e-3, steps=10_000, warmup=500)  # doctest: +SKIP
    >>> keras.optimizers.Adam(lrcore.keras.Schedule(s))  # doctest: +SKIP
    """

    def __init__(self, schedule: OwnSchedule) -> None:
        if not isinstance(schedule, OwnSchedule):
            raise TypeError(
                f"lrcore.keras.Schedule: schedule must be one of lrcore.schedules, got {schedule!r}"
            )
        self.schedule = schedule

    def __call__(self, step: Any) -> Any:
        """The value at a step, which may be a variable or a tensor, as a tensor of float32."""
        backend = keras.backend.backend()
        if backend == "tensorflow":
            import tensorflow as tf

            if tf.inside_function():
                value = tf.numpy_function(self._at, [step], tf.float32, stateful=False)
                value.set_shape(())
                return value
        elif backend == "jax":
            import jax

            if isinstance(getattr(step, "value", step), jax.core.Tracer):
                raise NotImplementedError(
                    "lrcore.keras.Schedule: must not be traced by JAX; use lrcore.optax.schedule "
                    "in a training loop of JAX"
                )
        return keras.ops.convert_to_tensor(self._at(step))

    def _at(self, step: Any) -> np.float32:
        return np.float32(self.schedule(int(step)))

    def get_config(self) -> dict[str, Any]:
        """Plain data that `from_config` makes the same schedule of."""
        return {"schedule": self.schedule.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Schedule:
        """Make the schedule of what `get_config` returned."""
        return cls(OwnSchedule.from_dict(config["schedule"]))
