"""Handwritten digits: 1,797 real images of 8 x 8 pixels, a two-layer network."""

from __future__ import annotations

import numpy as np

from lrcore.tasks._network import Network, class_scores, cross_entropy
from lrcore.tasks._task import Data, Task


def load(*, seed: int = 0, batch_size: int | None = None, hidden: int | None = None) -> Task:
    """Make the task; a fifth of the images is held out, the same share of every digit.

    The images are the ones that come with scikit-learn (E. Alpaydin and C. Kaynak, 1998,
    Optical Recognition of Handwritten Digits, UCI Machine Learning Repository).

    Parameters
    ----------
    seed : int
        Chooses the held-out images, the first parameters and the shuffling.
    batch_size : int, optional
        Images per update, 32 if not given.
    hidden : int, optional
        Width of the hidden layer, 128 if not given; 0 makes a linear model.

    Returns
    -------
    Task
        Ready to `fit`.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    hidden = 128 if hidden is None else hidden
    x = (images / 16).astype(np.float32)
    x_train, x_test, y_train, y_test = train_test_split(
        x, labels, test_size=0.2, random_state=seed, stratify=labels
    )
    centre = x_train.mean(axis=0)
    sizes = (64, hidden, 10) if hidden else (64, 10)
    return Task(
        name="handwritten digits",
        kind="classification",
        model=Network(sizes, cross_entropy, class_scores),
        train=Data(x_train - centre, y_train),
        test=Data(x_test - centre, y_test),
        batch_size=batch_size or 32,
        epochs=30,
        seed=seed,
    )
