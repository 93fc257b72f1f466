"""Cross-validation of the learning rate: every rate on the same folds of the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._domain import Interval
from .runs import SweepRun, checked_callback, checked_function, checked_rates, run_all
from .sweep import RULE, SweepResult, swept

__all__ = ["cross_validate_lr"]

Indices = NDArray[np.int64]
WHO = "cross_validate_lr"
SEED = Interval(0, 2**64, closed_high=False, integer=True)


def cross_validate_lr(
    train: Callable[[float, Any, Any], float],
    data: Any,
    lrs: Iterable[float],
    *,
    cv: Any = 5,
    rule: str = "1se",
    seed: int = 0,
    stratify: Any = None,
    groups: Any = None,
    executor: Executor | None = None,
    on_run: Callable[[SweepRun], object] | None = None,
) -> SweepResult:
    """Choose a learning rate by k-fold cross-validation.

    Parameters
    ----------
    train : function (lr: float, train_data, val_data) -> float
        Trains from the start on `train_data`, which has the structure of `data`, and returns the
        loss (or another score of which less is better) on `val_data`. Seed what is random in it.
        See `lr_sweep` for what counts as divergence.
    data : array, or tuple or dict of arrays
        Samples along the first axis, as many in each: ``X``, ``(X, y)``, ``{"x": X, "y": y}``.
        Also lists of samples, and what is indexed by arrays of integers (tensors, sparse rows) or
        by ``.iloc`` (data frames).
    lrs : iterable of float in (0, inf)
        The rates, distinct.
    cv : int >= 2, splitter, or iterable of (train, validation) pairs, default 5
        The number of folds, shuffled by `seed`; or an object with ``split(X, y, groups)`` such as
        the splitters of scikit-learn; or the folds themselves, as indices or as masks.
    rule : "1se" or "best", default "1se"
        Whether ``chosen`` is the middle of the rates within one standard error of the best, or
        the best; see `SweepResult`.
    seed : int in [0, 2**64), default 0
        Of the shuffle of the folds. The same folds with every version of NumPy.
    stratify : array of labels, default None
        As long as the data: every fold gets its share of each class. A splitter gets them as `y`
        (without them the second array of `data`).
    groups : array, default None
        As long as the data, for splitters that keep groups together.
    executor : concurrent.futures.Executor, default None
        As in `lr_sweep`. Each run is sent its data.
    on_run : function (SweepRun), default None
        Called here after each run; its ``seed`` is the number of the fold.

    Returns
    -------
    SweepResult
        Its columns are the folds.

    Raises
    ------
    TypeError, ValueError
        An argument outside its domain, data of unequal lengths, an empty fold, an index out of
        range, or a sample in both parts of a fold: before any run.
    SweepError
        Every run failed.

    Notes
    -----
    The standard errors are those of the mean of the folds. Folds share training data, so that they
    are on the small side (Bengio and Grandvalet, "No Unbiased Estimator of the Variance of K-Fold
    Cross-Validation", 2004). The score of the chosen rate is that of the best of several, so that
    new data will be a little worse.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> y = X @ [1.0, -2.0, 0.5]
    >>> def train(lr, part, held_out):
    ...     X, y = part
    ...     w = np.zeros(3)
    ...     opt = lrcore.SGD(w, lr=lr)
    ...     for _ in range(50):
    ...         opt.step(X.T @ (X @ w - y) / len(y))
    ...     X, y = held_out
    ...     return np.mean((X @ w - y) ** 2)
    >>> result = lrcore.cross_validate_lr(train, (X, y), [0.01, 0.1, 1.0], cv=4)
    >>> result.best, result.scores.shape
    (1.0, (3, 4))
    """
    checked_function(WHO, "train", train)
    grid = checked_rates(WHO, "lrs", lrs)
    RULE.check(WHO, "rule", rule)
    SEED.check(WHO, "seed", seed)
    count = _common_length(data)
    labels = _as_long(count, "stratify", stratify)
    folds = _folds(data, count, cv, seed, labels, _as_long(count, "groups", groups))
    columns, called = tuple(range(len(folds))), checked_callback(WHO, on_run)
    jobs = [(lr, j, (train, data, *folds[j], lr)) for j in columns for lr in grid]
    start = time.perf_counter()
    made, interrupted = run_all(WHO, _on_fold, jobs, executor, called, needs=train)
    result = swept(grid, columns, made.values(), interrupted, rule=rule, column="fold")
    return replace(result, seconds=time.perf_counter() - start)


def _on_fold(
    train: Callable[..., Any], data: Any, learnt: Indices, held_out: Indices, lr: float
) -> Any:
    """One run, where the executor makes it."""
    return train(lr, _taken(data, learnt), _taken(data, held_out))


# ----------------------------------------------------------------------------------- the data


def _leaves(data: Any, path: str = "data") -> Iterator[tuple[str, Any]]:
    """The arrays of a structure and where they are."""
    if isinstance(data, Mapping):
        for key, one in data.items():
            yield from _leaves(one, f"{path}[{key!r}]")
    elif isinstance(data, tuple):
        for i, one in enumerate(data):
            yield from _leaves(one, f"{path}[{i}]")
    else:
        yield path, data


def _length(name: str, x: Any) -> int:
    shape = getattr(x, "shape", None)
    if shape is not None and len(shape):
        return int(shape[0])
    if isinstance(x, (str, bytes)) or not hasattr(x, "__getitem__") or not hasattr(x, "__len__"):
        raise TypeError(f"{WHO}: {name} must be an array or a list, got {type(x).__name__}")
    try:
        return len(x)
    except TypeError:
        raise TypeError(f"{WHO}: {name} must have samples along a first axis, got {x!r}") from None


def _common_length(data: Any) -> int:
    """Number of samples, the same in every array."""
    lengths = {name: _length(name, x) for name, x in _leaves(data)}
    if not lengths:
        raise ValueError(f"{WHO}: data must have an array, got {data!r}")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{WHO}: data must have arrays of equal length, got {lengths}")
    return next(iter(lengths.values()))


def _as_long(count: int, name: str, labels: Any) -> Any:
    """Labels, one a sample, or None."""
    if labels is None:
        return None
    if isinstance(labels, (str, bytes)) or np.ndim(labels) == 0 or len(labels) != count:
        got = len(labels) if hasattr(labels, "__len__") else labels
        raise ValueError(
            f"{WHO}: {name} must have one label for each of {count} samples, got {got}"
        )
    return labels


def _taken(data: Any, indices: Indices) -> Any:
    """The samples at `indices`, in the structure of `data`."""
    if isinstance(data, Mapping):
        return {key: _taken(one, indices) for key, one in data.items()}
    if isinstance(data, tuple):
        items = [_taken(one, indices) for one in data]
        return type(data)(*items) if hasattr(data, "_fields") else tuple(items)
    if hasattr(data, "iloc"):
        return data.iloc[indices]
    return [data[i] for i in indices.tolist()] if isinstance(data, list) else data[indices]


# ---------------------------------------------------------------------------------- the folds


def _folds(
    data: Any, count: int, cv: Any, seed: int, labels: Any, groups: Any
) -> list[tuple[Indices, Indices]]:
    """(train, validation) indices of every fold, checked."""
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        if groups is not None:
            raise ValueError(f"{WHO}: groups must be None with a number of folds, got labels")
        if count < 2:
            raise ValueError(f"{WHO}: data must have at least 2 samples, got {count}")
        k = int(Interval(2, count, integer=True).check(WHO, "cv", cv))
        return _shuffled(count, k, seed, labels)
    if hasattr(cv, "split") and not isinstance(cv, (str, bytes, type)):
        names = [x for _, x in _leaves(data)]
        y = labels if labels is not None else names[1] if len(names) > 1 else None
        pairs: Any = cv.split(names[0], y, groups)
    elif isinstance(cv, Iterable) and not isinstance(cv, (str, bytes, Mapping)):
        pairs = cv
    else:
        raise TypeError(
            f"{WHO}: cv must be an integer >= 2, a splitter or (train, validation) pairs, "
            f"got {cv!r}"
        )
    found = [_checked_pair(f"cv[{i}]", pair, count) for i, pair in enumerate(pairs)]
    if not found:
        raise ValueError(f"{WHO}: cv must have at least one fold, got none")
    return found


def _shuffled(count: int, k: int, seed: int, labels: Any) -> list[tuple[Indices, Indices]]:
    """`k` folds whose sizes differ by one at most; of each class, too, if there are labels."""
    # raw bits, which NumPy promises to keep, rather than Generator.permutation, which it does not
    keys = np.random.PCG64(seed).random_raw(count)
    order = np.argsort(keys, kind="stable")
    if labels is not None:
        _, codes = np.unique(np.asarray(labels), return_inverse=True)
        order = order[np.argsort(codes.reshape(-1)[order], kind="stable")]
    fold = np.empty(count, np.int64)
    fold[order] = np.arange(count) % k
    return [(np.flatnonzero(fold != j), np.flatnonzero(fold == j)) for j in range(k)]


def _checked_pair(name: str, pair: Any, count: int) -> tuple[Indices, Indices]:
    """A fold whose parts are inside, not empty and apart."""
    try:
        learnt, held_out = pair
    except (TypeError, ValueError):
        raise TypeError(f"{WHO}: {name} must be (train, validation), got {pair!r:.100}") from None
    parts = _indices(f"{name}[0]", learnt, count), _indices(f"{name}[1]", held_out, count)
    both = np.intersect1d(*parts)
    if len(both):
        raise ValueError(
            f"{WHO}: {name} must keep training and validation apart, "
            f"got {len(both)} samples in both"
        )
    return parts


def _indices(name: str, part: Any, count: int) -> Indices:
    found = np.asarray(part)
    if found.dtype == np.bool_ and found.shape == (count,):
        found = np.flatnonzero(found)
    if found.ndim != 1 or not len(found) or found.dtype.kind not in "iu":
        raise ValueError(
            f"{WHO}: {name} must be indices or a mask, at least one, got {part!r:.100}"
        )
    if int(found.min()) < 0 or int(found.max()) >= count:
        worst = int(found.min()) if int(found.min()) < 0 else int(found.max())
        raise ValueError(f"{WHO}: {name} must be in [0, {count}), got {worst}")
    return found.astype(np.int64)
