"""What differs from parameter to parameter: which of them decay, and how fast each learns.

Resolved once, when a group is made, to one answer for each of its arrays.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from numpy.typing import NDArray

from .._domain import Interval
from .._hyper import POSITIVE, check_value
from .tree import spread

if TYPE_CHECKING:
    from .layout import Layout

__all__ = ["DecayMask", "Given", "LrScale", "Terms", "layerwise", "matrices_only"]

#: Pattern, patterns, function of path and array, or a structure of bools.
DecayMask: TypeAlias = (
    "str | Sequence[Any] | Callable[[str, NDArray[Any]], bool] | Mapping[Any, Any]"
)
#: Pattern -> factor, function of path and array, or a structure of numbers.
LrScale: TypeAlias = "Sequence[Any] | Callable[[str, NDArray[Any]], float] | Mapping[Any, Any]"

SHOWN = 20  # paths in a warning
LOST = Ellipsis  # in place of a function that could not be pickled


class Terms(NamedTuple):
    """What a parameter has besides its group's values."""

    decays: bool = True
    lr_scale: float = 1.0


class Param(NamedTuple):
    """A parameter as masks see it."""

    #: As in ``opt.state``, and without the number of the group.
    path: str
    short: str
    array: NDArray[Any]

    def matches(self, pattern: str) -> bool:
        """Whether a pattern is for it."""
        return fnmatchcase(self.path, pattern) or fnmatchcase(self.short, pattern)

    def first(self, patterns: Iterable[str]) -> str | None:
        """The first pattern that is for it."""
        return next((pattern for pattern in patterns if self.matches(pattern)), None)


#: Of each option: what it may say (None: True or False), and what holds without a mask and where no
#: pattern matches.
KINDS: dict[str, tuple[Interval | None, Any, Any]] = {
    "decay_mask": (None, True, False),
    "lr_scale": (POSITIVE, 1.0, 1.0),
}


def matrices_only(path: str, array: NDArray[Any]) -> bool:
    """Whether a parameter has two dimensions or more: a mask that spares biases and norms.

    Parameters
    ----------
    path : str
        Not looked at.
    array : ndarray
        The parameter.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> params = {"w": np.ones((2, 2)), "b": np.ones(2)}
    >>> opt = lrcore.AdamW(params, lr=0.5, weight_decay=1.0, decay_mask=lrcore.matrices_only)
    >>> opt.step({"w": np.zeros((2, 2)), "b": np.zeros(2)})
    True
    >>> params["w"][0], params["b"]
    (array([0.5, 0.5]), array([1., 1.]))
    """
    return array.ndim >= 2


def layerwise(decay: float, order: Sequence[str]) -> dict[str, float]:
    """Rates that fall from the output to the input, as ``lr_scale``.

    Parameters
    ----------
    decay : float
        In (0, inf); the factor from a layer to the one before it.
    order : list of str
        Path patterns, each once, from the input's layer to the output's, whose factor is 1.

    Returns
    -------
    dict
        Pattern -> factor.

    Notes
    -----
    Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", section
    3.2 (there ``decay`` is 1 / 2.6).

    Examples
    --------
    >>> layerwise(0.5, ["embed*", "layers.0.*", "layers.1.*", "head*"])
    {'embed*': 0.125, 'layers.0.*': 0.25, 'layers.1.*': 0.5, 'head*': 1.0}
    """
    factor = check_value("layerwise", "decay", decay, POSITIVE)
    is_list = isinstance(order, Sequence) and not isinstance(order, str)
    if not is_list or not all(isinstance(pattern, str) for pattern in order):
        raise TypeError(f"layerwise: order must be a list of patterns, got {order!r}")
    twice = next((pattern for i, pattern in enumerate(order) if pattern in order[:i]), None)
    if twice is not None:
        raise ValueError(f"layerwise: order must hold each pattern once, got {twice!r} twice")
    out: dict[str, float] = {}
    scale = 1.0
    for pattern in reversed(order):
        out[pattern] = check_value("layerwise", f"the factor of {pattern!r}", scale, POSITIVE)
        scale *= factor
    return dict(reversed(out.items()))


def _resolve(who: str, masks: Mapping[str, Any], params: list[Param], tree: Any) -> list[Terms]:
    """What the masks of a group say of each of its parameters."""
    columns = [_values(who, name, mask, params, tree) for name, mask in masks.items()]
    return [Terms(*row) for row in zip(*columns, strict=True)]


def _values(who: str, name: str, mask: Any, params: list[Param], tree: Any) -> list[Any]:
    domain, default, unmatched = KINDS[name]
    if mask is None:
        return [default] * len(params)
    if callable(mask):
        _check_callable(who, name, mask)
        found = [(f"{name}({x.path!r}, array)", mask(x.path, x.array)) for x in params]
    elif (patterns := _patterns(name, mask, tree)) is not None:
        for pattern, value in patterns.items():
            check_value(who, f"{name}[{pattern!r}]", value, domain)
        first = [x.first(patterns) for x in params]
        found = [(name, unmatched if p is None else patterns[p]) for p in first]
    elif not isinstance(mask, (Mapping, list, tuple)):
        found = [(name, mask)] * len(params)
    else:
        try:
            found = list(spread(tree, mask, name).values())
        except ValueError as error:
            raise ValueError(f"{who}: {error}") from None
    return [check_value(who, what, value, domain) for what, value in found]


