"""A straight line through points: the smallest job with an answer known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrcore.tasks._task import Array, Data, Params, Task

# The two numbers lie some 5 away from their start.
RATES = {
    "SGD": 0.3,
    "Adagrad": 3.0,
    "Adafactor": 0.3,
    "RMSprop": 0.03,
    "Adam": 0.3,
    "AdamW": 0.3,
    "Lion": 0.01,
    "LAMB": 0.01,
    "LARS": 1.0,
    "FTRL": 3.0,
    "HypergradientSGD": 0.3,
}


@dataclass(frozen=True, eq=False)
class Line:
    """y = t0 + t1 x with J = 1/(2n) sum of (t0 + t1 x - y)^2; one parameter ``t = [t0, t1]``.

    Attributes
    ----------
    answer : ndarray
        The t that minimises J over all the data, to measure the distance to.
    """

    answer: Array

    def init(self, rng: np.random.Generator) -> Params:
        """Start at zero."""
        return {"t": np.zeros(2)}

    def loss_and_grads(self, params: Params, data: Data) -> tuple[float, Params]:
        """dJ/dt0 is the mean error, dJ/dt1 the mean of error times x."""
        t = params["t"]
        error = t[0] + t[1] * data.x - data.y
        loss = 0.5 * np.mean(error * error)
        return float(loss), {"t": np.array([np.mean(error), np.mean(error * data.x)])}

    def scores(self, params: Params, data: Data) -> dict[str, float]:
        """Return loss, and the distance from the least-squares answer in the worse parameter."""
        loss, _ = self.loss_and_grads(params, data)
        return {"loss": loss, "distance": float(np.abs(params["t"] - self.answer).max())}


def load(*, seed: int = 0, batch_size: int | None = None, points: int = 100) -> Task:
    """Make the task: noisy points around y = 4 + 3 x, in float64.

    Parameters
    ----------
    seed : int
        Chooses the points and the shuffling.
    batch_size : int, optional
        Points per update, all of them if not given: plain gradient descent.
    points : int
        How many.

    Returns
    -------
    Task
        Ready to `fit`; nothing is held out, the test is the least-squares answer.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 2.0, points)
    y = 4.0 + 3.0 * x + rng.standard_normal(points)
    answer, *_ = np.linalg.lstsq(np.stack([np.ones(points), x], axis=1), y)
    return Task(
        name="least squares, y = t0 + t1 x",
        kind="regression",
        model=Line(answer),
        train=Data(x, y),
        test=None,
        batch_size=batch_size or points,
        epochs=4000,
        seed=seed,
        optimizer="SGD",
        weight_decay=0.0,
        rates=RATES,
    )
