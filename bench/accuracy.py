"""What narrow storage costs in accuracy: python bench/accuracy.py (about 20 minutes; --quick: 2).

Three networks are trained with AdamW, once for each way to store parameters and state, with the
same first weights and the same batches: the digits network of lrcore.tasks, whose gradients are its
own, and a convolution network and a character-level transformer in PyTorch. Their forward and
backward passes are in float32 throughout; narrow parameters are copied to float32 for them.

Nothing is downloaded: the images are scikit-learn's, the text is that of Python's own `help`.
Noise on the images, fresh in every batch, and more text than is read keep the losses well off 0.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import lrcore
from lrcore import schedules
from lrcore.tasks import digits

SEEDS = (0, 1, 2)

# ---------------------------------------------------------------------------- ways to store


class Choice(NamedTuple):
    """A way to store what AdamW works on."""

    name: str
    options: dict[str, Any] = {}
    params: str = "float32"
    grads: str = "float32"
    #: Begin at the float32 next to every weight: what chance alone does to a run.
    nudged: bool = False


def _bfloat16(name: str, grads: str = "float32", **options: Any) -> Choice:
    return Choice(name, options, "bfloat16", grads)


CHOICES = [
    Choice("float32"),
    Choice("float32, first weights one rounding away", nudged=True),
    Choice("state bfloat16, nearest", {"state_dtype": "bfloat16"}),
    Choice("state bfloat16, stochastic", {"state_dtype": "bfloat16", "rounding": "stochastic"}),
    Choice("state int8, nearest", {"state_dtype": "int8"}),
    Choice("state int8, stochastic", {"state_dtype": "int8", "rounding": "stochastic"}),
    _bfloat16("parameters bfloat16, nearest"),
    _bfloat16("parameters bfloat16, stochastic", rounding="stochastic"),
    _bfloat16('parameters bfloat16, master="float32"', master="float32"),
    _bfloat16('parameters bfloat16, master="split"', master="split"),
    _bfloat16("parameters bfloat16, nearest; state int8", state_dtype="int8"),
    _bfloat16(
        "parameters bfloat16, stochastic; state int8", rounding="stochastic", state_dtype="int8"
    ),
    _bfloat16(
        'parameters bfloat16, master="float32"; state int8', master="float32", state_dtype="int8"
    ),
    _bfloat16('parameters bfloat16, master="split"; state int8', master="split", state_dtype="int8"),
    _bfloat16(
        "parameters, gradients and state bfloat16, stochastic",
        "bfloat16",
        rounding="stochastic",
        state_dtype="bfloat16",
    ),
]


# --------------------------------------------------------------------------------- networks


class Job:
    """A network to train: float32 weights, batches, loss and gradients."""

    weights: dict[str, np.ndarray]

    def batches(self, count: int) -> Iterator[Any]:
        """Batches, the same at every call."""
        raise NotImplementedError

    def loss_and_grads(self, batch: Any) -> tuple[float, dict[str, np.ndarray]]:
        """Mean loss of a batch at `weights`, and its gradients."""
        raise NotImplementedError

    def held_out(self) -> tuple[float, float]:
        """Mean loss and share of right answers on what is not trained on."""
        raise NotImplementedError


#: Standard deviation of the noise on pixels in 0..1, and held-out copies with noise of their own.
NOISE, COPIES = 0.3, 8


def noisy(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images with noise."""
    return x + np.float32(NOISE) * rng.standard_normal(x.shape, np.float32)


class Digits(Job):
    """The network of lrcore.tasks.digits: 64-256-10."""

    def __init__(self, seed: int) -> None:
        self.task = digits.load(seed=seed)
        self.seed = seed
        self.weights = self.task.init()
        x, y = self.task.test
        rng = np.random.default_rng((seed, 1))
        self.test = type(self.task.test)(noisy(np.tile(x, (COPIES, 1)), rng), np.tile(y, COPIES))

    def batches(self, count: int) -> Iterator[Any]:
        rng = np.random.default_rng((self.seed, 2))
        epoch = 0
        while True:
            for x, y in self.task.batches(epoch):
                if not count:
                    return
                count -= 1
                yield type(self.task.train)(noisy(x, rng), y)
            epoch += 1

    def loss_and_grads(self, batch: Any) -> tuple[float, dict[str, np.ndarray]]:
        return self.task.loss_and_grads(self.weights, batch)

    def held_out(self) -> tuple[float, float]:
        scores = self.task.model.scores(self.weights, self.test)
        return scores["loss"], scores["accuracy"]


