"""Small trainings that instruments are tried on: much to restore, or a best rate that is known."""

from __future__ import annotations

import random

import numpy as np

import lrcore
from lrcore import schedules
from lrcore.instruments.restore import Batches, Restored

STEPS = 10

MAKERS = {
    "AdamW": lambda p: lrcore.AdamW(p, lr=schedules.Cosine(0.05, steps=30, warmup=5)),
    "SGD momentum": lambda p: lrcore.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Plateau": lambda p: lrcore.SGD(p, lr=schedules.Plateau(0.1, patience=1, factor=0.5)),
    "schedule-free": lambda p: lrcore.ScheduleFreeAdamW(p, lr=0.05),
    "Prodigy": lambda p: lrcore.Prodigy(p, lr=1.0),
    "Muon": lambda p: lrcore.Muon(p, lr=0.02),
    "Shampoo": lambda p: lrcore.Shampoo(p, lr=0.02),
    "SOAP": lambda p: lrcore.SOAP(p, lr=0.02),
    "averages": lambda p: lrcore.Adam(p, lr=0.05, ema=0.9, swa=3, lookahead=4),
    "scaler": lambda p: lrcore.Adam(p, loss_scale=lrcore.LossScaler(init=8.0, every=3)),
    "int8": lambda p: lrcore.AdamW(p, lr=0.05, state_dtype="int8", stats=True, clip_norm=1.0),
    "reference": lambda p: lrcore.Lion(p, lr=0.01, backend="numpy"),
    "groups": lambda p: lrcore.SGD([{"params": {"w": p["w"]}}, {"params": p["b"], "lr": 0.01}]),
    "Polyak": lambda p: lrcore.PolyakSGD(p),
}


class Loader:
    """Shuffles its order in place, and counts its passes."""

    def __init__(self, x, y):
        self.x, self.y, self.epoch = x, y, 0
        self.order = list(range(len(y)))
        self.rng = np.random.default_rng(3)

    def __iter__(self):
        self.epoch += 1
        self.rng.shuffle(self.order)
        spawned = np.random.default_rng(self.rng.bit_generator.seed_seq.spawn(1)[0])
        for at in range(0, len(self.order), 16):
            rows = self.order[at : at + 16]
            yield self.x[rows] + 0.01 * self.epoch * spawned.normal(), self.y[rows]


class Run:
    """A small regression with dropout and a running mean, in any floating format."""

    def __init__(self, make, dtype=np.float32):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(64, 5))
        self.loader = Loader(x, x @ rng.normal(size=(5, 3)))
        self.params = {"w": np.zeros((5, 3), dtype), "b": np.zeros(3, dtype)}
        self.opt = make(self.params)
        self.rng = np.random.default_rng(7)
        self.norm = {"mean": np.zeros(5)}

    def loss_and_grads(self, batch):
        x, y = batch
        self.norm["mean"] = 0.9 * self.norm["mean"] + 0.1 * x.mean(axis=0)
        kept = self.rng.random(x.shape) < 0.8
        x = (x - self.norm["mean"]) * kept + random.random() + np.random.random()  # noqa: NPY002
        w, b = (self.params[k].astype(np.float64) for k in "wb")
        error = x @ w + b - y
        out = {"w": x.T @ error / len(y), "b": error.mean(axis=0)}
        scale = self.opt.loss_scale
        grads = {k: (g * scale).astype(self.params[k].dtype) for k, g in out.items()}
        return float((error**2).mean()) / 2, grads

    def step(self, batch):
        loss, grads = self.loss_and_grads(batch)
        if len(self.opt.param_groups) == 2:
            grads = [{"w": grads["w"]}, grads["b"]]
        self.opt.step(grads, loss=loss)
        plateau = self.opt.param_groups[0][self.opt.rate_name]
        if isinstance(plateau, schedules.Plateau):
            plateau.update(loss)
        return loss

    def train(self, steps):
        batches = Batches("test", self.loader)
        losses = [self.step(next(batches)) for _ in range(steps)]
        batches.close()
        return losses

    def restored(self, **options):
        return Restored(self.opt, self.loss_and_grads, self.loader, **options)

    def bits(self):
        return {k: p.tobytes() for k, p in self.params.items()}


def twins(make, dtype=np.float32):
    """Two runs alike, a few steps old: with a state that is worth restoring."""
    out = []
    for _ in range(2):
        shared()
        run = Run(make, dtype)
        run.train(5)
        out.append(run)
    return out


def after(run):
    """The losses of the steps that come next."""
    return run.train(STEPS)


def shared(seed=5):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002


class Regression:
    """y = x w, the inputs of one spread; the best rate of a gradient descent is near 1."""

    def __init__(self, *, noise=0.1, spread=1.0, seed=0, dtype=np.float64):
        rng = np.random.default_rng(seed)
        self.x = spread * rng.normal(size=(320, 4))
        self.y = self.x @ np.array([3.0, -2.0, 1.0, 4.0]) + noise * rng.normal(size=320)
        self.w = np.zeros(4, dtype)
        self.rows = np.arange(320).reshape(20, 16)
        self.calls = []

    def loss_and_grads(self, rows):
        self.calls.append("both")
        error = self.x[rows] @ self.w - self.y[rows]
        return (error**2).mean() / 2, (self.x[rows].T @ error / len(rows)).astype(self.w.dtype)

    def loss_only(self, rows):
        self.calls.append("loss")
        return ((self.x[rows] @ self.w - self.y[rows]) ** 2).mean() / 2

    def find(self, opt, **options):
        return lrcore.lr_find(opt, self.loss_and_grads, self.rows, **options)
