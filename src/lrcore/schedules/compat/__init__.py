"""Every peer's schedules: its values under its own names, arguments and defaults.

One module a peer: `fastai`, `keras`, `optax`, `timm`, `torch` and `transformers`. Where the peer
takes the base rate from its optimizer, it is the first argument. What comes back is a schedule like
any other, made of those in :mod:`lrcore.schedules`, with the values of the peer at every update,
whatever it counts from and wherever it ends; each docstring says where that differs from others.
Nothing of a peer is imported.

Examples
--------
>>> from lrcore.schedules import compat
>>> compat.torch.MultiStepLR(1.0, milestones=[3])(range(6)).tolist()
[1.0, 1.0, 1.0, 0.1, 0.1, 0.1]
>>> compat.timm.MultiStepLRScheduler(1.0, [3], 0.1)(range(6)).tolist()
[1.0, 1.0, 0.1, 0.1, 0.1, 0.1]
>>> compat.keras.PiecewiseConstantDecay([3], [1.0, 0.1])(range(6)).tolist()
[1.0, 1.0, 1.0, 1.0, 0.1, 0.1]
"""

from . import fastai, keras, optax, timm, torch, transformers

__all__ = ["fastai", "keras", "optax", "timm", "torch", "transformers"]
