"""RowGrad: the gradient of some rows of a parameter, such as those of an embedding table."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowGrad"]

Array: TypeAlias = NDArray[Any]

FLOATS = ("float32", "float64", "float16", "bfloat16")


class RowGrad:
    """The gradient of a parameter that is zero but in a few rows, which are named.

    Taken by `Optimizer.step` in place of an array. The step is the one that a parameter made of the
    named rows alone would get: all other rows and their state stay as they are, bit for bit, and
    cost nothing.

    Parameters
    ----------
    indices : array_like of int, shape (k,)
        The rows, in any order; each in [0, shape[0]), which the step checks. A row may be named
        several times: what belongs to it is added up in the order of appearance, in the dtype of
        the arithmetic (float64 for a float64 parameter, otherwise float32).
    values : ndarray of float16, bfloat16, float32 or float64, shape (k, *shape[1:])
        What belongs to each of them.
    shape : tuple of int
        That of the parameter, with at least one axis.

    Raises
    ------
    TypeError, ValueError
        The three do not fit together.

    Notes
    -----
    Neither array is copied where it can be used as it is: what is written into them before the step
    counts.

    Lazy semantics, as of ``torch.optim.SparseAdam``: weight decay, momentum and every other state
    act on the named rows only; a bias correction goes by the updates that the parameter has had.
    (SparseAdam adds `eps` before that correction; here it is added as in :class:`Adam`.)
    ``clip_norm`` is over the summed rows. Rules that have this form say so in the table of rules;
    others refuse. So do options that are about whole parameters: ``ema``, ``swa``, ``lookahead``,
    ``agc``, ``stats``, ``zero_grads``, ``accumulate`` and ``state_dtype="int8"``, and parameters in
    Fortran's order.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> table = np.zeros((4, 2))
    >>> opt = lrcore.SGD(table, lr=1.0)
    >>> opt.step(lrcore.RowGrad([3, 1, 3], np.array([[1.0, 2], [3, 4], [5, 6]]), table.shape))
    True
    >>> table
    array([[ 0.,  0.],
           [-3., -4.],
           [ 0.,  0.],
           [-6., -8.]])
    """

    __slots__ = ("_indices", "_shape", "_values")

    def __init__(self, indices: Any, values: Any, shape: tuple[int, ...]) -> None:
        self._shape = _shape(shape)
        self._indices = _indices(indices)
        self._values = _values(values, (self._indices.size, *self._shape[1:]))

    @property
    def indices(self) -> NDArray[np.int64]:
        """The rows, an int64 array of shape (k,)."""
        return self._indices

    @property
    def values(self) -> Array:
        """What belongs to each of them, of shape (k, *shape[1:])."""
        return self._values

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the parameter."""
        return self._shape

    def toarray(self) -> Array:
        """Return the array that this stands for, with zeros in rows that are not named.

        Examples
        --------
        >>> import numpy as np
        >>> RowGrad([2, 0, 2], np.array([1.0, 2.0, 3.0]), (4,)).toarray()
        array([2., 0., 4., 0.])
        """
        out = np.zeros(self._shape, self._values.dtype)
        np.add.at(out, self._indices, self._values)
        return out

    def __repr__(self) -> str:
        """Say how many rows there are of how many."""
        count, dtype = self._indices.size, self._values.dtype
        return f"<RowGrad of {count} row{'s' * (count != 1)} in {self._shape}, {dtype}>"


def _shape(shape: Any) -> tuple[int, ...]:
    ints = (int, np.integer)
    if not isinstance(shape, tuple) or not all(isinstance(n, ints) and n >= 0 for n in shape):
        raise TypeError(f"RowGrad: shape must be a tuple of integers >= 0, got {shape!r}")
    if not shape:
        raise ValueError("RowGrad: shape must have at least one axis, got ()")
    return tuple(int(n) for n in shape)


def _indices(given: Any) -> NDArray[np.int64]:
    indices = np.asarray(given)
    if indices.ndim == 1 and indices.size == 0 and not isinstance(given, np.ndarray):
        indices = indices.astype(np.int64)  # an empty list is of no dtype
    if indices.dtype.kind not in "iu":
        raise TypeError(f"RowGrad: indices must be integers, got dtype {indices.dtype}")
    if indices.ndim != 1:
        raise ValueError(f"RowGrad: indices must have one axis, got shape {indices.shape}")
    if indices.dtype == np.uint64 and indices.size and indices.max() > np.iinfo(np.int64).max:
        raise ValueError(f"RowGrad: indices must be below 2**63, got {indices.max()}")
    return np.require(indices, np.int64, ["C", "A"])


def _values(values: Any, shape: tuple[int, ...]) -> Array:
    if not isinstance(values, np.ndarray):
        raise TypeError(f"RowGrad: values must be a NumPy array, got {type(values).__name__}")
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError("RowGrad: values must have no mask; fill the array first")
    if values.dtype.name not in FLOATS:
        raise TypeError(
            "RowGrad: values must be of dtype float32, float64, float16 or bfloat16, "
            f"got {values.dtype}"
        )
    if values.shape != shape:
        raise ValueError(
            f"RowGrad: values must have the shape (len(indices), *shape[1:]) = {shape}, "
            f"got {values.shape}"
        )
    return values


def refused(rule: str, label: str, why: str = "") -> str:
    """Why a rule does not take a RowGrad: `why`, or that it has no such form."""
    from . import optimizers
    from ._hyper import RULES

    classes = {name.lower(): name for name in optimizers.__all__}
    name = classes[rule]
    if not why:
        have = sorted(classes[k] for k, row in RULES.items() if "rows" in row.notes)
        why = f"{name} has no row-sparse form; {', '.join(have)} have"
    return f"{name}: grads{label}: must be a dense array, since {why}"
