"""lrcore for Keras 3, with TensorFlow or PyTorch behind it, on the CPU.

The optimizers are those of :mod:`lrcore.optimizers`, one class each, under their names here and in
Keras (``NAdam`` and ``Nadam``), with the arguments of Keras::

    model.compile(optimizer=lrcore.keras.AdamW(1e-3), loss="mse")

`Schedule` makes a schedule of lrcore one of Keras; the other names are callbacks of ``model.fit``.
Importing this imports keras.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import_module("keras")
except ModuleNotFoundError as error:
    if error.name == "keras":
        text = (
            "keras must be installed, got none; pip install 'lrcore[keras]', and "
            "tensorflow or torch"
        )
    elif error.name in ("tensorflow", "torch", "jax"):
        text = (
            f"{error.name}, which Keras is to use, must be installed, got none; pip install "
            'tensorflow, or torch with KERAS_BACKEND="torch" in the environment'
        )
    else:
        raise
    raise ModuleNotFoundError(f"lrcore.keras: {text}", name=error.name) from None

from . import callbacks
from ._classes import CLASSES
from ._optimizer import Optimizer
from .callbacks import EvaluateAverage, LearningRateScheduler, LRFinder, Monitor, ReduceLROnPlateau
from .schedules import Schedule

globals().update(CLASSES)
__all__ = [
    "EvaluateAverage",
    "LRFinder",
    "LearningRateScheduler",
    "Monitor",
    "Optimizer",
    "ReduceLROnPlateau",
    "Schedule",
    "callbacks",
]
__all__ += list(CLASSES)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
