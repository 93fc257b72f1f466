"""The tasks by name: a module of this package with a ``load`` is one, and needs no list.

`table`, which wants a file, and modules whose name starts with an underscore are none.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from lrcore.tasks._task import Task

NOT_BY_NAME = ("table",)


@cache
def names() -> tuple[str, ...]:
    """Return the names of the tasks that need no file, in alphabetical order.

    Examples
    --------
    >>> from lrcore import tasks
    >>> "digits" in tasks.names()
    True
    """
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    found = (module.name for module in modules if not module.name.startswith("_"))
    return tuple(sorted(name for name in found if name not in NOT_BY_NAME))


def load(name: str, **options: Any) -> Task:
    """Make the task called `name`.

    Parameters
    ----------
    name : str
        One of `names`.
    **options
        For the ``load`` of that task: ``seed`` and ``batch_size``, and where `has_hidden`
        ``hidden``. None stands for the usual value.

    Returns
    -------
    Task
        Ready to `fit`.

    Raises
    ------
    ValueError
        There is no such task.
    ModuleNotFoundError
        The package with its data is missing; the message says what to install.

    Examples
    --------
    >>> from lrcore import tasks
    >>> tasks.load("linear", seed=1).updates_per_epoch
    1
    """
    return cast(Task, _module(name).load(**options))


def about(name: str) -> str:
    """Return one sentence on what is learned by the task called `name`.

    Examples
    --------
    >>> from lrcore import tasks
    >>> tasks.about("linear")
    'A straight line through points: the smallest job with an answer known exactly.'
    """
    return (_module(name).__doc__ or "").partition("\n")[0]


def has_hidden(name: str) -> bool:
    """Return whether the task called `name` has a hidden layer whose width may be chosen.

    Examples
    --------
    >>> from lrcore import tasks
    >>> tasks.has_hidden("digits"), tasks.has_hidden("linear")
    (True, False)
    """
    return "hidden" in inspect.signature(_module(name).load).parameters


def need(module: str, extra: str = "demo") -> ModuleType:
    """Import a module of an extra, or say which extra is missing.

    Parameters
    ----------
    module : str
        What is imported.
    extra : str
        The extra of lrcore that brings it.

    Returns
    -------
    module
        The module.

    Raises
    ------
    ModuleNotFoundError
        It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error.name or module, extra) from None


def missing(package: str, extra: str) -> ModuleNotFoundError:
    """Return the error that says which extra brings a package that is missing."""
    return ModuleNotFoundError(
        f'needs the {extra} extra ({package} is missing): pip install "lrcore[{extra}]"',
        name=package,
    )


def _module(name: str) -> ModuleType:
    if name not in names():
        raise ValueError(f"tasks: name must be one of {', '.join(names())}, got {name!r}")
    return importlib.import_module(f"lrcore.tasks.{name}")
