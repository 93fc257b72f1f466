"""Nested structures of arrays: flattened once, matched at every step by ``_core``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Leaf", "flatten", "labelled", "rebuilt", "spread"]


@dataclass
class Leaf:
    """One array of a structure. ``path`` is ``layers.0.b``, ``label`` ``["layers"][0]["b"]``."""

    array: Any
    path: str
    label: str
    group: int = 0
    #: What the array was when it was accepted, and must still be.
    form: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.form = self.now()

    def now(self) -> tuple[Any, ...]:
        """Shape, dtype and order of the array; nothing for what is no array."""
        if not isinstance(self.array, np.ndarray):
            return ()
        return self.array.shape, self.array.dtype, "FC"[self.array.flags.c_contiguous]


def flatten(params: Any, group: int = 0, start: int = 0) -> tuple[list[Leaf], Any]:
    """The leaves of a structure of dicts, lists and tuples, and the tree to match others with.

    A node of the tree is the number of a leaf, counted from `start`, or a tuple of the label, the
    keys (None for a list or tuple), the children and what it is: dict, list or tuple.
    """
    leaves: list[Leaf] = []

    def visit(node: Any, path: tuple[str, ...], label: str) -> Any:
        if isinstance(node, Mapping):
            keys = tuple(node)
            texts = [_key(k) for k in keys]
            children = [
                visit(node[k], (*path, str(k)), label + text)
                for k, text in zip(keys, texts, strict=True)
            ]
            return (label, keys, tuple(children), dict)
        if isinstance(node, (list, tuple)):
            children = [visit(n, (*path, str(i)), f"{label}[{i}]") for i, n in enumerate(node)]
            return (label, None, tuple(children), list if isinstance(node, list) else tuple)
        leaves.append(Leaf(node, ".".join(path), label, group))
        return start + len(leaves) - 1

    return leaves, visit(params, (), "")


def _key(key: object) -> str:
    return f'["{key}"]' if isinstance(key, str) else f"[{key!r}]"


def labelled(tree: Any, prefix: str) -> Any:
    """The tree as ``_core`` takes it: `prefix` before every label, and no kinds."""
    if isinstance(tree, int):
        return tree
    label, keys, children, _ = tree
    return (prefix + label, keys, tuple(labelled(child, prefix) for child in children))


def rebuilt(tree: Any, values: Sequence[Any]) -> Any:
    """The structure that a tree describes, with ``values[i]`` for leaf i."""
    if isinstance(tree, int):
        return values[tree]
    _, keys, children, kind = tree
    made = [rebuilt(child, values) for child in children]
    return dict(zip(keys, made, strict=True)) if keys is not None else kind(made)


def spread(tree: Any, given: Any, what: str) -> dict[int, tuple[str, Any]]:
    """For each leaf of a tree what a structure like it holds there, with its name for messages.

    One value in place of a list or dict stands for all that is in it.
    """
    if isinstance(tree, int):
        return {tree: (what, given)}
    _, keys, children, _ = tree
    if not isinstance(given, (Mapping, list, tuple)):
        items = [given] * len(children)
    elif keys is None:
        if isinstance(given, Mapping) or len(given) != len(children):
            got = "a dict" if isinstance(given, Mapping) else str(len(given))
            raise ValueError(f"{what} must be a list of {len(children)}, got {got}")
        items = list(given)
    else:
        if not isinstance(given, Mapping) or set(given) != set(keys):
            got = str(list(given)) if isinstance(given, Mapping) else type(given).__name__
            raise ValueError(f"{what} must be a dict with the keys {list(keys)}, got {got}")
        items = [given[key] for key in keys]
    out: dict[int, tuple[str, Any]] = {}
    for i, (child, item) in enumerate(zip(children, items, strict=True)):
        out.update(spread(child, item, what + _key(i if keys is None else keys[i])))
    return out
