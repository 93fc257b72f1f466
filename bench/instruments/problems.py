"""The problems on which the instruments are measured, and on which their thresholds were tuned.

Small, real where real data come with scikit-learn or Python, and different from each other: linear
and not, convex and not, classes and values, full batches and single rows, clean and noisy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import tape
from numpy.typing import NDArray
from tape import Node

Array = NDArray[Any]
Params = dict[str, Array]
Batch = tuple[Array, Array]
#: How the parameters start, and the loss of a tape of them.
Model = tuple[
    Callable[[np.random.Generator], Params], Callable[[dict[str, Node], Array, Array], Node]
]
ROWS_TO_JUDGE = 2000


@dataclass(frozen=True, eq=False)
class Problem:
    """Data, a model, and the two batch sizes it is trained with.

    `loss` makes the loss of a tape of parameters; `start` makes parameters from a generator.
    """

    name: str
    x: Array
    y: Array
    start: Callable[[np.random.Generator], Params]
    loss: Callable[[dict[str, Node], Array, Array], Node]
    batches: tuple[int, int]
    steps: int = 400

    def init(self, seed: int) -> Params:
        """Fresh parameters, the same bits at every call."""
        return self.start(np.random.default_rng((7, seed)))

    def batch(self, seed: int, size: int, step: int) -> Batch:
        """The batch of a step: shuffled anew in every pass."""
        n = len(self.y)
        if size >= n:
            return self.x, self.y
        whole = n // size
        order = _order(n, seed, step // whole)
        rows = order[step % whole * size : (step % whole + 1) * size]
        return self.x[rows], self.y[rows]

    def loss_only(self, params: Params, batch: Batch) -> float:
        """Forward alone."""
        with np.errstate(all="ignore"):
            return float(self.loss({k: Node(v) for k, v in params.items()}, *batch).value)

    def loss_and_grads(self, params: Params, batch: Batch) -> tuple[float, Params]:
        """Forward and backward."""
        leaves = {k: Node(v) for k, v in params.items()}
        with np.errstate(all="ignore"):
            loss = self.loss(leaves, *batch)
            tape.backward(loss)
        grads = {
            k: leaf.grad if leaf.grad is not None else np.zeros_like(leaf.value)
            for k, leaf in leaves.items()
        }
        return float(loss.value), grads

    def judge(self, params: Params) -> float:
        """The loss over the training data (of 2000 rows if there are more)."""
        rows = np.linspace(0, len(self.y) - 1, min(len(self.y), ROWS_TO_JUDGE)).astype(int)
        return self.loss_only(params, (self.x[rows], self.y[rows]))


@cache
def _order(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((11, seed, epoch)).permutation(n)


# ------------------------------------------------------------------------------- models


def layers(
    sizes: tuple[int, ...],
    out: Callable[[Node, Array], Node],
    bend: Callable[[Node], Node] = tape.relu,
    *,
    zero: bool = False,
) -> tuple[
    Callable[[np.random.Generator], Params], Callable[[dict[str, Node], Array, Array], Node]
]:
    """A fully connected network; two sizes make a linear model, which starts at zero."""
    count = len(sizes) - 1

    def start(rng: np.random.Generator) -> Params:
        params: Params = {}
        for i in range(count):
            gain = 2.0 if bend is tape.relu and i < count - 1 else 1.0
            w = rng.standard_normal(sizes[i : i + 2]) * np.sqrt(gain / sizes[i])
            params[f"w{i}"] = (0 * w if count == 1 else w).astype(np.float32)
            params[f"b{i}"] = np.zeros(sizes[i + 1], np.float32)
        return params

    def loss(p: dict[str, Node], x: Array, y: Array) -> Node:
        h = Node(x)
        for i in range(count):
            h = tape.affine(h, p[f"w{i}"], p[f"b{i}"])
            if i < count - 1:
                h = bend(h)
        return out(h, y)

    return start, loss


def residual(inputs: int, width: int, depth: int, classes: int) -> Model:
    """Blocks h + relu(norm(h) w) between an affine map in and one out."""

    def start(rng: np.random.Generator) -> Params:
        params: Params = {
            "in": (rng.standard_normal((inputs, width)) / np.sqrt(inputs)).astype(np.float32),
            "b_in": np.zeros(width, np.float32),
            "out": (rng.standard_normal((width, classes)) / np.sqrt(width)).astype(np.float32),
            "b_out": np.zeros(classes, np.float32),
        }
        for i in range(depth):
            w = rng.standard_normal((width, width)) * np.sqrt(2 / width)
            params[f"w{i}"] = w.astype(np.float32)
            params[f"b{i}"] = np.zeros(width, np.float32)
            params[f"g{i}"] = np.ones(width, np.float32)
        return params

    def loss(p: dict[str, Node], x: Array, y: Array) -> Node:
        h = tape.affine(Node(x), p["in"], p["b_in"])
        for i in range(depth):
            inner = tape.affine(tape.layer_norm(h, p[f"g{i}"]), p[f"w{i}"], p[f"b{i}"])
            h = tape.add(h, tape.relu(inner))
        return tape.cross_entropy(tape.affine(h, p["out"], p["b_out"]), y)

    return start, loss


def convolutional(channels: int) -> Model:
    """Two 3 x 3 convolutions on images of 8 x 8, then an affine map to 10 classes."""

    def start(rng: np.random.Generator) -> Params:
        def normal(rows: int, columns: int) -> Array:
            w = rng.standard_normal((rows, columns)) * np.sqrt(2 / rows)
            return w.astype(np.float32)

        return {
            "c0": normal(9, channels),
            "d0": np.zeros(channels, np.float32),
            "c1": normal(9 * channels, channels),
            "d1": np.zeros(channels, np.float32),
            "w": normal(16 * channels, 10),
            "b": np.zeros(10, np.float32),
        }

    def loss(p: dict[str, Node], x: Array, y: Array) -> Node:
        h = tape.relu(tape.convolution(Node(x.reshape(-1, 8, 8, 1)), p["c0"], p["d0"]))
        h = tape.relu(tape.convolution(h, p["c1"], p["d1"]))
        return tape.cross_entropy(tape.affine(tape.flat(h), p["w"], p["b"]), y)

    return start, loss


def embedded(symbols: int, context: int, width: int, hidden: int) -> Model:
    """The next symbol from those before it: an embedding, one hidden layer, softmax."""
    inner, _ = layers((context * width, hidden, symbols), tape.cross_entropy, tape.tanh)

    def start(rng: np.random.Generator) -> Params:
        table = rng.standard_normal((symbols, width)).astype(np.float32)
        return {"table": table, **inner(rng)}

    def loss(p: dict[str, Node], x: Array, y: Array) -> Node:
        h = tape.affine(tape.rows_of(p["table"], x), p["w0"], p["b0"])
        return tape.cross_entropy(tape.affine(tape.tanh(h), p["w1"], p["b1"]), y)

    return start, loss


def factorised(rows: int, columns: int, rank: int) -> Model:
    """Entries of a matrix as products of two thin ones."""

    def start(rng: np.random.Generator) -> Params:
        shapes = {"u": (rows, rank), "v": (columns, rank)}
        return {k: (0.3 * rng.standard_normal(s)).astype(np.float32) for k, s in shapes.items()}

    def loss(p: dict[str, Node], x: Array, y: Array) -> Node:
        return tape.half_mean_square(tape.pair_products(p["u"], p["v"], x[:, 0], x[:, 1]), y)

    return start, loss


# --------------------------------------------------------------------------------- data


def scaled(load: str) -> Batch:
    """Data of scikit-learn, columns with mean 0 and variance 1; values so, too."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{load}")(return_X_y=True)
    spread = x.std(axis=0)
    x = ((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
    if y.dtype.kind == "f":
        y = ((y - y.mean()) / y.std()).astype(np.float32)
    return x, y


def digits() -> Batch:
    """Images of handwritten digits, from 0 to 1 less their mean."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    return x - x.mean(axis=0), y


def letters(context: int) -> tuple[Array, Array, int]:
    """The English of Python's own manual, its letters as numbers, in windows."""
    from pydoc_data.topics import topics

    text = re.sub(r"[^a-z]+", " ", " ".join(topics[k] for k in sorted(topics)).lower())[:60_000]
    alphabet = sorted(set(text))
    codes = np.array([alphabet.index(c) for c in text])
    windows = np.lib.stride_tricks.sliding_window_view(codes, context + 1)
    return windows[:, :-1], windows[:, -1], len(alphabet)


def waves(seed: int = 0) -> Batch:
    """Noisy waves of 40 samples in one of six shapes."""
    rng = np.random.default_rng(seed)
    n, t = 3000, np.linspace(0, 2 * np.pi, 40)
    y = rng.integers(0, 6, n)
    phase, pitch = rng.uniform(0, 2 * np.pi, (n, 1)), 1 + 0.1 * rng.standard_normal((n, 1))
    angle = (1 + y[:, None] % 3) * pitch * t + phase
    shape = np.where(y[:, None] < 3, np.sin(angle), np.sign(np.sin(angle)))
    return (shape + 0.6 * rng.standard_normal((n, 40))).astype(np.float32), y


def ratings(rows: int, columns: int, rank: int) -> Batch:
    """Some entries of a noisy matrix of low rank."""
    rng = np.random.default_rng(5)
    truth = rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, columns))
    i, j = rng.integers(0, rows, 6000), rng.integers(0, columns, 6000)
    y = truth[i, j] / np.sqrt(rank) + 0.2 * rng.standard_normal(6000)
    return np.stack([i, j], axis=1), y.astype(np.float32)


