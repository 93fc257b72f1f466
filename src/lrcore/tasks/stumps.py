"""Boosted regression stumps on 442 diabetes patients: the learning rate is the shrinkage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrcore.tasks._network import half_mean_square, value_scores
from lrcore.tasks._registry import need
from lrcore.tasks._split import HELD_OUT
from lrcore.tasks._task import Array, Data, Params, Task

# AdamW, which scales every cell for itself, makes most of the cells with the fewest rows.
RATES = {"SGD": 0.05, "AdamW": 0.0005}


@dataclass(frozen=True, eq=False)
class Stumps:
    """A sum of stumps (trees of one split), kept as one table of values: the parameter ``f``.

    A row of `x` says in which cell of each column it lies: ``x[i, j]`` counts the distinct values
    of column j that are smaller. F(x) is the sum over j of f[j, x_j] / root[j, x_j]; every sum of
    stumps can be written so.

    In place of the gradient of the mean square stands its part along the best stump: of all tables
    with one column, and there one value on each side of a split, the one nearest to the gradient
    (with `root` as weights). A step of SGD at rate nu then adds nu times the stump that fits the
    residuals best: gradient boosting with shrinkage nu. The curvature along a stump is 1, so rate 1
    fits its leaves fully, and above 2 the loss rises. Friedman 2001, "Greedy Function
    Approximation: A Gradient Boosting Machine", algorithm 2; with batches, Friedman 2002,
    "Stochastic Gradient Boosting".

    Attributes
    ----------
    root : ndarray
        (columns, cells): square root of the share of the training rows that lies in each cell; 0
        where a column has no such cell.
    unit : float
        What the target was divided by, for the root mean square error.
    """

    root: Array
    unit: float = 1.0

    def init(self, rng: np.random.Generator) -> Params:
        """No stump yet."""
        return {"f": np.zeros(self.root.shape)}

    def loss_and_grads(self, params: Params, data: Data) -> tuple[float, Params]:
        """Half the mean square, and the part of its gradient along the best stump."""
        answer = self.predict(params, data.x)
        loss, _ = half_mean_square(answer[:, None], data.y)
        grad = np.zeros_like(self.root)
        column, split, below, above = self._best_stump(data.x, data.y - answer)
        grad[column, :split] = -below
        grad[column, split:] = -above
        return loss, {"f": grad * self.root}

    def scores(self, params: Params, data: Data) -> dict[str, float]:
        """Return loss, R^2, and the root mean square error in the unit of the target."""
        scores = value_scores(self.predict(params, data.x)[:, None], data.y)
        return {**scores, "rmse": self.unit * scores["rmse"]}

    def predict(self, params: Params, x: Array) -> Array:
        """Return F of each row of `x`."""
        some = self.root > 0
        values = np.divide(params["f"], self.root, out=np.zeros_like(self.root), where=some)
        answer: Array = values[np.arange(x.shape[1]), x].sum(axis=1)
        return answer

    def _best_stump(self, x: Array, residual: Array) -> tuple[int, int, float, float]:
        """Column, first cell above the split, mean residual below and above it.

        Rows that cannot be split give a stump of zeros.
        """
        columns, cells = self.root.shape
        place = (x + cells * np.arange(columns)).ravel()
        sums, counts = (
            np.bincount(place, weights, columns * cells).reshape(columns, cells).cumsum(axis=1)
            for weights in (np.repeat(residual, columns), None)
        )
        below, above = sums[:, :-1], sums[:, -1:] - sums[:, :-1]
        n_below, n_above = counts[:, :-1], counts[:, -1:] - counts[:, :-1]
        possible = (n_below > 0) & (n_above > 0)
        gain = np.full(below.shape, -1.0)
        gain[possible] = (below[possible] ** 2 / n_below[possible]) + (
            above[possible] ** 2 / n_above[possible]
        )
        at = np.unravel_index(gain.argmax(), gain.shape)
        if not possible[at]:
            return 0, 0, 0.0, 0.0
        column, cell = map(int, at)
        return column, cell + 1, float(below[at] / n_below[at]), float(above[at] / n_above[at])


def load(*, seed: int = 0, batch_size: int | None = None) -> Task:
    """Make the task: how far diabetes has gone a year later, from 10 measurements.

    A fifth of the patients is held out. Splits lie halfway between neighbouring values of the
    others. The rows come with scikit-learn (Efron et al. 2004, "Least Angle Regression").

    Parameters
    ----------
    seed : int
        Chooses the held-out rows and the shuffling.
    batch_size : int, optional
        Rows a stump is fitted to; all of them if not given. Fewer make stochastic boosting.

    Returns
    -------
    Task
        Ready to `fit`.
    """
    need("sklearn")
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import train_test_split

    x, y = load_diabetes(return_X_y=True, scaled=False)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=HELD_OUT, random_state=seed)
    values = [np.unique(column) for column in x_train.T]
    root = np.zeros((len(values), max(map(len, values))))
    for j, value in enumerate(values):
        root[j, : len(value)] = np.sqrt(np.mean(x_train[:, j, None] == value, axis=0))
    centre, unit = float(y_train.mean()), float(y_train.std())
    train, test = (
        Data(_cells(x, values), (y - centre) / unit)
        for x, y in ((x_train, y_train), (x_test, y_test))
    )
    return Task(
        name="diabetes after a year, by boosted stumps",
        kind="regression",
        model=Stumps(root, unit),
        train=train,
        test=test,
        batch_size=batch_size or len(train.y),
        epochs=300,
        seed=seed,
        notes=(
            "each update adds one tree of one split; the learning rate is the shrinkage",
            "the target brought to mean 0 and spread 1 by the rows that are learned from",
        ),
        optimizer="SGD",
        weight_decay=0.0,
        rates=RATES,
    )


def _cells(x: Array, values: list[Array]) -> Array:
    """Return the cell of every number: how many midpoints between the values lie below it."""
    middles = [(value[:-1] + value[1:]) / 2 for value in values]
    return np.stack([np.searchsorted(m, x[:, j]) for j, m in enumerate(middles)], axis=1)
