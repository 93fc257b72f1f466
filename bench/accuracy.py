"""What narrow storage costs in accuracy: python bench/accuracy.py (needs torch and ml_dtypes).

Three networks are trained with AdamW, once for each way to store parameters and state, from the
same first weights and on the same batches: the digits network of lrcore.tasks with its own
gradients, and a convolution network and a character-level transformer in PyTorch; then the first
of them with other rules and data, for each way to store state. Forward and backward passes are in
float32 throughout; narrow parameters are copied to float32 for them.

Nothing is downloaded: the images are scikit-learn's, the text is that of Python's own `help`.
Fresh noise on the images of every batch, and more text than is read, keep the losses well off 0.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pydoc_data.topics import topics
from time import perf_counter
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import torch
from torch import nn
from torch.nn import functional as f

import lrcore
from lrcore import schedules
from lrcore.tasks import Data, digits

# ---------------------------------------------------------------------------- ways to store


@dataclass(frozen=True)
class Choice:
    """A way to store what AdamW works on."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    params: str = "float32"
    grads: str = "float32"
    #: Begin at the float32 next to every weight: what chance alone does to a run.
    nudged: bool = False


STOCHASTIC = {"rounding": "stochastic"}
INT8 = {"state_dtype": "int8"}
BFLOAT16 = {"state_dtype": "bfloat16"}
PARAMS = [("nearest", {}), ("stochastic", STOCHASTIC)]
PARAMS += [(f"master {kind}", {"master": kind}) for kind in ("float32", "split")]

CHOICES = [
    Choice("float32"),
    Choice("float32, first weights a rounding away", nudged=True),
    Choice("state bfloat16, nearest", BFLOAT16),
    Choice("state bfloat16, stochastic", BFLOAT16 | STOCHASTIC),
    Choice("state int8, nearest", INT8),
    Choice("state int8, stochastic", INT8 | STOCHASTIC),
    *(Choice(f"parameters bfloat16, {name}", own, "bfloat16") for name, own in PARAMS),
    *(
        Choice(f"parameters bfloat16, {name}; state int8", own | INT8, "bfloat16")
        for name, own in PARAMS
    ),
    Choice("all of it bfloat16, stochastic", BFLOAT16 | STOCHASTIC, "bfloat16", "bfloat16"),
]


# --------------------------------------------------------------------------------- networks

#: Standard deviation of the noise on pixels in 0..1; noisy copies of each held-out image.
NOISE, COPIES = 0.3, 8


