"""Handwritten digits: 1,797 real images of 8 x 8 pixels, a two-layer network."""

from __future__ import annotations

import numpy as np

from lrcore.tasks._network import Network, class_scores, cross_entropy
from lrcore.tasks._registry import need
from lrcore.tasks._task import Array, Data, Task

RATES = {"SGD": 0.3, "LAMB": 0.005, "ASGD": 0.3, "HypergradientSGD": 0.3}


def load(*, seed: int = 0, batch_size: int | None = None, hidden: int | None = None) -> Task:
    """Make the task; a fifth of the images is held out, the same share of every digit.

    The others are learned as they are and moved by one pixel to each of the four sides, without
    which one held-out fifth in twelve is read with less than 97 % right.

    The images are the ones that come with scikit-learn (E. Alpaydin and C. Kaynak, 1998,
    Optical Recognition of Handwritten Digits, UCI Machine Learning Repository).

    Parameters
    ----------
    seed : int
        Chooses the held-out images, the first parameters and the shuffling.
    batch_size : int, optional
        Images per update, 64 if not given.
    hidden : int, optional
        Width of the hidden layer, 256 if not given; 0 makes a linear model.

    Returns
    -------
    Task
        Ready to `fit`.
    """
    need("sklearn")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    hidden = 256 if hidden is None else hidden
    x = (images / 16).astype(np.float32)
    x_train, x_test, y_train, y_test = train_test_split(
        x, labels, test_size=0.2, random_state=seed, stratify=labels
    )
    x_train, y_train = _nudged(x_train), np.tile(y_train, 5)
    centre = x_train.mean(axis=0)
    sizes = (64, hidden, 10) if hidden else (64, 10)
    return Task(
        name="handwritten digits",
        kind="classification",
        model=Network(sizes, cross_entropy, class_scores),
        train=Data(x_train - centre, y_train),
        test=Data(x_test - centre, y_test),
        batch_size=batch_size or 64,
        epochs=20,
        seed=seed,
        notes=("each image five times: as it is, and moved by a pixel to each side",),
        rates=RATES,
    )


def _nudged(x: Array) -> Array:
    """Return the images, then all of them a pixel lower, higher, further right, further left."""
    wide = np.pad(x.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return np.concatenate([wide[:, i : i + 8, j : j + 8] for i, j in corners]).reshape(-1, 64)