def rare_words() -> Batch:
    """Texts of 20 words, few common and most rare, for or against."""
    rng = np.random.default_rng(3)
    n, words = 3000, 800
    chance = 1 / (np.arange(words) + 10.0)
    text = rng.choice(words, (n, 20), p=chance / chance.sum())
    weight = rng.standard_normal(words)
    y = (weight[text].sum(axis=1) + rng.standard_normal(n) > 0).astype(np.int64)
    x = np.zeros((n, words), np.float32)
    x[np.arange(n)[:, None], text] = 1
    return x, y


def line() -> Batch:
    """A hundred noisy points around y = 4 + 3 x, as the articles have them."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 2, (100, 1))
    y = 4 + 3 * x[:, 0] + rng.standard_normal(100)
    return x.astype(np.float32), y.astype(np.float32)


def mislabelled() -> Batch:
    """Digits, a quarter of the labels drawn at random."""
    x, y = digits()
    rng = np.random.default_rng(2)
    return x, np.where(rng.random(len(y)) < 0.25, rng.integers(0, 10, len(y)), y)


def signs() -> Batch:
    """Tumours as -1 and 1, for the hinge."""
    x, y = scaled("breast_cancer")
    return x, (2 * y - 1).astype(np.float32)


# ----------------------------------------------------------------------------- the list


def _problems() -> list[tuple[str, Batch, Any, tuple[int, int]]]:
    ce, square = tape.cross_entropy, tape.half_mean_square
    text, following, symbols = letters(5)
    pictures = digits()
    return [
        ("line", line(), layers((1, 1), square), (10, 100)),
        ("diabetes linear", scaled("diabetes"), layers((10, 1), square), (16, 442)),
        ("diabetes tanh", scaled("diabetes"), layers((10, 32, 1), square, tape.tanh), (16, 128)),
        ("cancer logistic", scaled("breast_cancer"), layers((30, 2), ce), (16, 128)),
        ("cancer svm", signs(), layers((30, 1), tape.hinge), (16, 128)),
        ("wine softmax", scaled("wine"), layers((13, 3), ce), (8, 178)),
        ("iris relu", scaled("iris"), layers((4, 16, 3), ce), (8, 150)),
        ("digits softmax", pictures, layers((64, 10), ce), (16, 128)),
        ("digits relu", pictures, layers((64, 64, 10), ce), (16, 128)),
        ("digits deep", pictures, layers((64, 48, 48, 48, 48, 10), ce, tape.tanh), (16, 128)),
        ("digits residual", pictures, residual(64, 32, 4, 10), (16, 128)),
        ("digits convolution", pictures, convolutional(8), (16, 64)),
        ("digits mislabelled", mislabelled(), layers((64, 64, 10), ce), (8, 64)),
        ("digits copied", (pictures[0], pictures[0]), layers((64, 24, 64), square), (16, 128)),
        ("letters", (text, following), embedded(symbols, 5, 8, 48), (16, 128)),
        ("rare words", rare_words(), layers((800, 2), ce), (16, 128)),
        ("ratings", ratings(60, 80, 3), factorised(60, 80, 4), (32, 256)),
        ("waves", waves(), layers((40, 64, 32, 6), ce), (16, 128)),
    ]


@cache
def problems() -> dict[str, Problem]:
    """All problems by name. The thresholds in `lrcore.instruments` were tuned on these."""
    return {
        name: Problem(name, *data, *model, batches) for name, data, model, batches in _problems()
    }