class Digits:
    """The network of lrcore.tasks.digits, 64-256-10, on noisy images."""

    def __init__(self, seed: int, noise: float = NOISE) -> None:
        self.seed, self.noise = seed, np.float32(noise)
        self.task = digits.load(seed=seed)
        self.weights = self.task.init()
        x, y = self.task.test
        rng = np.random.default_rng((seed, 1))
        self.held = Data(self._noisy(np.tile(x, (COPIES, 1)), rng), np.tile(y, COPIES))

    def batches(self, count: int) -> Iterator[Data]:
        """The first `count` batches, the same at every call."""
        rng = np.random.default_rng((self.seed, 2))
        per_epoch = self.task.updates_per_epoch
        for epoch in range(-(-count // per_epoch)):
            rest = count - epoch * per_epoch
            for _, (x, y) in zip(range(rest), self.task.batches(epoch), strict=False):
                yield Data(self._noisy(x, rng), y)

    def loss_and_grads(self, batch: Data) -> tuple[float, dict[str, np.ndarray]]:
        """Mean loss of a batch at `weights`, and its gradients."""
        return self.task.loss_and_grads(self.weights, batch)

    def held_out(self) -> tuple[float, float]:
        """Mean loss and share of right answers on what is not trained on."""
        scores = self.task.model.scores(self.weights, self.held)
        return scores["loss"], scores["accuracy"]

    def _noisy(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return x + self.noise * rng.standard_normal(x.shape, np.float32)


class Torch:
    """A PyTorch module; `weights` are NumPy views of its parameters."""

    held: list[Data]

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.weights = {name: p.detach().numpy() for name, p in module.named_parameters()}

    def loss_and_grads(self, batch: Data) -> tuple[float, dict[str, np.ndarray]]:
        """Mean loss of a batch at `weights`, and its gradients."""
        self.module.zero_grad()
        loss, _ = self._loss(batch)
        loss.backward()
        return loss.item(), {name: p.grad.numpy() for name, p in self.module.named_parameters()}

    def held_out(self) -> tuple[float, float]:
        """Mean loss and share of right answers on what is not trained on."""
        with torch.no_grad():
            scores = [[float(v) for v in self._loss(batch)] for batch in self.held]
        loss, accuracy = np.mean(scores, axis=0)
        return float(loss), float(accuracy)

    def _loss(self, batch: Data) -> tuple[torch.Tensor, torch.Tensor]:
        answers = self.module(torch.from_numpy(batch.x)).flatten(0, -2)
        right = torch.from_numpy(batch.y).flatten()
        return f.cross_entropy(answers, right), (answers.argmax(-1) == right).float().mean()


class Convolution(Torch):
    """Two layers of 3 x 3 convolutions on the same images; 6,090 weights."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 10)))
        self.digits = Digits(seed)
        self.held = [self._images(self.digits.held)]

    def batches(self, count: int) -> Iterator[Data]:
        """The first `count` batches, the same at every call."""
        return map(self._images, self.digits.batches(count))

    @staticmethod
    def _images(rows: Data) -> Data:
        return Data(rows.x.reshape(-1, 1, 8, 8), rows.y)


class Transformer(Torch):
    """Predicts the next character of Python's help texts; 114,000 weights."""

    LENGTH, TEXTS = 32, 16  # characters that are read at once, such pieces in a batch

    def __init__(self, seed: int, width: int = 64) -> None:
        self.seed = seed
        text = "\n".join(topics[name] for name in sorted(topics))
        letters, numbers = np.unique(np.array(list(text)), return_inverse=True)
        end = len(numbers) * 9 // 10
        self.text = numbers[:end]
        pieces = (len(numbers) - end) // (self.LENGTH + 1)
        held = numbers[end : end + pieces * (self.LENGTH + 1)].reshape(pieces, -1)
        self.held = [Data(part[:, :-1], part[:, 1:]) for part in np.array_split(held, 8)]
        torch.manual_seed(seed)
        super().__init__(Attention(len(letters), self.LENGTH, width))

    def batches(self, count: int) -> Iterator[Data]:
        """The first `count` batches, the same at every call."""
        rng = np.random.default_rng((self.seed, 2))
        for _ in range(count):
            starts = rng.integers(0, len(self.text) - self.LENGTH, self.TEXTS)
            at = starts[:, None] + np.arange(self.LENGTH)
            yield Data(self.text[at], self.text[at + 1])


class Attention(nn.Module):
    """A transformer of two layers that only look back."""

    def __init__(self, letters: int, length: int, width: int) -> None:
        super().__init__()
        self.letters = nn.Embedding(letters, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.layers = nn.Sequential(Layer(width), Layer(width))
        self.norm, self.answer = nn.LayerNorm(width), nn.Linear(width, letters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (texts, places) to (texts, places, letters)."""
        return self.answer(self.norm(self.layers(self.letters(x) + self.places)))


class Layer(nn.Module):
    """Attention with four heads and a network of two layers, each after a normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of the same shape."""
        n, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(n, length, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
        y = f.scaled_dot_product_attention(*qkv, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, length, width))
        return x + self.down(f.gelu(self.up(self.norm2(x))))


class Task(NamedTuple):
    """A network, how many updates it is trained for, the highest rate, the rule."""

    name: str
    job: Callable[[int], Any]
    updates: int
    lr: float
    rule: str = "AdamW"
    momentum: float | None = None


TASKS = [
    Task("digits network", Digits, 2000, 3e-3),
    Task("convolution", Convolution, 2000, 3e-3),
    Task("transformer", Transformer, 2000, 3e-3),
]
QUIET = partial(Digits, noise=0.0)  # the loss falls towards 0
RULES = [
    Task("AdamW", Digits, 2000, 3e-3),
    Task("AdamW, images without noise", QUIET, 2000, 3e-3),
    Task("AdamW, images without noise, lr=0.01", QUIET, 2000, 1e-2),
    Task("SGD(momentum=0.9)", Digits, 2000, 0.1, "SGD", 0.9),
    Task("SGD(momentum=0.99)", Digits, 2000, 0.01, "SGD", 0.99),
    Task("Adagrad", Digits, 2000, 0.03, "Adagrad"),
    Task("RMSprop", Digits, 2000, 1e-3, "RMSprop"),
    Task("RMSprop(momentum=0.9)", Digits, 2000, 1e-3, "RMSprop", 0.9),
    Task("Adam", Digits, 2000, 3e-3, "Adam"),
    Task("Lion", Digits, 2000, 3e-4, "Lion"),
    Task("LAMB", Digits, 2000, 3e-3, "LAMB"),
]


# --------------------------------------------------------------------------------- training


@dataclass
class Result:
    """What became of a run."""

    #: Mean loss of the last tenth of the batches, each before its update.
    loss: float
    held_out_loss: float
    held_out_accuracy: float
    #: Mean share of the updates that rounding ate, in the last tenth.
    lost: float
    losses: list[float] = field(repr=False)


def train(task: Task, choice: Choice, seed: int) -> Result:
    """Train a task from `seed`, with a cosine after a warm-up of a twentieth."""
    updates, job = task.updates, task.job(seed)
    weights = job.weights
    if choice.nudged:
        for w in weights.values():
            w[...] = np.nextafter(w, np.float32(np.inf))
    params = weights if choice.params == "float32" else narrow(weights)
    opt = getattr(lrcore, task.rule)(
        params,
        lr=schedules.Cosine(task.lr, steps=updates, warmup=updates // 20),
        stats=True,
        seed=seed,
        **({} if task.momentum is None else {"momentum": task.momentum}),
        **choice.options,
    )
    losses, lost = [], []
    for batch in job.batches(updates):
        widen(params, weights)
        loss, grads = job.loss_and_grads(batch)
        opt.step(grads if choice.grads == "float32" else narrow(grads))
        losses.append(loss)
        lost.append(opt.stats.total.lost)
    widen(params, weights)
    last = slice(updates - updates // 10, None)
    means = float(np.mean(losses[last])), float(np.mean(lost[last]))
    return Result(means[0], *job.held_out(), means[1], losses)


def narrow(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return them in bfloat16."""
    return {name: a.astype(ml_dtypes.bfloat16) for name, a in arrays.items()}


def widen(params: dict[str, np.ndarray], weights: dict[str, np.ndarray]) -> None:
    """Copy parameters to the weights of the network, where these are not the same arrays."""
    if params is not weights:
        for name, w in weights.items():
            w[...] = params[name]


# ---------------------------------------------------------------------------------- report


Rows = dict[str, dict[str, dict[str, Any]]]


def measure(tasks: list[Task], choices: list[Choice], seeds: range) -> Rows:
    """Train everything: by task and choice, what came of it, a number a seed."""
    rows: Rows = {}
    for task in tasks:
        base: list[Result] = []
        for choice in choices:
            start = perf_counter()
            results = [train(task, choice, seed) for seed in seeds]
            base = base or results
            both = list(zip(results, base, strict=True))
            rows.setdefault(task.name, {})[choice.name] = {
                "loss": [r.loss for r in results],
                "ratio": [r.loss / b.loss for r, b in both],
                "held_out_loss": [r.held_out_loss for r in results],
                "held_out_ratio": [r.held_out_loss / b.held_out_loss for r, b in both],
                "held_out_accuracy": [r.held_out_accuracy for r in results],
                "lost": [r.lost for r in results],
            }
            seconds = perf_counter() - start
            print(f"{task.name}, {choice.name}: {seconds:.0f} s", file=sys.stderr)
    return rows


def show(rows: Rows, rules: Rows) -> None:
    """Print tables, ratios as loss / float32's of the same seed."""
    choices = [choice.name for choice in CHOICES]
    states = [name for name in choices if name.startswith("state ")]
    for key, title in (("ratio", "training"), ("held_out_ratio", "held-out")):
        table(
            [f"{title} loss / float32's: mean (each seed)", *rows],
            [[name, *(mean_and_each(of[name][key]) for of in rows.values())] for name in choices],
        )
    numbers = []
    for task, of in rows.items():
        row = of["float32"]
        spread = np.ptp(row["loss"]) / np.mean(row["loss"])
        keys = ("loss", "held_out_loss", "held_out_accuracy")
        numbers.append([task, *(mean_and_each(row[k]) for k in keys), f"{100 * spread:.1f} %"])
    head = ["float32", "training loss", "held-out loss", "held-out accuracy"]
    table([*head, "training loss: spread of the seeds"], numbers)
    table(
        ["elements that an update did not move", *rows],
        [[n, *(f"{100 * np.mean(of[n]['lost']):.0f} %" for of in rows.values())] for n in choices],
    )
    table(
        ["digits network, training loss / float32's", *states],
        [[rule, *(f"{np.mean(of[n]['ratio']):.4f}" for n in states)] for rule, of in rules.items()],
    )
    for name in states:
        off = [float(np.mean(of[name]["ratio"])) - 1 for of in rows.values()]
        verdict = "within" if max(map(abs, off)) <= 0.01 else "NOT within"
        print(f"{name}: {verdict} 1 % of float32, {', '.join(f'{100 * x:+.2f} %' for x in off)}")


def table(head: list[str], lines: list[list[str]]) -> None:
    """Print a table in Markdown."""
    for cells in (head, ["---"] * len(head), *lines):
        print("|", " | ".join(cells), "|")
    print()


def mean_and_each(values: list[float]) -> str:
    """Four places."""
    return f"{np.mean(values):.4f} ({' '.join(f'{v:.4f}' for v in values)})"


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--seeds", type=int, default=3, help="how many (%(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    start, seeds = perf_counter(), range(args.seeds)
    states = [c for c in CHOICES if c.name == "float32" or c.name.startswith("state ")]
    rows, rules = measure(TASKS, CHOICES, seeds), measure(RULES, states, seeds)
    versions = {"lrcore": lrcore.__version__, "torch": torch.__version__, "numpy": np.__version__}
    versions |= {"ml_dtypes": ml_dtypes.__version__, "python": platform.python_version()}
    if args.json:
        print(json.dumps({"networks": rows, "rules": rules, "versions": versions}, indent=1))
        return
    show(rows, rules)
    print("\n" + ", ".join(f"{name} {version}" for name, version in versions.items()), end="")
    print(f"; {(perf_counter() - start) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
