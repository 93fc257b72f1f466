"""Variables of TensorFlow: read before a step, assigned after it.

A variable's memory is TensorFlow's own, which shares it with whoever has read the variable, so that
nothing may be written there. The optimizer therefore has a copy of its own of the variables: a step
reads them into it, and hands out what they are to be. In a graph that is one call of the host.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .._rows import RowGrad
from ._host import Host

__all__ = ["Memory"]

Array: TypeAlias = NDArray[Any]

LINE = 64  # bytes: what TensorFlow takes over without a copy begins at such a place
SPARE = 2  # rooms of what is handed out: the variables hold one while the next is filled
DTYPES = ("float16", "bfloat16", "float32", "float64")
#: Rules that leave a row alone whose gradient is 0, so that a gradient of some rows is enough.
STILL = ("adagrad", "rowwiseadagrad", "sgd")
#: Options that are about whole variables, which a gradient of some rows is not.
WHOLE = ("agc", "lookahead", "stats", "state_dtype")


def _room(size: int, dtype: Any) -> Array:
    """New memory on a cache line."""
    width = np.dtype(dtype).itemsize
    raw = np.empty(size * width + LINE, np.uint8)
    start = -raw.__array_interface__["data"][0] % LINE
    return raw[start : start + size * width].view(dtype)


class Slab:
    """One array for all variables of a dtype, to be handed out; and who of them is where in it."""

    def __init__(self, dtype: Any, members: Sequence[int], shapes: Sequence[Any]) -> None:
        self.dtype = np.dtype(dtype)
        # Those that fill lines come first: TensorFlow shares what begins on one, and copies others.
        whole = LINE // self.dtype.itemsize
        self.members = sorted(members, key=lambda i: int(np.prod(shapes[i])) % whole > 0)
        self.shapes = [shapes[i] for i in self.members]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        self._rooms: list[Array] = []
        self._held = 0  # references to a room that nobody else has

    def filled(self, arrays: Sequence[Array]) -> Array:
        """The members' values in memory that nobody holds any more."""
        room = self._free()
        at = 0
        for i, n in zip(self.members, self.sizes, strict=True):
            np.copyto(room[at : at + n], arrays[i].reshape(-1))
            at += n
        return room  # itself: its references say who holds it

    def _free(self) -> Array:
        for k in range(len(self._rooms)):
            if sys.getrefcount(self._rooms[k]) == self._held:
                return self._rooms[k]
        if len(self._rooms) == SPARE:
            return _room(sum(self.sizes), self.dtype)
        self._rooms.append(_room(sum(self.sizes), self.dtype))
        self._held = sys.getrefcount(self._rooms[-1])
        return self._rooms[-1]


