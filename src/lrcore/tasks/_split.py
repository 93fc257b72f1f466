"""Rows held out, and columns brought to mean 0 and spread 1 by the others."""

from __future__ import annotations

import numpy as np

from lrcore.tasks._task import Array, Data

HELD_OUT = 0.2


def standardised(x: Array, y: Array, seed: int) -> tuple[Data, Data]:
    """Hold out a fifth of the rows, the same share of every class; standardise the columns.

    Mean and spread are those of the rows that are learned from. The inputs come out as float32.
    """
    from sklearn.model_selection import train_test_split

    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=HELD_OUT, random_state=seed, stratify=y
    )
    centre, spread = x_train.mean(axis=0), x_train.std(axis=0)
    spread[spread == 0] = 1
    parts = ((x_train, y_train), (x_test, y_test))
    train, test = (Data(((x - centre) / spread).astype(np.float32), y) for x, y in parts)
    return train, test
