"""What a function or a loader holds that a call changes: random generators, arrays, its own order.

A walk over closures, defaults, globals used, bound objects and attributes. It never calls anything
of the caller's.
"""

from __future__ import annotations

import functools
import os
import random
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterator
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Undo", "array", "common_generators", "found", "generator", "is_tensor", "tensor"]

#: Puts one thing back. May be called several times.
Undo: TypeAlias = Callable[[], None]

DEPTH = 6  # how many references lead from a function to what is looked at
LONGEST = 1000  # a container with more in it is data, and is not looked through
LARGEST = 1 << 24  # bytes; a larger array is data, and is put back only where it is named

NUMBERS = (str, bytes, int, float, complex, bool, type(None))
PLAIN = (*NUMBERS, type, ModuleType, BuiltinFunctionType)


def generator(g: Any) -> Undo | None:
    """What puts a random generator back to its state of now; None for what is none."""
    if isinstance(g, np.random.Generator):
        return _bits(g.bit_generator)
    if isinstance(g, np.random.BitGenerator):
        return _bits(g)
    if isinstance(g, np.random.RandomState):
        legacy = g.get_state(legacy=False)
        return lambda: g.set_state(legacy)
    if isinstance(g, random.Random) and not isinstance(g, random.SystemRandom):
        state = g.getstate()
        return lambda: g.setstate(state)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(g, torch.Generator):
        kept = g.get_state().clone()
        return lambda: _call(g.set_state, kept.clone())
    return None


def _bits(bits: Any) -> Undo:
    """A bit generator, and how many children its seed has had."""
    state, seeds = bits.state, getattr(bits, "seed_seq", None)
    pickled = seeds.__reduce__()[2] if isinstance(seeds, np.random.SeedSequence) else None

    def undo() -> None:
        bits.state = state
        if pickled is not None and seeds is not None:
            seeds.__setstate__(pickled)

    return undo


def common_generators() -> list[Undo]:
    """The generators that everybody shares: of `random`, of NumPy, and of torch where it is."""
    state, legacy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
    undo: list[Undo] = [
        lambda: random.setstate(state),
        lambda: np.random.set_state(legacy),  # noqa: NPY002
    ]
    torch = sys.modules.get("torch")
    if torch is not None:
        kept = torch.get_rng_state()
        undo.append(lambda: _call(torch.set_rng_state, kept.clone()))
        if torch.cuda.is_initialized():
            devices = torch.cuda.get_rng_state_all()
            undo.append(lambda: _call(torch.cuda.set_rng_state_all, [x.clone() for x in devices]))
    return undo


def _call(f: Callable[..., object], *args: object) -> None:
    f(*args)


def array(a: np.ndarray[Any, Any]) -> Undo:
    """What puts the numbers of an array back."""
    kept = a.copy()

    def undo() -> None:
        a[...] = kept

    return undo


def tensor(x: Any) -> Undo:
    """What puts the numbers and the gradient of a torch tensor back."""
    torch = sys.modules["torch"]
    kept = x.detach().clone()
    grad = x.grad if x.is_leaf else None
    kept_grad = None if grad is None else grad.detach().clone()

    def undo() -> None:
        with torch.no_grad():
            x.detach().copy_(kept)
            if grad is not None:
                grad.copy_(kept_grad)
        if x.is_leaf and x.grad is not grad:
            x.grad = grad

    return undo


def is_tensor(x: Any) -> bool:
    """Whether something is a tensor of torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def is_module(x: Any) -> bool:
    """Whether something is a module of torch, which trains or evaluates."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.nn.Module)


# ------------------------------------------------------------------------------------ the walk


def found(root: Any, seen: dict[int, Any], *, order: bool) -> tuple[list[Undo], list[Undo]]:
    """What puts back all that can be reached from `root` and that using it may change.

    Generators, and apart from them arrays; with `order`, also attributes, variables of closures,
    lists, sets and dicts, which are what a loader keeps its place in. Without it those are taken
    for a log. `seen` are the objects that others put back, by their `id`; it grows by what is seen
    here.
    """
    generators: list[Undo] = []
    out: list[Undo] = []
    todo: deque[tuple[Any, int]] = deque([(root, 0)])
    while todo:
        x, depth = todo.popleft()
        if isinstance(x, PLAIN) or id(x) in seen:
            continue
        seen[id(x)] = x
        drawn = generator(x)
        if drawn is not None:
            generators.append(drawn)
            continue
        undo = _one(x, order)
        if undo is not None:
            out.append(undo)
        if order and isinstance(x, FunctionType):
            out += _variables(x)
        if depth < DEPTH and not isinstance(x, np.ndarray) and not is_tensor(x):
            todo += [(child, depth + 1) for child in _children(x)]
    return generators, out