class Memory:
    """Where the variables of an optimizer are, and its copies of them."""

    def __init__(self, host: Host, variables: Sequence[Any], paths: Sequence[str]) -> None:
        self._host, self._paths = host, list(paths)
        if tf.distribute.has_strategy():
            raise RuntimeError(
                f"{host.who}: must be used without a tf.distribute strategy, "
                f"got {type(tf.distribute.get_strategy()).__name__}"
            )
        self._variables = [v.value if isinstance(v, keras.Variable) else v for v in variables]
        for v, path in zip(self._variables, paths, strict=True):
            _check(host.who, v, path)
        self._shapes = [tuple(v.shape) for v in self._variables]
        self.arrays = [
            _room(int(np.prod(shape)), v.dtype.as_numpy_dtype).reshape(shape)
            for v, shape in zip(self._variables, self._shapes, strict=True)
        ]

    def pull(self) -> bool:
        """Read all variables; False if there are some that have no value yet.

        Those of a model that is made while a ``tf.function`` is traced have one when it is called.
        """
        with tf.init_scope():
            found = [np.asarray(v.read_value()) for v in self._variables]
        if [a.shape for a in found] != self._shapes:
            return False
        for own, a in zip(self.arrays, found, strict=True):
            np.copyto(own, a)
        return True

    def push(self) -> None:
        """Assign all variables; not in a graph."""
        self._assign(range(len(self._variables)))

    def _assign(self, members: Sequence[int]) -> None:
        for i in members:
            self._variables[i].assign(tf.constant(self.arrays[i].copy()))

    def step(
        self, rate: Any, iterations: Any, loss: Any, grads: Sequence[Any], present: Sequence[int]
    ) -> None:
        """Make a step with the gradients of those variables that are `present`."""
        grads = [self._usable(g) for g in grads]
        loss = np.float32(np.nan) if loss is None else loss
        if tf.inside_function():
            self._in_graph([rate, iterations, loss], grads, list(present))
        else:
            self.pull()
            numbers = [float(x) for x in (rate, iterations, loss)]
            self._make(numbers, [_pair(g, np.asarray) for g in grads], present)
            self._assign(present)

    def _usable(self, g: Any) -> Any:
        """A gradient; that of some rows as a dense one, unless it is as good as it is."""
        if not isinstance(g, tf.IndexedSlices):
            return g
        host = self._host
        moves = host.hypers.get("momentum") or host.hypers.get("weight_decay")
        whole = any(host.options.get(name) for name in WHOLE)
        still = host.rule.rule in STILL and not moves and not whole
        return g if still else tf.convert_to_tensor(g)

    def _make(self, numbers: Sequence[float], grads: Sequence[Any], present: Sequence[int]) -> None:
        """The step, on the copies."""
        given: list[Any] = [None] * len(self.arrays)
        for i, g in zip(present, grads, strict=True):
            given[i] = RowGrad(g[0], g[1], self._shapes[i]) if isinstance(g, tuple) else g
        rate, iterations, loss = numbers
        self._host.step(rate, iterations, loss, given)

    # ------------------------------------------------------------------------- in a graph

    def _in_graph(self, numbers: list[Any], grads: list[Any], present: list[int]) -> None:
        from tensorflow.python.ops import control_flow_util

        if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
            raise RuntimeError(
                f"{self._host.who}: must not be compiled by XLA, which cannot call the host; "
                "compile the model with jit_compile=False"
            )
        rows = [i for i, g in zip(present, grads, strict=True) if isinstance(g, tf.IndexedSlices)]
        dense = [i for i in range(len(self._variables)) if i not in rows]
        pairs = [_pair(g, tf.identity) for g in grads]
        named = {i: pair[0] for i, pair in zip(present, pairs, strict=True) if i in rows}
        before = [self._variables[i].read_value() for i in dense]
        before += [tf.gather(self._variables[i], named[i]) for i in rows]
        kinds = [a.dtype for a in self.arrays]
        slabs = [
            Slab(kind, members, self._shapes)
            for kind in dict.fromkeys(kinds)
            for members in [[i for i in present if i not in rows and kinds[i] == kind]]
            if members
        ]
        sparse = [isinstance(pair, tuple) for pair in pairs]
        call = partial(self._called, present, sparse, dense, rows, slabs)
        out = tf.numpy_function(
            call,
            [*numbers, *tf.nest.flatten(pairs), *before],
            [tf.as_dtype(k) for k in [s.dtype for s in slabs] + [kinds[i] for i in rows]],
        )
        for slab, flat in zip(slabs, out[: len(slabs)], strict=True):
            flat.set_shape([sum(slab.sizes)])
            at = 0
            for i, n, shape in zip(slab.members, slab.sizes, slab.shapes, strict=True):
                self._variables[i].assign(tf.reshape(flat[at : at + n], shape))
                at += n
        for i, new in zip(rows, out[len(slabs) :], strict=True):
            new.set_shape([None, *self._shapes[i][1:]])
            self._variables[i].scatter_update(tf.IndexedSlices(new, named[i]))

    def _called(
        self,
        present: list[int],
        sparse: list[bool],
        dense: list[int],
        rows: list[int],
        slabs: list[Slab],
        *flat: Any,
    ) -> list[Array]:
        """What the graph calls: arrays in, arrays out."""
        if self._host.core is None:
            self._host.finish(self)
        numbers, rest = [float(x) for x in flat[:3]], iter(flat[3:])
        grads = [(next(rest), next(rest)) if s else next(rest) for s in sparse]
        named = {i: g[0] for i, g in zip(present, grads, strict=True) if i in rows}
        for i in dense:
            np.copyto(self.arrays[i], next(rest))
        for i in rows:
            self.arrays[i][named[i]] = next(rest)
        self._make(numbers, grads, present)
        return [s.filled(self.arrays) for s in slabs] + [self.arrays[i][named[i]] for i in rows]


def _pair(g: Any, convert: Any) -> Any:
    """A gradient, or the indices and the values of one of some rows."""
    if isinstance(g, tf.IndexedSlices):
        return convert(g.indices), convert(g.values)
    return convert(g)


def _check(who: str, variable: Any, path: str) -> None:
    device = str(variable.device)
    if "GPU" in device or "TPU" in device:
        raise ValueError(
            f"{who}: {path} must be on the CPU, got one on {device}; on other devices use the "
            "optimizer of Keras"
        )
    if variable.dtype.name not in DTYPES:
        raise TypeError(
            f"{who}: {path} must be of a real floating dtype, got {variable.dtype.name}"
        )
