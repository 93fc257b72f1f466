"""The tasks of bench/choosing.py: each ``name(seed, batch)`` makes one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from lrcore.tasks import Data, Task
from lrcore.tasks import digits as images
from lrcore.tasks._network import Network, class_scores, cross_entropy

HIDDEN = 64
WORDS, LENGTH = 2000, 20


def digits(seed: int, batch: int | None) -> Task:
    """Handwritten digits, a network with one hidden layer, four passes."""
    return replace(images.load(seed=seed, hidden=HIDDEN, batch_size=batch or 64), epochs=4)


def noisy(seed: int, batch: int | None) -> Task:
    """The digits eight at a time, a fifth of the labels to be learned from replaced at random."""
    task = images.load(seed=seed, hidden=HIDDEN, batch_size=batch or 8)
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(task.train.y)) < 0.2
    y = np.where(wrong, rng.integers(0, 10, len(wrong)), task.train.y)
    return replace(task, epochs=1, train=Data(task.train.x, y))


def few(seed: int, batch: int | None) -> Task:
    """A hundred of the digits, seen two hundred times."""
    task = images.load(seed=seed, hidden=HIDDEN, batch_size=batch or 20)
    rows = np.random.default_rng(seed).permutation(len(task.train.y) // 5)[:100]
    return replace(task, epochs=200, train=Data(task.train.x[rows], task.train.y[rows]))


def cancer(seed: int, batch: int | None) -> Task:
    """Tumours, benign or not, from 30 measurements: logistic regression, ten passes."""
    x, y = load_breast_cancer(return_X_y=True)
    parts = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y)
    x_train, x_test, y_train, y_test = parts
    centre, scale = x_train.mean(axis=0), x_train.std(axis=0)
    train, test = (((part - centre) / scale).astype(np.float32) for part in (x_train, x_test))
    return Task(
        name="tumours",
        kind="classification",
        model=Network((30, 2), cross_entropy, class_scores),
        train=Data(train, y_train),
        test=Data(test, y_test),
        batch_size=batch or 32,
        epochs=10,
        seed=seed,
    )


def words(seed: int, batch: int | None) -> Task:
    """Texts of 20 words, few of them common, most rare: is the text for or against?

    Word i comes with a chance like 1 / (i + 10), and has a weight of its own; a text is for if its
    weights and some noise add up to more than 0. A linear model on which words are there.
    """
    rng = np.random.default_rng(seed)
    n = 5000
    chance = 1 / (np.arange(WORDS) + 10.0)
    text = rng.choice(WORDS, (n, LENGTH), p=chance / chance.sum())
    weight = rng.standard_normal(WORDS)
    y = (weight[text].sum(axis=1) + rng.standard_normal(n) > 0).astype(np.int64)
    x = np.zeros((n, WORDS), np.float32)
    x[np.arange(n)[:, None], text] = 1
    held = n // 5
    return Task(
        name="rare words",
        kind="classification",
        model=Network((WORDS, 2), cross_entropy, class_scores),
        train=Data(x[held:], y[held:]),
        test=Data(x[:held], y[:held]),
        batch_size=batch or 64,
        epochs=4,
        seed=seed,
    )
