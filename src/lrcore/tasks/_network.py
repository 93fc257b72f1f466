"""A fully connected network with its gradients by hand, and the losses it is used with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lrcore.tasks._task import Array, Data, Params


def cross_entropy(z: Array, y: Array) -> tuple[float, Array]:
    """Mean of -log softmax(z)[y] over the rows, and its derivative by `z`.

    `z` is (n, classes), `y` holds n class numbers.
    """
    rows = np.arange(len(y))
    shifted = z - z.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - shifted[rows, y], dtype=np.float64)
    p /= total
    p[rows, y] -= 1
    p /= len(y)
    return float(loss), p


def half_mean_square(z: Array, y: Array) -> tuple[float, Array]:
    """Return 1/(2n) sum of (z - y)^2, and its derivative by `z`; `z` is (n, 1), `y` n numbers."""
    error = z - y[:, None]
    return float(0.5 * np.mean(error * error, dtype=np.float64)), error / len(y)


def hinge(z: Array, y: Array) -> tuple[float, Array]:
    """Mean of max(0, 1 - y z), the loss of a support vector machine, and its derivative by `z`.

    `z` is (n, 1), `y` holds n signs, -1 or 1. Where 1 - y z is 0 the derivative taken is 0.
    Cortes and Vapnik 1995, "Support-Vector Networks".
    """
    signs = y[:, None].astype(z.dtype)
    short = np.maximum(1 - signs * z, 0)
    return float(np.mean(short, dtype=np.float64)), -signs * (short > 0) / len(y)


def sign_scores(z: Array, y: Array) -> dict[str, float]:
    """Return the hinge loss, and the share of signs that are right (0 counts as 1)."""
    right = (z[:, 0] >= 0) == (y > 0)
    return {"loss": hinge(z, y)[0], "accuracy": float(np.mean(right))}


def class_scores(z: Array, y: Array) -> dict[str, float]:
    """Return loss and accuracy."""
    return {
        "loss": cross_entropy(z, y)[0],
        "accuracy": float(np.mean(z.argmax(axis=1) == y)),
    }


def value_scores(z: Array, y: Array) -> dict[str, float]:
    """Return loss, R^2 (1 is perfect, 0 is no better than the mean) and root mean square error."""
    loss = half_mean_square(z, y)[0]
    spread = float(np.var(y, dtype=np.float64))
    r2 = 1 - 2 * loss / spread if spread else float("nan")
    return {"loss": loss, "r2": r2, "rmse": float(np.sqrt(2 * loss))}


class Activation(NamedTuple):
    """What stands between two layers."""

    value: Callable[[Array], Array]  # of the sum
    slope: Callable[[Array], Array]  # from the value
    gain: int  # variance of the weights before it, times the width of their input


ACTIVATIONS = {
    "relu": Activation(lambda z: np.maximum(z, 0), lambda a: a > 0, 2),
    "tanh": Activation(np.tanh, lambda a: 1 - a * a, 1),
}


@dataclass(frozen=True)
class Network:
    """Layers x @ w + b with an activation between them; parameters ``w1, b1, w2, b2, ...``.

    Attributes
    ----------
    sizes : tuple of int
        Width of the input, of each hidden layer, of the output. Two sizes make a linear model.
    loss : callable
        ``loss(z, y) -> (mean loss, its derivative by z)``.
    score : callable
        ``score(z, y) -> {name: value}``.
    dtype : dtype
        Of the parameters; the inputs should have it too.
    activation : {"relu", "tanh"}
        max(0, .) or the hyperbolic tangent.
    l2 : float
        What is trained is the loss and l2/2 times the sum of the squares of all weights, biases
        not among them. `scores` tells the loss alone.
    """

    sizes: tuple[int, ...]
    loss: Callable[[Array, Array], tuple[float, Array]]
    score: Callable[[Array, Array], dict[str, float]]
    dtype: type[np.floating] = np.float32
    activation: str = "relu"
    l2: float = 0.0

    @property
    def layers(self) -> range:
        """Numbers of the layers, from 1."""
        return range(1, len(self.sizes))

    def least_bytes(self, rows: int) -> int:
        """Return what training cannot do without when `rows` rows are evaluated at once.

        That is a value and a gradient for every parameter, and every hidden unit's sum and output
        for every row.
        """
        count = sum((self.sizes[i - 1] + 1) * self.sizes[i] for i in self.layers)
        return 2 * np.dtype(self.dtype).itemsize * (count + rows * sum(self.sizes[1:-1]))

    def init(self, rng: np.random.Generator) -> Params:
        """Normal weights, of variance 2/n before a ReLU, 1/n before tanh and in the last layer.

        A linear model starts at zero, as do all biases; n is the width of the layer's input.
        He et al. 2015, "Delving Deep into Rectifiers", equation 10.
        """
        params: Params = {}
        for i in self.layers:
            rows, columns = self.sizes[i - 1 : i + 1]
            gain = self._between.gain if i < len(self.layers) else 1 if i > 1 else 0
            scale = np.sqrt(gain / rows)
            params[f"w{i}"] = (scale * rng.standard_normal((rows, columns))).astype(self.dtype)
            params[f"b{i}"] = np.zeros(columns, self.dtype)
        return params

    def loss_and_grads(self, params: Params, data: Data) -> tuple[float, Params]:
        """Forward, then backward by the chain rule, a layer at a time."""
        inputs, z = self._forward(params, data.x)
        loss, slope = self.loss(z, data.y)
        grads: Params = dict.fromkeys(params, z)  # the order of params; each is replaced below
        for i in reversed(self.layers):
            x = inputs[i - 1]
            grads[f"w{i}"] = x.T @ slope
            grads[f"b{i}"] = slope.sum(axis=0)
            if i > 1:
                slope = (slope @ params[f"w{i}"].T) * self._between.slope(x)
        if self.l2:
            for i in self.layers:
                w = params[f"w{i}"]
                loss += 0.5 * self.l2 * float(np.sum(w * w, dtype=np.float64))
                grads[f"w{i}"] += self.dtype(self.l2) * w
        return loss, grads

    def scores(self, params: Params, data: Data) -> dict[str, float]:
        """Return the scores of the network's answers to `data.x`."""
        return self.score(self._forward(params, data.x)[1], data.y)

    @property
    def _between(self) -> Activation:
        return ACTIVATIONS[self.activation]

    def _forward(self, params: Params, x: Array) -> tuple[list[Array], Array]:
        """Input of every layer, and the output of the last."""
        inputs = [x]
        for i in self.layers:
            z = inputs[-1] @ params[f"w{i}"] + params[f"b{i}"]
            if i < len(self.layers):
                inputs.append(self._between.value(z))
        return inputs, z
