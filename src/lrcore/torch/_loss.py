"""loss_and_grads: a model and a loss of torch as the instruments take them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch

from ._optimizer import Optimizer
from ._spread import local
from ._tensors import as_gradient

__all__ = ["LossAndGrads", "loss_and_grads"]

WHO = "loss_and_grads"


def loss_and_grads(model: Any, loss_fn: Callable[..., Any], optimizer: Any) -> LossAndGrads:
    """What `lr_find`, `lr_range_test` and `probe_lr` call, from a model and a loss of torch.

    Parameters
    ----------
    model : torch.nn.Module
        What is trained, in the mode (``train()`` or ``eval()``) it is in.
    loss_fn : callable
        Where a batch is a pair ``(x, y)``: ``loss_fn(model(x), y) -> loss``, such as
        ``torch.nn.functional.cross_entropy``. Any other batch, a dict for instance:
        ``loss_fn(model, batch) -> loss``.
    optimizer : Optimizer
        Of `lrcore.torch`; has the parameters whose gradients are wanted.

    Returns
    -------
    LossAndGrads
        ``f(batch) -> (loss, grads)``; ``f.loss(batch)`` is the loss without gradients, for
        `loss_only`. The gradients are not put into ``.grad``, and no hook of a parameter is called.

    Raises
    ------
    TypeError
        An argument is not what it must be.

    Notes
    -----
    `lr_find` and `probe_lr` put everything back, bit for bit: parameters, buffers such as those of
    a batch norm, the mode, the optimizer, the generators of torch, NumPy and Python, and the order
    of the loader. In data-parallel training each process looks at its own batches alone.

    Examples
    --------
    >>> import torch, lrcore, lrcore.torch
    >>> _ = torch.manual_seed(0)
    >>> x = torch.randn(256, 5)
    >>> data = torch.utils.data.TensorDataset(x, x @ torch.ones(5, 1))
    >>> loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)
    >>> model = torch.nn.Linear(5, 1)
    >>> opt = lrcore.torch.SGD(model.parameters())
    >>> f = lrcore.torch.loss_and_grads(model, torch.nn.functional.mse_loss, opt)
    >>> found = lrcore.lr_find(opt, f, loader)
    >>> found.reliable, 0.03 < found.suggested < 1.0
    (True, True)
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"{WHO}: model must be a torch.nn.Module, got {type(model).__name__}")
    if not callable(loss_fn):
        raise TypeError(f"{WHO}: loss_fn must be callable, got {loss_fn!r}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"{WHO}: optimizer must be one of lrcore.torch, got {type(optimizer).__name__}"
        )
    _ = optimizer.lrcore  # or an error that says why there is none
    return LossAndGrads(model, loss_fn, optimizer)


class LossAndGrads:
    """A model and its loss, as a function of a batch; made by `loss_and_grads`."""

    def __init__(self, model: Any, loss_fn: Callable[..., Any], optimizer: Optimizer) -> None:
        self.model, self.loss_fn = model, loss_fn
        # weak: who looks here for what a call changes is to find the model, and not twice
        self._optimizer = weakref.ref(optimizer)

    def __call__(self, batch: Any) -> tuple[float, list[Any]]:
        """The loss of a batch, and the gradients in the structure of the parameters."""
        optimizer = self._optimizer()
        if optimizer is None:
            raise RuntimeError(f"{WHO}: the optimizer must be kept, and is gone")
        ((part, members),) = optimizer._members()
        params = [p for some in members for p in some.params]
        with torch.enable_grad():
            loss = self._of(batch)
            wanted = [p for p in params if p.requires_grad]
            found = iter(torch.autograd.grad(loss, wanted, allow_unused=True))
        grads = [next(found) if p.requires_grad else None for p in params]
        ready = [
            as_gradient(part.who, f"the gradient of params{label}", g, local(p).shape, axes)
            for label, p, g, axes in zip(
                part.opt._layout.labels(), params, grads, part.axes, strict=True
            )
        ]
        return loss.item(), part.split(members, ready)

    def loss(self, batch: Any) -> float:
        """The loss of a batch alone."""
        with torch.no_grad():
            return self._of(batch).item()

    def _of(self, batch: Any) -> Any:
        if isinstance(batch, (tuple, list)) and len(batch) == 2:
            loss = self.loss_fn(self.model(batch[0]), batch[1])
        else:
            loss = self.loss_fn(self.model, batch)
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            got = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise TypeError(f"{WHO}: loss_fn must return a tensor of one number, got {got}")
        return loss
