"""Small real jobs to train: the ground on which a learning rate is chosen and compared.

A `Task` is data and a model; `fit` is the loop. Neither prints, and neither knows which
optimizer it is given. `digits`, `linear` and `table` each have a ``load`` that makes one.
"""

from lrcore.tasks._task import Data, DataError, Model, Params, Run, Task, fit

__all__ = ["Data", "DataError", "Model", "Params", "Run", "Task", "fit"]
