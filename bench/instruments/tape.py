"""Gradients for the models of the validation: a tape of NumPy operations, nothing more.

Written for variety at little cost (layer norms, convolutions, embeddings), not for speed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Node:
    """A value, and how the gradient of the loss flows from it to what it was made of."""

    __slots__ = ("back", "grad", "of", "value")

    def __init__(
        self, value: Array, of: tuple[Node, ...] = (), back: Callable[[Array], tuple] | None = None
    ) -> None:
        self.value, self.of, self.back = value, of, back
        self.grad: Array | None = None


def backward(loss: Node) -> None:
    """Leave d loss / d node in every node that the loss was made of."""
    order: list[Node] = []
    seen: set[int] = set()

    def visit(node: Node) -> None:
        if id(node) not in seen:
            seen.add(id(node))
            for part in node.of:
                visit(part)
            order.append(node)

    visit(loss)
    loss.grad = np.ones_like(loss.value)
    for node in reversed(order):
        if node.back is not None:
            for part, grad in zip(node.of, node.back(node.grad), strict=True):
                if grad is not None:
                    part.grad = grad if part.grad is None else part.grad + grad


def affine(x: Node, w: Node, b: Node) -> Node:
    """x w + b, rows in x."""
    a, m = x.value, w.value
    return Node(a @ m + b.value, (x, w, b), lambda g: (g @ m.T, a.T @ g, g.sum(axis=0)))


def relu(x: Node) -> Node:
    up = x.value > 0
    return Node(x.value * up, (x,), lambda g: (g * up,))


def tanh(x: Node) -> Node:
    y = np.tanh(x.value)
    return Node(y, (x,), lambda g: (g * (1 - y * y),))


def add(x: Node, y: Node) -> Node:
    return Node(x.value + y.value, (x, y), lambda g: (g, g))


def flat(x: Node) -> Node:
    shape = x.value.shape
    return Node(x.value.reshape(shape[0], -1), (x,), lambda g: (g.reshape(shape),))


def layer_norm(x: Node, gain: Node, eps: float = 1e-5) -> Node:
    """Each row minus its mean, divided by its spread, times a gain by column."""
    centred = x.value - x.value.mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + eps)
    y = centred * inverse

    def back(g: Array) -> tuple:
        h = g * gain.value
        mean, along = h.mean(axis=1, keepdims=True), (h * y).mean(axis=1, keepdims=True)
        return (h - mean - y * along) * inverse, (g * y).sum(axis=0)

    return Node(y * gain.value, (x, gain), back)


def rows_of(table: Node, which: NDArray[np.integer]) -> Node:
    """Rows of a table, those of one example beside each other: an embedding."""
    n, k = which.shape
    width = table.value.shape[1]

    def back(g: Array) -> tuple:
        grad = np.zeros_like(table.value)
        np.add.at(grad, which.ravel(), g.reshape(n * k, width))
        return (grad,)

    return Node(table.value[which].reshape(n, k * width), (table,), back)


def convolution(x: Node, w: Node, b: Node) -> Node:
    """3 x 3 windows of (n, height, width, channels), no padding; w is (9 channels, out)."""
    _, height, width, channels = x.value.shape
    corners = [(i, j) for i in range(3) for j in range(3)]
    a = np.concatenate(
        [x.value[:, i : height - 2 + i, j : width - 2 + j] for i, j in corners], axis=3
    )
    m = w.value

    def back(g: Array) -> tuple:
        windows = g @ m.T
        grad = np.zeros_like(x.value)
        for k, (i, j) in enumerate(corners):
            part = windows[..., k * channels : (k + 1) * channels]
            grad[:, i : height - 2 + i, j : width - 2 + j] += part
        rows = g.reshape(-1, g.shape[3])
        return grad, a.reshape(len(rows), -1).T @ rows, rows.sum(axis=0)

    return Node(a @ m + b.value, (x, w, b), back)


def pair_products(u: Node, v: Node, i: NDArray[np.integer], j: NDArray[np.integer]) -> Node:
    """Inner products of rows i of u with rows j of v: matrix factorisation, entry by entry."""
    a, c = u.value[i], v.value[j]

    def back(g: Array) -> tuple:
        left, right = np.zeros_like(u.value), np.zeros_like(v.value)
        np.add.at(left, i, g * c)
        np.add.at(right, j, g * a)
        return left, right

    return Node((a * c).sum(axis=1, keepdims=True), (u, v), back)


def cross_entropy(z: Node, y: NDArray[np.integer]) -> Node:
    """Mean over the rows of -log softmax(z)[y]."""
    rows = np.arange(len(y))
    shifted = z.value - z.value.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - shifted[rows, y])

    def back(g: Array) -> tuple:
        slope = p / total
        slope[rows, y] -= 1
        return (g * slope / len(y),)

    return Node(loss, (z,), back)


def half_mean_square(z: Node, y: Array) -> Node:
    """Mean over the rows of half the squared distance."""
    error = z.value - y.reshape(z.value.shape)
    n = len(error)
    return Node(0.5 * (error * error).sum() / n, (z,), lambda g: (g * error / n,))


def hinge(z: Node, y: Array) -> Node:
    """Mean of max(0, 1 - y z), y being -1 or 1."""
    short = 1 - y[:, None] * z.value
    out = (short > 0) * (-y[:, None]) / len(y)
    return Node(np.maximum(short, 0).mean(), (z,), lambda g: (g * out.astype(z.value.dtype),))
