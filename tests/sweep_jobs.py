"""Functions that a pool of processes can import."""

import math
import os
import signal

import numpy as np

import lrcore

CURVES = np.array([1.0, 2.0, 4.0])


def bowl(lr, seed):
    """Twenty steps down a bowl from a start that the seed draws; diverges from a rate of 0.5."""
    w = np.random.default_rng(seed).normal(size=3)
    opt = lrcore.SGD(w, lr=lr)
    for _ in range(20):
        opt.step(w * CURVES)
    score = float((w * w) @ CURVES)
    return score if score < 1e3 else math.inf


def picky(lr, seed):
    """Raises for one cell of the grid, diverges for another."""
    if (lr, seed) == (0.1, 1):
        raise ValueError("no data\nfor this one")
    if (lr, seed) == (0.3, 0):
        raise FloatingPointError("overflow")
    return bowl(lr, seed)


def dies(lr, seed):
    """Takes its process with it at one rate."""
    if lr == 0.1:
        os.kill(os.getpid(), signal.SIGKILL)
    return bowl(lr, seed)


def linear(lr, part, held_out):
    """Linear regression, judged on what was held out."""
    X, y = part
    w = np.zeros(X.shape[1])
    opt = lrcore.SGD(w, lr=lr)
    for _ in range(30):
        opt.step(X.T @ (X @ w - y) / len(y))
    X, y = held_out
    return np.mean((X @ w - y) ** 2)
