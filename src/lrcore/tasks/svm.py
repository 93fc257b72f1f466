"""Odd digits or even, from 64 pixels: a linear support vector machine, hinge loss."""

from __future__ import annotations

import numpy as np

from lrcore.tasks._network import Network, hinge, sign_scores
from lrcore.tasks._registry import need
from lrcore.tasks._split import standardised
from lrcore.tasks._task import Task

RATES = {"SGD": 0.3, "AdamW": 0.03}
L2 = 0.001  # of the mean hinge loss; scikit-learn's C is 1 / (rows times this)


def load(*, seed: int = 0, batch_size: int | None = None) -> Task:
    """Make the task; a fifth of the images is held out, the same share of odd and even.

    What is minimised is the mean hinge loss plus 0.0005 times the squares of the weights: the
    soft-margin machine of Cortes and Vapnik 1995, "Support-Vector Networks", solved by the
    subgradients of Shalev-Shwartz et al. 2007, "Pegasos". The images are those of `digits`.

    Parameters
    ----------
    seed : int
        Chooses the held-out rows and the shuffling.
    batch_size : int, optional
        Rows per update, 32 if not given.

    Returns
    -------
    Task
        Ready to `fit`.
    """
    need("sklearn")
    from sklearn.datasets import load_digits

    x, digit = load_digits(return_X_y=True)
    train, test = standardised(x, np.where(digit % 2, 1, -1), seed)
    return Task(
        name="digits, odd or even, by a linear support vector machine",
        kind="classification",
        model=Network((64, 1), hinge, sign_scores, l2=L2),
        train=train,
        test=test,
        batch_size=batch_size or 32,
        epochs=40,
        seed=seed,
        notes=(
            "pixels brought to mean 0 and spread 1 by the rows that are learned from",
            f"hinge loss plus {L2 / 2:g} times the squares of the weights",
        ),
        weight_decay=0.0,
        rates=RATES,
    )