def _one(x: Any, order: bool) -> Undo | None:
    """What puts one object back, without what it refers to."""
    if isinstance(x, np.ndarray):
        return array(x) if x.flags.writeable and x.nbytes <= LARGEST else None
    if is_tensor(x):
        small = x.element_size() * x.nelement() <= LARGEST
        return tensor(x) if small else None
    if isinstance(x, FunctionType):
        return None
    if isinstance(x, dict):
        return _bindings(x, order)
    if order and isinstance(x, (list, deque)) and len(x) <= LARGEST // 8:
        return _sequence(x)
    if order and isinstance(x, set):
        return _set(x)
    if isinstance(getattr(x, "__dict__", None), dict):
        return _bindings(vars(x), order, ("training",) if is_module(x) else ())
    return None


def _bindings(names: dict[Any, Any], order: bool, also: tuple[str, ...] = ()) -> Undo | None:
    """What a dict's keys stand for; without `order` only arrays, and those of `also`."""
    kept = {
        k: v
        for k, v in names.items()
        if order or k in also or isinstance(v, np.ndarray) or is_tensor(v)
    }
    if not kept and not order:
        return None

    def undo() -> None:
        if order and list(names) != list(kept):
            names.clear()
        for k, v in kept.items():
            if k not in names or names[k] is not v:
                names[k] = v

    return undo


def _sequence(x: Any) -> Undo:
    kept = list(x)

    def undo() -> None:
        x.clear()
        x.extend(kept)

    return undo


def _set(x: set[Any]) -> Undo:
    kept = x.copy()

    def undo() -> None:
        x.clear()
        x.update(kept)

    return undo


def _variables(f: FunctionType) -> list[Undo]:
    """The variables that a function shares with others and that it may assign to."""
    out: list[Undo] = []
    for cell in f.__closure__ or ():
        try:
            out.append(functools.partial(setattr, cell, "cell_contents", cell.cell_contents))
        except ValueError:  # nothing in it yet
            out.append(functools.partial(_emptied, cell))
    names = f.__globals__
    for name in () if _installed(f.__code__.co_filename) else _used(f.__code__):
        if name in names and isinstance(names[name], NUMBERS):
            out.append(functools.partial(names.__setitem__, name, names[name]))
    return out


def _emptied(cell: Any) -> None:
    del cell.cell_contents


def _used(code: CodeType) -> Iterator[str]:
    """The names that a function and those inside it take from elsewhere."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _used(inner)


def _children(x: Any) -> Iterator[Any]:
    """What an object refers to, as far as it may matter."""
    if isinstance(x, FunctionType):
        yield from _of_function(x)
    elif isinstance(x, MethodType):
        yield x.__self__
        yield x.__func__
    elif isinstance(x, functools.partial):
        yield x.func
        yield from x.args
        yield from x.keywords.values()
    elif isinstance(x, dict):
        if len(x) <= LONGEST:
            yield from x.values()
    elif isinstance(x, (list, tuple, set, frozenset, deque)):
        if len(x) <= LONGEST:
            yield from x
    else:
        yield from _attributes(x)
        yield from _of_module(x)


def _of_module(x: Any) -> Iterator[Any]:
    """The arrays and parts of a module of torch, however deep it is nested."""
    if is_module(x):
        kind = sys.modules["torch"].nn.Module
        yield from kind.parameters(x)
        yield from kind.buffers(x)
        yield from kind.modules(x)


def _of_function(f: FunctionType) -> Iterator[Any]:
    for cell in f.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # nothing in it yet
            continue
    yield from f.__defaults__ or ()
    yield from (f.__kwdefaults__ or {}).values()
    yield from vars(f).values()
    if _installed(f.__code__.co_filename):
        return  # its module belongs to a library, which leads everywhere
    for name in _used(f.__code__):
        if name in f.__globals__:
            yield f.__globals__[name]


def _attributes(x: Any) -> Iterator[Any]:
    """What an object has as attributes, and what the methods of its class use."""
    own = getattr(x, "__dict__", None)
    if isinstance(own, dict):
        yield from own.values()
    for kind in type(x).__mro__:
        for member in vars(kind).values():
            if isinstance(member, MemberDescriptorType):
                try:
                    yield member.__get__(x, type(x))
                except AttributeError:  # nothing in it
                    continue
            elif isinstance(member, FunctionType) and not _installed(member.__code__.co_filename):
                yield member


@functools.cache
def _installed(path: str) -> bool:
    """Whether a file is of Python or of a package, and not of the caller's own."""
    places = {sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")}
    return path.startswith(("<frozen", *(place + os.sep for place in places)))
