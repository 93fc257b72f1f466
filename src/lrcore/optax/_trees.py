"""JAX's trees as lrcore's: nested dicts and lists, whose keys make the paths of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.tree_util import SequenceKey, tree_flatten_with_path

__all__ = ["as_masks", "nested"]


def _children(node: Any) -> list[tuple[Any, Any]] | None:
    """Key and child of each branch, in JAX's order; None: a leaf."""
    found, _ = tree_flatten_with_path(node, is_leaf=lambda x: x is not node)
    if found and found[0][0] == ():
        return None
    return [(path[0], child) for path, child in found]


def _name(key: Any) -> Any:
    """The key of a branch as an lrcore dict has it."""
    return next((getattr(key, x) for x in ("key", "idx", "name") if hasattr(key, x)), str(key))


def nested(tree: Any, leaf: Callable[[Any], Any]) -> Any:
    """A tree as nested dicts and lists, with ``leaf(x)`` in place of each leaf."""
    children = _children(tree)
    if children is None:
        return leaf(tree)
    if all(isinstance(key, SequenceKey) for key, _ in children):
        return [nested(child, leaf) for _, child in children]
    return {_name(key): nested(child, leaf) for key, child in children}


def as_masks(mask: Any) -> Any:
    """A mask as lrcore takes it: a structure of JAX's own classes as nested dicts and lists."""
    if (
        mask is None
        or isinstance(mask, (str, list))
        or type(mask) in (dict, tuple)
        or callable(mask)
    ):
        return mask
    if jax.tree_util.all_leaves([mask]):
        return mask
    return nested(mask, lambda x: x)