class Torch(Job):
    """A PyTorch module whose parameters are stepped through NumPy views."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.weights = {name: p.detach().numpy() for name, p in module.named_parameters()}

    def loss_and_grads(self, batch: Any) -> tuple[float, dict[str, np.ndarray]]:
        self.module.zero_grad()
        loss = self.loss(batch)[0]
        loss.backward()
        return loss.item(), {n: p.grad.numpy() for n, p in self.module.named_parameters()}

    def loss(self, batch: Any) -> Any:
        """Mean loss of a batch, and the share of right answers, with the way back to the weights."""
        torch = import_module("torch")
        x, y = batch
        z = self.module(torch.from_numpy(x)).flatten(0, -2)
        y = torch.from_numpy(y).flatten()
        return torch.nn.functional.cross_entropy(z, y), (z.argmax(-1) == y).float().mean()

    def held_out(self) -> tuple[float, float]:
        torch = import_module("torch")
        with torch.no_grad():
            both = [[float(v) for v in self.loss(batch)] for batch in self.held]
        return tuple(float(v) for v in np.mean(both, axis=0))


class Convolution(Torch):
    """Two layers of 3 x 3 convolutions, each halved in size, on the same images: 6,000 weights."""

    def __init__(self, seed: int) -> None:
        torch = import_module("torch")
        nn = torch.nn
        torch.manual_seed(seed)
        super().__init__(
            nn.Sequential(
                *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Flatten(), nn.Linear(128, 10)),
            )
        )
        self.digits = Digits(seed)
        x, y = self.digits.test
        self.held = [(x.reshape(-1, 1, 8, 8), y)]

    def batches(self, count: int) -> Iterator[Any]:
        for x, y in self.digits.batches(count):
            yield x.reshape(-1, 1, 8, 8), y


#: Characters that are read at once; texts in a batch; width, heads and layers.
LENGTH, TEXTS, WIDTH, HEADS, LAYERS = 32, 16, 64, 4, 2


class Transformer(Torch):
    """Predicts the next character of Python's help texts."""

    def __init__(self, seed: int) -> None:
        torch = import_module("torch")
        topics = import_module("pydoc_data.topics").topics
        text = "\n".join(topics[name] for name in sorted(topics))
        letters, numbers = np.unique(np.array(list(text)), return_inverse=True)
        end = len(text) * 9 // 10
        self.text, held = numbers[:end], numbers[end:]
        rows = held[: len(held) // (LENGTH + 1) * (LENGTH + 1)].reshape(-1, LENGTH + 1)
        self.held = [(part[:, :-1], part[:, 1:]) for part in np.array_split(rows, 8)]
        self.seed = seed
        torch.manual_seed(seed)
        super().__init__(_transformer(len(letters)))

    def batches(self, count: int) -> Iterator[Any]:
        rng = np.random.default_rng((self.seed, 2))
        for _ in range(count):
            at = rng.integers(0, len(self.text) - LENGTH, TEXTS)[:, None] + np.arange(LENGTH)
            yield self.text[at], self.text[at + 1]


def _transformer(letters: int) -> Any:
    """Layers of causal attention and a network of two layers, each after a normalisation."""
    torch = import_module("torch")
    nn, f = torch.nn, torch.nn.functional

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            n, length, _ = x.shape
            qkv = self.qkv(self.norm1(x)).view(n, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            y = f.scaled_dot_product_attention(*qkv, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(n, length, WIDTH))
            return x + self.down(f.gelu(self.up(self.norm2(x))))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.letters = nn.Embedding(letters, WIDTH)
            self.places = nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
            self.layers = nn.Sequential(*[Layer() for _ in range(LAYERS)])
            self.norm, self.answer = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, letters)

        def forward(self, x: Any) -> Any:
            return self.answer(self.norm(self.layers(self.letters(x) + self.places)))

    return Network()


class Task(NamedTuple):
    """A network and how long it is trained, at what highest rate."""

    name: str
    job: Callable[[int], Job]
    updates: int
    quick: int
    lr: float


TASKS = [
    Task("digits network", Digits, 2000, 400, 3e-3),
    Task("convolution", Convolution, 2000, 300, 3e-3),
    Task("transformer", Transformer, 2000, 200, 3e-3),
]


# --------------------------------------------------------------------------------- training


@dataclass
class Result:
    """What became of a run."""

    #: Mean loss of the last tenth of the batches, each before its update.
    loss: float
    held_out_loss: float
    held_out_accuracy: float
    #: Mean share of the updates lost to rounding, in the last tenth.
    lost: float
    losses: list[float] = field(repr=False)


def train(task: Task, choice: Choice, seed: int, updates: int, **options: Any) -> Result:
    """Train a task from `seed`; a cosine with a warm-up of a twentieth."""
    job = task.job(seed)
    weights = job.weights
    for w in weights.values() if choice.nudged else ():
        w[...] = np.nextafter(w, np.float32(np.inf))
    narrow = [np.dtype(getattr(import_module("ml_dtypes"), "bfloat16"))]
    params = weights
    if choice.params != "float32":
        params = {name: w.astype(narrow[0]) for name, w in weights.items()}
    opt = lrcore.AdamW(
        params,
        lr=schedules.Cosine(task.lr, steps=updates, warmup=updates // 20),
        stats=True,
        seed=seed,
        **{**choice.options, **options},
    )
    losses, lost = [], []
    last = updates - updates // 10
    for t, batch in enumerate(job.batches(updates)):
        _widen(weights, params)
        loss, grads = job.loss_and_grads(batch)
        losses.append(loss)
        if choice.grads != "float32":
            grads = {name: g.astype(narrow[0]) for name, g in grads.items()}
        opt.step(grads)
        if t >= last:
            lost.append(opt.stats.total.lost)
    _widen(weights, params)
    return Result(float(np.mean(losses[last:])), *job.held_out(), float(np.mean(lost)), losses)


def _widen(weights: dict[str, np.ndarray], params: dict[str, np.ndarray]) -> None:
    if weights is not params:
        for name, w in weights.items():
            w[...] = params[name]
