"""Nested structures of arrays: flattened once, matched at every step by ``_core``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Leaf", "flatten"]


@dataclass
class Leaf:
    """One array of a structure. ``path`` is ``layers.0.b``, ``label`` ``["layers"][0]["b"]``."""

    array: Any
    path: str
    label: str
    group: int = 0


def flatten(params: Any, label: str = "", start: int = 0) -> tuple[list[Leaf], Any]:
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
            return (f"grads{label}", keys, tuple(children))
        if isinstance(node, (list, tuple)):
            children = [visit(n, (*path, str(i)), f"{label}[{i}]") for i, n in enumerate(node)]
            return (f"grads{label}", None, tuple(children))
        leaves.append(Leaf(node, ".".join(path), label))
        return start + len(leaves) - 1

    return leaves, visit(params, (), label)