def _check_callable(who: str, name: str, mask: Callable[..., Any]) -> None:
    """Refuse a function that cannot be called with a path and an array."""
    from inspect import signature

    try:
        signature(mask).bind("", None)
    except ValueError:  # a builtin that says nothing of itself
        return
    except TypeError as error:
        raise TypeError(
            f"{who}: {name} must be callable with a path and an array, got {mask!r}: {error}"
        ) from None


def _patterns(name: str, mask: Any, tree: Any) -> Mapping[str, Any] | None:
    """Pattern -> value, where a mask consists of patterns."""
    if name == "lr_scale":
        is_dict = isinstance(mask, Mapping) and all(isinstance(key, str) for key in mask)
        same_keys = is_dict and isinstance(tree, tuple) and set(tree[1] or ()) == set(mask)
        nested = is_dict and any(isinstance(v, (Mapping, list, tuple)) for v in mask.values())
        return mask if is_dict and not (same_keys or nested) else None
    items = [mask] if isinstance(mask, str) else mask
    if isinstance(items, (list, tuple)) and all(isinstance(item, str) for item in items):
        return dict.fromkeys(items, True)
    return None


def _warn_idle(
    who: str, name: str, mask: Any, params: list[Param], terms: list[Terms], trees: list[Any]
) -> None:
    """Warn of a mask that leaves nothing to decay, and of a pattern that does nothing."""
    if not params:
        return
    if name == "decay_mask" and mask is not None and not any(term.decays for term in terms):
        _warn(f"{who}: decay_mask leaves no parameter that decays; the paths are {_seen(params)}")
        return
    found = [_patterns(name, mask, tree) for tree in trees]
    if not all(found):
        return
    patterns = found[0] or {}
    used = {x.first(patterns) for x in params}
    for pattern in patterns:
        for_it = [] if pattern in used else [x for x in params if x.matches(pattern)]
        if not for_it and pattern not in used:
            _warn(f"{who}: {name} {pattern!r} matches no parameter; the paths are {_seen(params)}")
        elif for_it and name == "lr_scale":
            _warn(
                f"{who}: lr_scale {pattern!r} does nothing, since patterns before it match what it "
                f"matches, {_seen(for_it)}; the first match counts"
            )


def _seen(params: list[Param]) -> str:
    text = ", ".join(repr(x.path) for x in params[:SHOWN])
    return text + (", ..." if len(params) > SHOWN else "")


def _warn(text: str) -> None:
    """Warn at the line outside of this package that is the cause."""
    level, frame = 1, sys._getframe()
    package = __name__.partition(".")[0]
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)


class Given:
    """The masks that an optimizer was made with, for the groups that have none of their own."""

    def __init__(self, decay_mask: Any, lr_scale: Any) -> None:
        self.masks = {"decay_mask": decay_mask, "lr_scale": lr_scale}

    def of_group(
        self, who: str, own: Mapping[str, Any], index: int, count: int | None
    ) -> dict[str, Any]:
        """The masks of a group, one of the `count` that are being made; None: one that is added.

        A list of structures has one for each group; there is no list where `count` is 0.
        """
        out = {}
        for name, mask in self.masks.items():
            if name in own:
                out[name] = own[name]
            elif count == 0 or not (mask is LOST or _by_structure(name, mask)):
                out[name] = mask
            elif count is None:
                kind = "a function that could not be pickled" if mask is LOST else "a structure"
                raise ValueError(
                    f"{who}: group must have a {name} of its own, since the optimizer's is {kind}"
                )
            elif not isinstance(mask, (list, tuple)) or len(mask) != count:
                got = len(mask) if isinstance(mask, (list, tuple)) else type(mask).__name__
                raise ValueError(
                    f"{who}: {name} must be a list of one entry a group, {count}, got {got}"
                )
            else:
                out[name] = mask[index]
        return out

    def terms(
        self, who: str, layout: Layout, given: Sequence[Mapping[str, Any]], start: int = 0
    ) -> list[Terms]:
        """What the masks say of the parameters of the groups from `start` on, made of `given`."""
        count = None if start else len(given) * layout.grouped
        groups: list[list[Param]] = [[] for _ in layout.groups]
        for path, x in zip(layout.paths(), layout.leaves, strict=True):
            groups[x.group].append(Param(path, x.path, x.array))
        out: list[list[Terms]] = []
        for i, own in enumerate(given, start):
            masks = self.of_group(who, own, i, count)
            found = _resolve(who, masks, groups[i], layout.trees[i])
            out.append(found)
            for name in masks:
                if name in own:
                    _warn_idle(who, name, own[name], groups[i], found, [layout.trees[i]])
        for name, mask in self.masks.items():
            common = [i for i, own in enumerate(given) if name not in own]
            if common and not start:
                params = [x for i in common for x in groups[i]]
                found = [x for i in common for x in out[i]]
                _warn_idle(who, name, mask, params, found, [layout.trees[i] for i in common])
        return [terms for group in out for terms in group]

    def __reduce__(self) -> tuple[Any, ...]:
        return Given, tuple(_kept(mask) for mask in self.masks.values())

    def __deepcopy__(self, memo: object) -> Given:
        return self


def _by_structure(name: str, mask: Any) -> bool:
    """Whether a mask can only be a structure like the parameters of one optimizer."""
    nested = isinstance(mask, (Mapping, list, tuple))
    return nested and _patterns(name, mask, None) is None


def _kept(mask: Any) -> Any:
    """A mask as it can be pickled."""
    if not callable(mask):
        return mask
    import pickle

    try:
        pickle.dumps(mask)
    except (pickle.PicklingError, AttributeError, TypeError):
        return LOST
    return mask
