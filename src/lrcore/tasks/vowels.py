"""Which of nine speakers says a vowel: 640 Japanese utterances, a small network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lrcore.tasks._files import find
from lrcore.tasks._network import Network, class_scores, cross_entropy
from lrcore.tasks._task import Array, Data, Task

RATES = {"SGD": 0.3, "AdamW": 0.003}
FILES = "datasets/data/JapaneseVowels/JapaneseVowels_{}.ts"
FRAMES = 12  # every utterance is brought to this length
SPEAKERS = 9


def load(*, seed: int = 0, batch_size: int | None = None, hidden: int | None = None) -> Task:
    """Make the task; the 370 utterances that were published as test are held out.

    An utterance is 7 to 29 frames of 12 cepstral coefficients of linear prediction. The recordings
    (M. Kudo, J. Toyama and M. Shimbo 1999, "Multidimensional Curve Classification Using
    Passing-Through Regions") come with the package sktime, which is read and not imported.

    Parameters
    ----------
    seed : int
        Chooses the first parameters and the shuffling.
    batch_size : int, optional
        Utterances per update, 32 if not given.
    hidden : int, optional
        Width of the hidden layer, 64 if not given; 0 makes a linear model.

    Returns
    -------
    Task
        Ready to `fit`.
    """
    (x_train, y_train), (x_test, y_test) = (
        _read(find("sktime", FILES.format(part))) for part in ("TRAIN", "TEST")
    )
    centre, spread = x_train.mean(axis=0), x_train.std(axis=0)
    hidden = 64 if hidden is None else hidden
    inputs = x_train.shape[1]
    return Task(
        name="Japanese vowels, which of nine speakers",
        kind="classification",
        model=Network(
            (inputs, hidden, SPEAKERS) if hidden else (inputs, SPEAKERS),
            cross_entropy,
            class_scores,
        ),
        train=Data(((x_train - centre) / spread).astype(np.float32), y_train),
        test=Data(((x_test - centre) / spread).astype(np.float32), y_test),
        batch_size=batch_size or 32,
        epochs=40,
        seed=seed,
        notes=(
            "held out as published: other utterances of the same speakers",
            f"each utterance brought to {FRAMES} frames by lines between its own, and its length "
            "as one more column",
            "columns brought to mean 0 and spread 1 by the utterances that are learned from",
        ),
        rates=RATES,
    )


def _read(path: Path) -> tuple[Array, Array]:
    """Return a row an utterance, and the number of its speaker from 0."""
    lines = path.read_text("utf-8").split("@data", 1)[1].split()
    x, y = [], []
    for line in lines:
        *channels, speaker = line.split(":")
        x.append(_row([np.array(channel.split(","), float) for channel in channels]))
        y.append(int(speaker) - 1)
    return np.array(x), np.array(y)


def _row(channels: list[Array]) -> Array:
    """Return the channels at `FRAMES` moments from first to last, and how long they were."""
    length = len(channels[0])
    moments = np.linspace(0, length - 1, FRAMES)
    same = [np.interp(moments, np.arange(length), channel) for channel in channels]
    return np.concatenate([*same, [length]])
