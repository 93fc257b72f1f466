"""Restored: a block of code that leaves a run as it found it, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import FunctionType, TracebackType
from typing import Any

import numpy as np

from .._optimizer import Optimizer
from .._optimizer.layout import planned
from .._schedule import Schedule
from ._found import Undo, array, common_generators, found, generator, is_tensor, tensor

__all__ = ["Batches", "Restored"]


class Restored:
    """``with Restored(opt, loss_and_grads, batches):`` what follows leaves no trace.

    At the end of the block, also after an exception or Ctrl-C, everything is what it was: the
    parameters, the optimizer (state, averages, counters, rates and other hyper-parameters, loss
    scale, mode, schedules with a state), random generators, and the order of the data.

    Parameters
    ----------
    opt : Optimizer, or None
        An optimizer of this library. One of torch (anything with ``state_dict``,
        ``load_state_dict`` and ``param_groups``) is put back too, with its parameters.
    functions : callable or sequence of callables
        What computes losses. Random generators and arrays that it reaches are put back: through
        closures, defaults, globals, bound objects, attributes and containers. Lists, counters
        and other plain values in it are taken for a log and stay.
    batches : iterable or callable, optional
        What the data come from. Here attributes, lists and counters are put back as well, since a
        loader keeps its order in them.
    generators : sequence, optional
        More generators: of NumPy (Generator, BitGenerator, RandomState), `random.Random`,
        ``torch.Generator``. Those that all share, of `random`, NumPy and torch, always are put
        back.
    also : sequence, optional
        More that the block changes: arrays and tensors, dicts and lists of them, and objects with
        ``state_dict`` and ``load_state_dict`` such as modules of torch.

    Raises
    ------
    TypeError
        Something given is not of these kinds. Nothing has been changed then.

    Notes
    -----
    An array above 16 MiB that is reached through `functions` or `batches` is taken for data that
    nobody writes to; if somebody does, name it in `also`. The same holds for what is more than six
    references away; of a module of torch all is found, however deep. What is compiled (a C
    extension's own generator) or beyond this process (workers, devices) cannot be seen.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> from lrcore.instruments.restore import Restored
    >>> rng, w = np.random.default_rng(0), np.zeros(2)
    >>> opt = lrcore.SGD(w, lr=1.0, momentum=0.9)
    >>> with Restored(opt, generators=[rng]):
    ...     noise = rng.normal(size=2)
    ...     made = opt.step(noise)
    >>> w, opt.t, bool((rng.normal(size=2) == noise).all())
    (array([0., 0.]), 0, True)
    """

    def __init__(
        self,
        opt: Any,
        functions: Callable[..., Any] | Sequence[Callable[..., Any]] = (),
        batches: Any = None,
        *,
        generators: Iterable[Any] = (),
        also: Iterable[Any] = (),
    ) -> None:
        self._opt = opt
        self._functions = (functions,) if callable(functions) else tuple(functions)
        self._batches = batches
        self._generators = _listed("generators", generators)
        self._also = _listed("also", also)
        for i, g in enumerate(self._generators):
            if generator(g) is None:
                raise TypeError(
                    f"Restored: generators[{i}] must be a generator of NumPy, of random or of "
                    f"torch, got {type(g).__name__}"
                )
        for i, x in enumerate(self._also):
            _check_also(x, f"also[{i}]")
        if not (opt is None or isinstance(opt, Optimizer) or _has_state_dict(opt)):
            raise TypeError(f"Restored: opt must be an optimizer or None, got {type(opt).__name__}")
        self._model: list[Undo] = []
        self._rest: list[Undo] = []

    def __enter__(self) -> Restored:
        seen: dict[int, Any] = {id(self._opt): self._opt}
        self._model = list(_of_optimizer(self._opt, seen))
        for x in self._also:
            self._model += _of_anything(x, seen)
        self._rest = common_generators()
        self._rest += [undo for undo in map(generator, self._generators) if undo is not None]
        drawn, changed = found(self._batches, seen, order=True)
        self._rest += drawn + changed
        for f in self._functions:
            drawn, changed = found(f, seen, order=False)
            self._rest, self._model = self._rest + drawn, self._model + changed
        return self

    def put_back(self) -> None:
        """Put everything back now, and go on in the block."""
        self.put_back_model()
        for undo in self._rest:
            undo()

    def put_back_model(self) -> None:
        """Put back what an update changes: not the order of the data, nor random generators."""
        for undo in self._model:
            undo()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.put_back()
        except KeyboardInterrupt:
            self.put_back()  # once more, in full; then go
            raise
        finally:
            self._model, self._rest = [], []


# ------------------------------------------------------------------------------- an optimizer


def _of_optimizer(opt: Any, seen: dict[int, Any]) -> Iterator[Undo]:
    """What puts an optimizer and its parameters back; notes the arrays that are its own."""
    if opt is None:
        return
    if isinstance(opt, Optimizer):
        for a in _arrays(opt):
            seen[id(a)] = a
        yield _of_ours(opt)
        return
    for group in getattr(opt, "param_groups", ()):
        for p in group["params"]:
            if is_tensor(p):
                seen[id(p)] = p
                yield tensor(p)
    yield from _of_state_dict(opt)


def _arrays(opt: Optimizer) -> list[np.ndarray[Any, Any]]:
    """The parameters, and all arrays beside them."""
    layout = opt._layout
    return [leaf.array for leaf in layout.leaves] + [
        a for own in layout.arrays for a in own.values()
    ]


def _of_ours(opt: Optimizer) -> Undo:
    opt._alone()  # not while the parameters hold averages
    layout, progress = opt._layout, opt._progress
    groups, whole = list(layout.groups), layout.whole
    arrays = _arrays(opt) + ([] if layout.stats is None else [layout.stats])
    numbers = [array(a) for a in arrays]
    given = [v for values in groups for v in values.values()] + [whole.clip_norm]
    told: list[Undo] = [
        partial(one._put, **one._state())
        for value in given
        for schedule in (value if isinstance(value, tuple) else (value,))
        if isinstance(schedule, Schedule)
        for one in schedule._stateful()
    ]

    def undo() -> None:
        for put in (*told, *numbers):
            put()
        before = layout._replace(groups=list(groups))
        opt._publish(*planned(type(opt), before, progress), progress)

    return undo


# ------------------------------------------------------------------------------ anything else


def _has_state_dict(x: Any) -> bool:
    return callable(getattr(x, "state_dict", None)) and callable(
        getattr(x, "load_state_dict", None)
    )


def _listed(name: str, given: Any) -> tuple[Any, ...]:
    """The items of a list; one array or dict alone would be taken apart, and not put back."""
    alone = isinstance(given, (str, bytes, Mapping, np.ndarray)) or is_tensor(given)
    if alone or not isinstance(given, Iterable):
        raise TypeError(f"Restored: {name} must be a list, got {type(given).__name__}")
    return tuple(given)


def _check_also(x: Any, where: str) -> None:
    """Refuse what cannot be put back."""
    if isinstance(x, Mapping):
        for k, v in x.items():
            _check_also(v, f"{where}[{k!r}]")
    elif isinstance(x, (list, tuple)):
        for i, v in enumerate(x):
            _check_also(v, f"{where}[{i}]")
    elif isinstance(x, np.ndarray):
        if not x.flags.writeable:
            raise ValueError(f"Restored: {where} must be writable, got a read-only array")
    elif not (is_tensor(x) or _has_state_dict(x) or generator(x) is not None or _is_plain(x)):
        raise TypeError(
            f"Restored: {where} must be an array, a tensor, a dict or list of them, or have "
            f"state_dict and load_state_dict, got {type(x).__name__}"
        )


def _is_plain(x: Any) -> bool:
    return x is None or isinstance(x, (int, float, complex, str, bytes, np.generic))


def _of_anything(x: Any, seen: dict[int, Any]) -> list[Undo]:
    """What puts back an item of `also`."""
    if id(x) in seen and not isinstance(x, (Mapping, list, tuple)):
        return []
    seen[id(x)] = x
    if isinstance(x, np.ndarray):
        return [array(x)]
    if is_tensor(x):
        return [tensor(x)]
    if isinstance(x, Optimizer):
        return list(_of_optimizer(x, seen))
    if isinstance(x, Mapping):
        inner = [undo for v in x.values() for undo in _of_anything(v, seen)]
        return inner + ([partial(_refill, x, dict(x))] if isinstance(x, dict) else [])
    if isinstance(x, (list, tuple)):
        inner = [undo for v in x for undo in _of_anything(v, seen)]
        return inner + (
            [partial(x.__setitem__, slice(None), list(x))] if isinstance(x, list) else []
        )
    if _has_state_dict(x):
        return _of_state_dict(x)
    undo = generator(x)
    return [] if undo is None else [undo]


def _refill(x: dict[Any, Any], kept: dict[Any, Any]) -> None:
    x.clear()
    x.update(kept)


def _of_state_dict(x: Any) -> list[Undo]:
    """What puts back an object by what it says of its state, and the gradients it has."""
    from copy import deepcopy

    kept = deepcopy(x.state_dict())
    undo: list[Undo] = [lambda: _load(x, deepcopy(kept))]
    parameters = getattr(x, "parameters", None)
    if callable(parameters):
        undo += [tensor(p) for p in parameters() if is_tensor(p)]
    return undo


def _load(x: Any, state: Any) -> None:
    x.load_state_dict(state)


# ------------------------------------------------------------------------------------ batches


class Batches:
    """Batches one after the other, from the beginning again after the last one.

    Parameters
    ----------
    who : str
        What errors begin with.
    batches : iterable or callable
        A list, a loader, or a function without arguments that returns an iterator: what gives the
        same data again when it is asked again.

    Raises
    ------
    TypeError
        It is none of these, or an iterator, which can be gone through once.
    """

    def __init__(self, who: str, batches: Any) -> None:
        self._who, self._given = who, batches
        self._open: Iterator[Any] | None = None
        #: How many were given out, and how often the data began.
        self.count, self.passes = 0, 0
        got = f"got {type(batches).__name__}"
        again = "a list, a loader, or a function that returns an iterator"
        if isinstance(batches, (str, bytes, Mapping)):
            raise TypeError(f"{who}: batches must be {again}, {got}")
        if isinstance(batches, Iterator):
            raise TypeError(
                f"{who}: batches must be {again}; {got}, which can be gone through only once: what "
                "the finder took would be missing from the training that follows"
            )
        if not (self._iterable or callable(batches)):
            raise TypeError(f"{who}: batches must be {again}, {got}")

    @property
    def _iterable(self) -> bool:
        kind: Any = type(self._given)
        iterable = hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")
        return iterable and not isinstance(self._given, FunctionType)

    def _begin(self) -> Iterator[Any]:
        if self._iterable:
            return iter(self._given)
        made: Any = self._given()
        if not hasattr(type(made), "__iter__") and not hasattr(type(made), "__getitem__"):
            raise TypeError(
                f"{self._who}: batches must be a function that returns an iterator, got one that "
                f"returns {type(made).__name__}"
            )
        if self.passes == 0 and isinstance(made, Iterator) and self._given() is made:
            raise TypeError(
                f"{self._who}: batches must be a function that returns a new iterator each time, "
                "got one that returns the same again, which can be gone through only once"
            )
        return iter(made)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Any:
        """Return the next batch; ValueError where there is none."""
        for _ in range(2):
            if self._open is None:
                self._open = self._begin()
                self.passes += 1
            try:
                batch = next(self._open)
            except StopIteration:
                self._open = None
                continue
            self.count += 1
            return batch
        raise ValueError(f"{self._who}: batches must give at least one batch, got none")

    def length(self, most: int) -> int:
        """How many batches a pass has, which is gone through for it; at most `most`."""
        made, out = self._begin(), 0
        for _ in made:
            out += 1
            if out == most:
                break
        closing = getattr(made, "close", None)
        if callable(closing):
            closing()
        return out

    def close(self) -> None:
        """Let go of the iterator that is open, so that it cleans up after itself."""
        closing = getattr(self._open, "close", None)
        self._open = None
        if callable(closing):
            closing()
