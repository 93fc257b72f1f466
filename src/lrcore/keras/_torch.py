"""Variables that are tensors of PyTorch: the optimizer writes into their memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from .._optimizer.slots import bfloat16
from ._host import Host

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Memory"]

REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def array(who: str, name: str, tensor: Any) -> NDArray[Any]:
    """The memory of a tensor as an array."""
    tensor = tensor.detach()
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{who}: {name} must be on the CPU, got one on {tensor.device}; on other devices "
            "use the optimizer of Keras"
        )
    if tensor.layout != torch.strided:
        raise TypeError(f"{who}: {name} must be dense, got one of layout {tensor.layout}")
    if tensor.dtype not in REAL:
        raise TypeError(f"{who}: {name} must be of a real floating dtype, got {tensor.dtype}")
    if tensor.dtype == torch.bfloat16:
        kind = bfloat16(who, f"{name} of dtype bfloat16")
        return tensor.view(torch.int16).numpy().view(kind)
    return tensor.numpy()


class Memory:
    """Where the variables of an optimizer are."""

    def __init__(self, host: Host, variables: Sequence[Any], paths: Sequence[str]) -> None:
        self._host, self._variables, self._paths = host, list(variables), list(paths)
        self.arrays = self._found()

    def _found(self) -> list[NDArray[Any]]:
        tensors = [v.value for v in self._variables]
        self._at = [x.data_ptr() for x in tensors]
        return [array(self._host.who, *x) for x in zip(self._paths, tensors, strict=True)]

    def pull(self) -> bool:
        """Follow variables whose memory is another than it was; True, since all have values."""
        if self._host.core is not None and self._at != [x.data_ptr() for x in self._tensors()]:
            self.arrays = self._found()
            self._host.move(self.arrays)
        return True

    def _tensors(self) -> list[Any]:
        """What is behind the variables: as ``value`` says, without asking for scopes each time."""
        return [v._value for v in self._variables]

    def push(self) -> None:
        """Nothing to do: what is written is in the variables."""

    def step(
        self, rate: Any, iterations: Any, loss: Any, grads: Sequence[Any], present: Sequence[int]
    ) -> None:
        """Make a step with the gradients of those variables that are `present`."""
        if torch.compiler.is_compiling():
            raise RuntimeError(
                f"{self._host.who}: must not be compiled by torch; compile the model with "
                "jit_compile=False"
            )
        given: list[Any] = [None] * len(self._variables)
        for i, g in zip(present, grads, strict=True):
            given[i] = self._gradient(i, g)
        self.pull()
        number = float("nan") if loss is None else float(loss)
        self._host.step(float(rate), int(iterations), number, given)
        tensors = self._tensors()
        torch.autograd.graph.increment_version([tensors[i] for i in present])

    def _gradient(self, i: int, g: Any) -> NDArray[Any]:
        try:
            found: NDArray[Any] = g.numpy()
            return found
        except (TypeError, RuntimeError):  # bfloat16; or it is refused, with a reason
            return array(self._host.who, f"the gradient of {self._paths[i]}", g)
