"""Nested structures of arrays: flattened once, matched at every step by ``_core``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Leaf", "flatten", "labelled"]


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
    """The leaves of a structure of dicts, lists and tuples, and the tree to match gradients with.

    A node of the tree is the number of a leaf, counted from `start`, or a tuple of the label, the
    keys (None for a list or tuple) and the children.
    """
    leaves: list[Leaf] = []

    def visit(node: Any, path: tuple[str, ...], label: str) -> Any:
        if isinstance(node, Mapping):
            keys = tuple(node)
            texts = [f'["{k}"]' if isinstance(k, str) else f"[{k!r}]" for k in keys]
            children = [
                visit(node[k], (*path, str(k)), label + text)
                for k, text in zip(keys, texts, strict=True)
            ]
            return (label, keys, tuple(children))
        if isinstance(node, (list, tuple)):
            children = [visit(n, (*path, str(i)), f"{label}[{i}]") for i, n in enumerate(node)]
            return (label, None, tuple(children))
        leaves.append(Leaf(node, ".".join(path), label, group))
        return start + len(leaves) - 1

    return leaves, visit(params, (), "")


def labelled(tree: Any, prefix: str) -> Any:
    """The tree with `prefix` before every label."""
    if isinstance(tree, int):
        return tree
    label, keys, children = tree
    return (prefix + label, keys, tuple(labelled(child, prefix) for child in children))
