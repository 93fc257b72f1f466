"""Small real jobs to train: the ground on which a learning rate is chosen and compared.

A `Task` is data and a model; `fit` is the loop. Neither prints, and neither knows which
optimizer it is given. Each module here has a ``load`` that makes a task; `names` has those that
need no file, and `load` makes them by name.

Examples
--------
>>> import lrcore
>>> from lrcore import tasks
>>> task = tasks.load("linear")
>>> params = task.init()
>>> run = tasks.fit(task, params, lrcore.SGD(params, lr=0.3), epochs=1000)
>>> params["t"].round(6).tolist() == task.model.answer.round(6).tolist()
True
"""

from lrcore.tasks._registry import about, has_hidden, load, names
from lrcore.tasks._task import Data, DataError, Model, Params, Run, Task, fit

__all__ = [
    "Data",
    "DataError",
    "Model",
    "Params",
    "Run",
    "Task",
    "about",
    "fit",
    "has_hidden",
    "load",
    "names",
]
