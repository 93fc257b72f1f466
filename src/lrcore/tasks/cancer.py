"""Tumours, benign or not, by 30 measurements of cells: 569 rows, logistic regression."""

from __future__ import annotations

from lrcore.tasks._network import Network, class_scores, cross_entropy
from lrcore.tasks._registry import need
from lrcore.tasks._split import standardised
from lrcore.tasks._task import Task

RATES = {"SGD": 0.3, "AdamW": 0.03}


def load(*, seed: int = 0, batch_size: int | None = None, hidden: int | None = None) -> Task:
    """Make the task; a fifth of the tumours is held out, the same share of every class.

    The rows come with scikit-learn (W. Wolberg, O. Mangasarian, N. Street and W. Street, 1993,
    Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning Repository).

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
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    train, test = standardised(x, y, seed)
    return Task(
        name="tumours, benign or not",
        kind="classification",
        model=Network((30, hidden, 2) if hidden else (30, 2), cross_entropy, class_scores),
        train=train,
        test=test,
        batch_size=batch_size or 32,
        epochs=40,
        seed=seed,
        notes=("columns brought to mean 0 and spread 1 by the rows that are learned from",),
        rates=RATES,
    )
