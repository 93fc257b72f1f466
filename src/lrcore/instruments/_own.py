"""What makes the steps inside of an optimizer that was made for a framework."""

from __future__ import annotations

from typing import Any

from .._optimizer import Optimizer

__all__ = ["own"]


def own(opt: Any) -> Any:
    """The optimizer of this library that one of an adapter has; any other thing as it is.

    An adapter brings it up to date where it is asked for it: `lrcore.torch.Optimizer.lrcore`.
    """
    if isinstance(opt, Optimizer):
        return opt
    inner = getattr(opt, "lrcore", None)
    return inner if isinstance(inner, Optimizer) else opt
