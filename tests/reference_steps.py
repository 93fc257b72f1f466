"""Numbers in the formats of the reference, and steps of it on arrays by themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from lrcore.reference import step, storage


def encoded(x, dtype, bits=None, signed=True):
    """Stored array and scales (None but for uint8) of a row of numbers."""
    x = np.asarray(x)
    stored = np.full(x.size, 7, np.uint8).astype(dtype)
    scale = np.full(-(-x.size // 128), 7, np.uint8) if stored.dtype == np.uint8 else None
    storage.encode(x, stored, scale, signed=signed, bits=bits)
    return stored, scale


def rounded(x, dtype, bits=None, signed=True):
    """The numbers that remain after encoding and decoding."""
    stored, scale = encoded(x, dtype, bits, signed)
    return storage.decode(stored, scale, signed=signed, real=np.float64)


@dataclass
class Store:
    """What the reference has of one parameter: nothing but itself, if no more is said."""

    p: Any
    group: int = 0
    states: list = field(default_factory=lambda: [None])
    scales: list = field(default_factory=lambda: [None, None, None])
    master: Any = None
    averages: list = field(default_factory=lambda: [None, None, None])
    trace: Any = None
    work: Any = None
    lr_scale: float = 1.0
    decays: bool = True
    units: int = 1
    rows: bool = True


def make(p, states=(None,), **fields):
    """A parameter and its states."""
    return Store(p, states=list(states), **fields)


def hypers(**values):
    """Hyper-parameters of plain SGD, and what is given."""
    start = {"lr": 0.1, "momentum": 0.0, "dampening": 0.0, "nesterov": 0.0, "weight_decay": 0.0}
    return SimpleNamespace(**{**start, **values})


def adamw(**values):
    """Hyper-parameters of AdamW."""
    return hypers(**{"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "amsgrad": 0.0, **values})


def go(store, g, t=0, rule="sgd", groups=None, **options):
    """One step of one tensor, or of several in lists."""
    many = isinstance(store, list)
    stores, grads = (store, g) if many else ([store], [g])
    tensors = [step.Tensor(s, x, t) for s, x in zip(stores, grads, strict=True)]
    return step.step(rule, tensors, groups or [step.Group(hypers())], step.Options(**options))


def numbers(shape, seed=0, dtype=np.float64):
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)
