"""What `lrcore train` is to do; handed to those who do, show and report it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import lrcore
    from lrcore.tasks import Params, Task


@dataclass
class Job:
    """A task and the optimizer that is to do it."""

    task: Task
    params: Params
    opt: lrcore.Optimizer
    epochs: int
    settings: dict[str, Any]
