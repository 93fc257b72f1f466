"""The arrays of one parameter in a state dict: whether they fit, and how they are taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._hyper import RULES, STATES
from .layout import Layout
from .memory import Store, flat
from .slots import AVERAGES, BLOCK_8BIT, Slot, real, rows_of
from .tree import Leaf

__all__ = ["check_convertible", "check_same", "order", "require", "write"]

Array: TypeAlias = NDArray[Any]
Entry: TypeAlias = Mapping[str, Any]

#: What an entry may hold besides its slots.
BESIDES = {"t", "decays", "lr_scale", "order", "summed", "estimates"}
#: Slots that come and go with a run: no state is refused for them.
PASSING = {"sum", "trace", "work"}
#: What there may be beside every parameter.
ALWAYS = {*BESIDES, *PASSING, *AVERAGES, "master", "low"}
CONVERT = "; convert=True converts it"
FLOATS: Sequence[str] = ("float16", "bfloat16", "float32", "float64")


def require(who: str, where: str, found: Any, keys: set[str]) -> None:
    """Refuse what is no dict with just these keys."""
    if not isinstance(found, Mapping) or set(found) != keys:
        got = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(f"{who}: {where} must be a dict with the keys {sorted(keys)}, got {got}")


def order(leaf: Leaf) -> str:
    """The memory order of a parameter, which its flat slots and 8-bit blocks follow."""
    return "C" if leaf.array.flags.c_contiguous else "F"


def _form(arrays: Mapping[str, Any], name: str) -> str | None:
    """How a state, or the master, is kept, as far as names tell."""
    if name == "master":
        return "float32" if name in arrays else "split" if "low" in arrays else None
    if name not in arrays:
        return None
    return "8 bits" if f"{name}_scale" in arrays else "one number an element"


def check_same(who: str, place: str, entry: Any, rule: str, leaf: Leaf, slots: list[Slot]) -> None:
    """Refuse, by name, what is not stored as it is here."""
    wanted = {slot.name: slot for slot in slots if slot.name not in PASSING}
    keys = {*wanted, "t"}
    blocks = False
    if isinstance(entry, Mapping):
        keys |= (BESIDES | PASSING) & set(entry)
        for name in RULES[rule].states:
            ours, theirs = _form(wanted, name), _form(entry, name)
            blocks = blocks or theirs == "8 bits"
            if ours and theirs and ours != theirs:
                raise ValueError(
                    f"{who}: {place}[{name!r}] must be in {ours} as here, got {theirs}{CONVERT}"
                )
        ours, theirs = _form(wanted, "master"), _form(entry, "master")
        if ours != theirs:
            raise ValueError(
                f"{who}: {place} must have the master {ours!r} as here, got {theirs!r}{CONVERT}"
            )
    require(who, place, entry, keys)
    _check_besides(who, place, entry, leaf, [real(leaf.array.dtype).name])
    if blocks and entry.get("order", "C") != order(leaf):
        raise ValueError(
            f"{who}: {place} must have 8-bit blocks in {order(leaf)} order as here, "
            f"got {entry.get('order', 'C')!r}{CONVERT}"
        )
    for name, slot in wanted.items():
        _check_array(who, f"{place}[{name!r}]", entry[name], slot.shape(leaf), [slot.dtype.name])


@cache
def _names(rule: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The states of a rule, their scales in 8 bits, and the states of rows."""
    states = RULES[rule].states
    scales = frozenset(f"{name}_scale" for name in states)
    return frozenset(states), scales, frozenset(s.name for s in STATES[rule] if s.of_rows)


_name = cache(attrgetter("name"))  # of a dtype, which NumPy makes up anew each time


