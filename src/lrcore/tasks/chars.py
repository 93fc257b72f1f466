"""The next character of Python's manual from those before it: a small language model."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from functools import partial

import numpy as np

from lrcore.tasks._network import cross_entropy
from lrcore.tasks._task import Array, Data, Params, Task

CONTEXT = 8
WIDTH = 16  # of the vector that stands for a character
HIDDEN = 128
ROWS, SCORED = 4096, 60_000  # scored at once, and in all at most
RARE, UNKNOWN = 20, "?"  # a character that comes less often is written as the second
RATES = {"SGD": 3.0, "AdamW": 0.01}


@dataclass(frozen=True, eq=False)
class CharModel:
    """A vector for each of the characters before, a layer of tanh, scores of the next one.

    Bengio et al. 2003, "A Neural Probabilistic Language Model", without its direct connections.
    Parameters: ``e`` (characters, width); ``w1, b1`` and ``w2, b2`` of the two layers.

    Attributes
    ----------
    alphabet : str
        The characters, by number.
    context, width, hidden : int
        Characters looked at, numbers that stand for each of them, width of the hidden layer.
    dtype : dtype
        Of the parameters.
    """

    alphabet: str
    context: int = CONTEXT
    width: int = WIDTH
    hidden: int = HIDDEN
    dtype: type[np.floating] = np.float32

    def least_bytes(self, rows: int) -> int:
        """Return what training cannot do without when `rows` rows are trained on.

        That is a value and a gradient for every parameter.
        """
        size, inputs = len(self.alphabet), self.context * self.width
        count = size * self.width + (inputs + 1) * self.hidden + (self.hidden + 1) * size
        return 2 * np.dtype(self.dtype).itemsize * count

    def init(self, rng: np.random.Generator) -> Params:
        """Normal vectors of variance 1, weights of variance 1/n, biases of zero."""
        size, inputs = len(self.alphabet), self.context * self.width
        shapes = {"e": (size, self.width), "w1": (inputs, self.hidden), "w2": (self.hidden, size)}
        variance = {"e": 1.0, "w1": 1 / inputs, "w2": 1 / self.hidden}
        params = {
            name: (np.sqrt(variance[name]) * rng.standard_normal(shape)).astype(self.dtype)
            for name, shape in shapes.items()
        }
        params["b1"] = np.zeros(self.hidden, self.dtype)
        params["b2"] = np.zeros(size, self.dtype)
        return params

    def loss_and_grads(self, params: Params, data: Data) -> tuple[float, Params]:
        """Forward, then backward by the chain rule; the loss is in nats a character."""
        inputs, h, z = self._forward(params, data.x)
        loss, slope = cross_entropy(z, data.y)
        back = (slope @ params["w2"].T) * (1 - h * h)
        vectors = (back @ params["w1"].T).reshape(-1, self.width)
        size, where = len(self.alphabet), data.x.ravel()
        sums = [np.bincount(where, weights, size) for weights in vectors.T]
        grads = {
            "e": np.stack(sums, axis=1).astype(self.dtype),
            "w1": inputs.T @ back,
            "w2": h.T @ slope,
            "b1": back.sum(axis=0),
            "b2": slope.sum(axis=0),
        }
        return loss, grads

    def scores(self, params: Params, data: Data) -> dict[str, float]:
        """Return loss (nats), bits a character, perplexity, and the share of right guesses.

        Of many rows they are those of every n-th.
        """
        every = -(-len(data.y) // SCORED)
        x, labels = data.x[::every], data.y[::every]
        loss = right = 0.0
        for start in range(0, len(labels), ROWS):
            y = labels[start : start + ROWS]
            z = self._forward(params, x[start : start + ROWS])[-1]
            loss += cross_entropy(z, y)[0] * len(y)
            right += float(np.sum(z.argmax(axis=1) == y))
        loss /= len(labels)
        return {
            "loss": loss,
            "bits": loss / float(np.log(2)),
            "perplexity": float(np.exp(loss)),
            "accuracy": right / len(labels),
        }

    def sample(self, params: Params, length: int, seed: int = 0, sharpness: float = 1.5) -> str:
        """Return `length` characters, drawn by the model's chances to the power `sharpness`."""
        rng = np.random.default_rng(seed)
        text = [self.alphabet.index("\n")] * self.context
        for _ in range(length):
            z = self._forward(params, np.array([text[-self.context :]]))[-1][0].astype(np.float64)
            chance = np.exp(sharpness * (z - z.max()))
            text.append(int(np.searchsorted(chance.cumsum(), rng.random() * chance.sum())))
        return "".join(self.alphabet[i] for i in text[self.context :])

    def _forward(self, params: Params, x: Array) -> tuple[Array, Array, Array]:
        inputs = params["e"][x].reshape(len(x), -1)
        h = np.tanh(inputs @ params["w1"] + params["b1"])
        return inputs, h, h @ params["w2"] + params["b2"]


def load(*, seed: int = 0, batch_size: int | None = None, hidden: int | None = None) -> Task:
    """Make the task; a tenth of the pages is held out.

    The text is what ``help()`` shows on Python's keywords and types, `pydoc_data.topics`, and so
    another one in another version of Python. It needs no package.

    Parameters
    ----------
    seed : int
        Chooses the held-out pages, the first parameters and the shuffling.
    batch_size : int, optional
        Characters per update, 256 if not given.
    hidden : int, optional
        Width of the hidden layer, 128 if not given; must be at least 1.

    Returns
    -------
    Task
        Ready to `fit`.

    Raises
    ------
    ValueError
        `hidden` is less than 1.
    """
    hidden = HIDDEN if hidden is None else hidden
    if hidden < 1:
        raise ValueError(f"chars: hidden must be in [1, inf), got {hidden}")
    from pydoc_data.topics import topics

    pages = [_plain(topics[name]) for name in sorted(topics)]
    order = np.random.default_rng(seed).permutation(len(pages))
    held = len(pages) // 10
    test, train = ("".join(pages[i] for i in part) for part in (order[:held], order[held:]))
    characters, counts = np.unique(list(train), return_counts=True)
    common = set(characters[counts >= RARE]) | {UNKNOWN}
    alphabet = "".join(sorted(common))
    model = CharModel(alphabet, hidden=hidden)
    return Task(
        name="the next character of Python's manual",
        kind="classification",
        model=model,
        train=_windows(train, alphabet),
        test=_windows(test, alphabet),
        batch_size=batch_size or 256,
        epochs=1,
        seed=seed,
        notes=(
            f"{len(pages)} pages of the manual of Python {platform.python_version()}, "
            f"{held} held out",
            f"{len(alphabet)} characters; one that comes less than {RARE} times is {UNKNOWN!r}",
            "of a run of blanks one is kept, of a longer run of another character three",
            f"{CONTEXT} characters are looked at",
        ),
        rates=RATES,
        example=partial(model.sample, length=300),
    )


def _plain(text: str) -> str:
    """Return the page without the rulers and blanks of its tables, which are no language."""
    return re.sub(r"([^ ])\1{3,}", r"\1\1\1", re.sub(" +", " ", text.strip())) + "\n"


def _windows(text: str, alphabet: str) -> Data:
    """Return the numbers of the characters before each one, and its own."""
    number = {character: i for i, character in enumerate(alphabet)}
    unknown = number[UNKNOWN]
    codes = np.array([number.get(c, unknown) for c in "\n" * CONTEXT + text], np.uint8)
    return Data(np.lib.stride_tricks.sliding_window_view(codes, CONTEXT)[:-1], codes[CONTEXT:])
