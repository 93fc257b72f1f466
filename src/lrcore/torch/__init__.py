"""The update rules as optimizers of PyTorch, for tensors of the CPU.

Every class of :mod:`lrcore.optimizers` is here under its name and *is* a
``torch.optim.Optimizer``: to change one import is enough. ``docs/torch.md`` says more.

Examples
--------
>>> import torch, lrcore.torch
>>> model = torch.nn.Linear(3, 1)
>>> opt = lrcore.torch.AdamW(model.parameters(), lr=1e-3)
>>> model(torch.ones(2, 3)).sum().backward()
>>> opt.step()
>>> opt.zero_grad()
"""

from typing import Any

try:
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ModuleNotFoundError(
        "lrcore.torch: needs the package torch, which is not installed; "
        "pip install 'lrcore[torch]'",
        name="torch",
    ) from None
if not hasattr(torch.Tensor, "__dlpack_c_exchange_api__"):
    raise ImportError(f"lrcore.torch: torch must be 2.10 or newer, got {torch.__version__}")

from .. import optimizers as _rules
from ._backward import in_backward
from ._loss import loss_and_grads
from ._optimizer import Optimizer
from ._optimizer import made_of as _made_of
from ._schedule import schedule

__all__ = ["Optimizer", "in_backward", "loss_and_grads", "schedule", *_rules.__all__]

globals().update({name: _made_of(getattr(_rules, name)) for name in _rules.__all__})


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