def check_convertible(
    who: str, place: str, entry: Any, rule: str, leaf: Leaf, slots: list[Slot]
) -> None:
    """Refuse what cannot be made into what is kept here."""
    kept = {slot.name: slot for slot in slots if (slot.side, slot.over) != (None, None)}
    states, scales, of_rows = _names(rule)
    needed = {"t", *kept, *(states | {"trained"}).intersection(slot.name for slot in slots)}
    known = needed | states | scales | ALWAYS
    if not isinstance(entry, Mapping) or not needed <= entry.keys() <= known:
        require(who, place, entry, needed)
    _check_besides(who, place, entry, leaf, FLOATS)
    p = leaf.array
    for name in entry.keys() - BESIDES - PASSING:
        shape, dtypes = (rows_of(p),) if name in of_rows else p.shape, FLOATS
        if name in kept:
            shape = kept[name].shape(leaf)
        elif name in scales:
            shape, dtypes = (-(-p.size // BLOCK_8BIT),), ["uint8"]
        elif f"{name}_scale" in entry:
            dtypes = ["uint8"]
        elif name in ("master", "low"):
            dtypes = ["float32" if name == "master" else "uint16"]
        _check_array(who, f"{place}[{name!r}]", entry[name], shape, dtypes)


def _check_besides(who: str, place: str, entry: Entry, leaf: Leaf, sums: Sequence[str]) -> None:
    if not isinstance(entry.get("order", "C"), str) or entry.get("order", "C") not in ("C", "F"):
        raise ValueError(f"{who}: {place}['order'] must be 'C' or 'F', got {entry['order']!r}")
    if "summed" in entry:
        _check_array(who, f"{place}['sum']", entry.get("sum"), leaf.array.shape, sums)


def _check_array(
    who: str, where: str, a: Any, shape: tuple[int, ...], dtypes: Sequence[str]
) -> None:
    """Refuse what is no array of this shape and one of these dtypes."""
    if isinstance(a, np.ndarray) and a.shape == shape and _name(a.dtype) in dtypes:
        return
    got = f"{a.dtype} of shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
    fits = isinstance(a, np.ndarray) and a.shape == shape and a.dtype.name in FLOATS
    hint = CONVERT if fits and len(dtypes) == 1 else ""
    raise ValueError(
        f"{who}: {where} must be a {' or '.join(dtypes)} array of shape {shape}, got {got}{hint}"
    )


def write(rule: str, layout: Layout, i: int, entry: Entry) -> None:
    """Take over what is saved of parameter `i`, in the way in which it is stored here."""
    leaf, store, own = layout.leaves[i], layout.stores[i], layout.arrays[i]
    same_order = entry.get("order", "C") == order(leaf)
    with np.errstate(all="ignore"):
        for j, name in enumerate(RULES[rule].states):
            if name in own:
                _write_state(rule, layout, (i, j), name, entry, same_order)
        for name, kept in store.matrices.items():
            kept[...] = entry[name]
        _write_master(store, own, entry)
        for name in AVERAGES:
            if name in own:
                own[name][...] = entry.get(name, store.p)
        if "trained" in own:
            own["trained"][...] = entry["trained"]
        if "sum" in own and "summed" in entry:
            own["sum"][...] = entry["sum"]
        if "trace" in own:
            own["trace"][...] = _trace(entry, own["trace"]) if same_order else 0


def _trace(entry: Entry, like: Array) -> Any:
    """The trace that is saved, where it is one of what is traced here; otherwise none."""
    found = entry.get("trace")
    fits = isinstance(found, np.ndarray) and found.shape == like.shape and found.dtype.kind == "f"
    return found if fits else 0


def _write_state(
    rule: str, layout: Layout, place: tuple[int, int], name: str, entry: Entry, same_order: bool
) -> None:
    i, j = place
    leaf, own, scale = layout.leaves[i], layout.arrays[i], f"{name}_scale"
    same = own[name].dtype == entry[name].dtype and (scale in own) == (scale in entry)
    if same and (same_order or scale not in own):
        own[name][...] = entry[name]
        if scale in own:
            own[scale][...] = entry[scale]
        return
    from . import convert

    like = entry.get("order", "C")
    stored = entry[name].reshape(-1, order=like)
    x = convert.decode(rule, name, stored, entry.get(scale), real(leaf.array.dtype))
    x = flat(x.reshape(entry[name].shape, order=like), leaf.array)
    convert.encode(rule, name, x, own, leaf, layout.whole.seed, i, j)


def _write_master(store: Store, own: Mapping[str, Array], entry: Entry) -> None:
    """The number that a narrow parameter stands for, in full."""
    p = store.p
    if "low" in own and "low" in entry:
        own["low"][...] = entry["low"]
    elif "low" in own:
        full = np.array(entry.get("master", p), np.float32).view(np.uint32)
        own["low"][...] = full & 0xFFFF
        p.view(np.uint16)[...] = full >> 16
    elif "master" in own and "low" in entry:
        full = p.view(np.uint16).astype(np.uint32) << 16 | entry["low"]
        own["master"][...] = full.view(np.float32)
    elif "master" in own:
        own["master"][...] = entry.get("master", p)
