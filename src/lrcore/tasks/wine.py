"""Wines of three growers by 13 chemical measurements: 178 rows, a linear model."""

from __future__ import annotations

from lrcore.tasks._network import Network, class_scores, cross_entropy
from lrcore.tasks._registry import need
from lrcore.tasks._split import standardised
from lrcore.tasks._task import Task

RATES = {"SGD": 0.3, "AdamW": 0.03}


def load(*, seed: int = 0, batch_size: int | None = None, hidden: int | None = None) -> Task:
    """Make the task; a fifth of the wines is held out, the same share of every class.

    The rows come with scikit-learn (S. Aeberhard and M. Forina, 1991, Wine, UCI Machine Learning
    Repository).

    Parameters
    ----------
    seed : int
        Chooses the held-out rows, the first parameters and the shuffling.
    batch_size : int, optional
        Rows per update, 32 if not given.
    hidden : int, optional
        Width of a hidden layer; a linear model if not given, or 0.

    Returns
    -------
    Task
        Ready to `fit`.
    """
    need("sklearn")
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    train, test = standardised(x, y, seed)
    return Task(
        name="growers of wine",
        kind="classification",
        model=Network((13, hidden, 3) if hidden else (13, 3), cross_entropy, class_scores),
        train=train,
        test=test,
        batch_size=batch_size or 32,
        epochs=60,
        seed=seed,
        notes=("columns brought to mean 0 and spread 1 by the rows that are learned from",),
        rates=RATES,
    )
