"""Problems on which nothing was tuned: whether the instruments hold for others.

Other models (recurrent, gated, exponential link, several labels at once), other batch sizes, other
lengths of a run than those of `problems`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import tape
from problems import Array, Batch, Model, Params, Problem, digits, layers, letters, scaled
from tape import Node


def _product(x: Node, y: Node) -> Node:
    return Node(x.value * y.value, (x, y), lambda g: (g * y.value, g * x.value))


def _sigmoid(x: Node) -> Node:
    y = 1 / (1 + np.exp(-np.clip(x.value, -60, 60)))
    return Node(y, (x,), lambda g: (g * y * (1 - y),))


def _normal(rng: np.random.Generator, rows: int, columns: int) -> Array:
    return (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)


def recurrent(symbols: int, width: int) -> Model:
    """h = tanh(table[x_t] + h w), the next symbol from the last h."""

    def start(rng: np.random.Generator) -> Params:
        return {
            "table": _normal(rng, symbols, width),
            "w": _normal(rng, width, width),
            "b": np.zeros(width, np.float32),
            "out": _normal(rng, width, symbols),
            "b_out": np.zeros(symbols, np.float32),
        }

    def loss(p: dict[str, Node], x: Array, y: Array) -> Node:
        h = tape.tanh(tape.rows_of(p["table"], x[:, :1]))
        for t in range(1, x.shape[1]):
            drive = tape.rows_of(p["table"], x[:, t : t + 1])
            h = tape.tanh(tape.add(drive, tape.affine(h, p["w"], p["b"])))
        return tape.cross_entropy(tape.affine(h, p["out"], p["b_out"]), y)

    return start, loss


def gated(inputs: int, width: int, classes: int) -> Model:
    """tanh(x a) * sigmoid(x c), then an affine map."""

    def start(rng: np.random.Generator) -> Params:
        return {
            "a": _normal(rng, inputs, width),
            "b": np.zeros(width, np.float32),
            "c": _normal(rng, inputs, width),
            "d": np.zeros(width, np.float32),
            "out": _normal(rng, width, classes),
            "b_out": np.zeros(classes, np.float32),
        }

    def loss(p: dict[str, Node], x: Array, y: Array) -> Node:
        left = tape.tanh(tape.affine(Node(x), p["a"], p["b"]))
        right = _sigmoid(tape.affine(Node(x), p["c"], p["d"]))
        h = _product(left, right)
        return tape.cross_entropy(tape.affine(h, p["out"], p["b_out"]), y)

    return start, loss


def _poisson(z: Node, y: Array) -> Node:
    """Mean of exp(z) - y z: counts."""
    rate = np.exp(np.minimum(z.value, 60))
    target = y[:, None]
    out = (rate - target) / len(y)
    return Node((rate - target * z.value).mean() + 3, (z,), lambda g: (g * out,))


def _each_label(z: Node, y: Array) -> Node:
    """Mean over the rows of the sum of ten logistic losses."""
    loss = np.logaddexp(0, z.value) - y * z.value
    slope = 1 / (1 + np.exp(-np.clip(z.value, -60, 60))) - y
    n = len(y)
    return Node(loss.sum() / n, (z,), lambda g: (g * slope.astype(z.value.dtype) / n,))


def counts() -> Batch:
    """Counts whose logarithm is linear in 12 inputs."""
    rng = np.random.default_rng(21)
    x = rng.standard_normal((1500, 12)).astype(np.float32)
    return x, rng.poisson(np.exp(x @ (0.3 * rng.standard_normal(12)))).astype(np.float32)


def steep() -> Batch:
    """A linear regression whose inputs have spreads from 0.1 to 3."""
    rng = np.random.default_rng(22)
    x = (rng.standard_normal((2000, 30)) * np.geomspace(0.1, 3, 30)).astype(np.float32)
    y = x @ rng.standard_normal(30) + 0.5 * rng.standard_normal(2000)
    return x, y.astype(np.float32)


def spirals() -> Batch:
    """Two arms that wind around each other."""
    rng = np.random.default_rng(23)
    y = rng.integers(0, 2, 1200)
    r = rng.uniform(0.3, 3, 1200)
    angle = 2 * r + np.pi * y + 0.1 * rng.standard_normal(1200)
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1).astype(np.float32), y


def several() -> Batch:
    """Digits, with which of ten properties each has."""
    x, y = digits()
    table = np.random.default_rng(24).integers(0, 2, (10, 10))
    return x, table[y].astype(np.float32)


def _problems() -> list[tuple[str, Batch, Any, tuple[int, int], int]]:
    text, following, symbols = letters(10)
    ce = tape.cross_entropy
    return [
        ("steep", steep(), layers((30, 1), tape.half_mean_square), (4, 50), 800),
        ("counts", counts(), layers((12, 1), _poisson), (10, 200), 300),
        ("spirals", spirals(), layers((2, 24, 24, 2), ce, tape.tanh), (20, 300), 1500),
        ("several labels", several(), layers((64, 40, 10), _each_label), (10, 100), 600),
        ("recurrent", (text, following), recurrent(symbols, 32), (24, 96), 500),
        ("gated", digits(), gated(64, 48, 10), (32, 256), 250),
        ("wine wide", scaled("wine"), layers((13, 256, 3), ce), (4, 60), 300),
        ("digits wide", digits(), layers((64, 400, 10), ce), (50, 200), 700),
    ]


@cache
def problems() -> dict[str, Problem]:
    """All of them by name."""
    return {
        name: Problem(name, *data, *model, batches, steps)
        for name, data, model, batches, steps in _problems()
    }
