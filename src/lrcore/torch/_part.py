"""Part: some tensors, and the optimizer of this library that steps them where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch.autograd.graph import increment_version

from .. import Optimizer, _core
from .._hyper import RULES
from .._optimizer.group import assign
from .._optimizer.moving import Source, move
from .._optimizer.options import GROUP, MASKS
from .._optimizer.state import plain
from ._flags import DECOUPLED, check_flags
from ._sent import Sent, number
from ._spread import check_part, gradient, is_spread, local, part
from ._tensors import as_array, as_gradient

__all__ = ["Members", "Part", "distinct"]

#: Rules that look at rows or matrices, so that the order of a tensor's axes has a meaning.
BY_AXES = ("row", "matrix", "factored")
#: What a group cannot be told later.
FIXED = (*MASKS, *(name for name, option in GROUP.items() if option.fixed))

is_negative = torch.Tensor.is_neg


class Members(NamedTuple):
    """Those of a group that a part steps."""

    group: dict[str, Any]
    params: list[Any]
    names: list[str] | None

    @classmethod
    def all(cls, group: dict[str, Any]) -> Members:
        """All of a group."""
        return cls(group, group["params"], group.get("param_names"))


class Part:
    """The tensors of some groups, as arrays of one optimizer.

    `hypers` are the names of the hyper-parameters, `options` what the optimizer is given once and
    `defaults` what holds for every group that says nothing else.
    """

    def __init__(
        self,
        kind: type[Optimizer],
        hypers: Sequence[str],
        members: Sequence[Members],
        options: Mapping[str, Any],
        defaults: Mapping[str, Any],
    ) -> None:
        self.who, self._known = kind.__name__, {*hypers, *GROUP, *MASKS}
        self._rule, self._options = kind.rule, options
        self._decoupled = bool(defaults.get(DECOUPLED))
        self._by_axes = RULES[kind.rule].scope in BY_AXES
        once = [k for k in defaults if k in self._known and k not in MASKS]
        self._once = {k: number(self.who, k, defaults[k]) for k in once}
        views = [self._views(i, some) for i, some in enumerate(members)]
        made = [self._made(some, seen) for some, seen in zip(members, views, strict=True)]
        make: Any = kind
        self.opt: Optimizer = make(made, **self._once, **options)
        tensors = [p for some in members for p in some.params]
        self._watch_over(tensors, [view for seen in views for view in seen])
        self._sent = [Sent.of(self.who, self._known, some.group) for some in members]
        #: What the parameters of each group are called inside, whatever the group says later.
        self._names = [distinct(some.names) for some in members]
        self._spread, self.all_here = False, True
        for some in members:
            self._look_around(some)

    # ------------------------------------------------------------------------- groups

    def _views(self, index: int, some: Members) -> list[tuple[NDArray[Any], tuple[int, ...]]]:
        """The arrays of a group's tensors, and the order of their axes."""
        out, values = [], {**self._options, **some.group}
        for i, p in enumerate(some.params):
            what = self._what(index, i)
            check_part(self.who, what, p, self._rule, values)
            array, axes = as_array(self.who, what, p)
            if axes != tuple(range(array.ndim)) and (self._by_axes or some.group.get("agc")):
                raise ValueError(
                    f"{self.who}: {what} must be contiguous, since here its rows have a meaning, "
                    f"got strides {tuple(p.stride())} for shape {tuple(p.shape)}"
                )
            out.append((array, axes))
        return out

    def _what(self, index: int, i: int) -> str:
        """What a tensor is called in errors."""
        return f"params[{index}][{i}]"

    def _index(self, i: int) -> int:
        """Which group of all the i-th here is."""
        return i

    def _made(self, some: Members, views: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
        """A group as this library takes it; what else it has is somebody else's.

        torch has filled in the defaults, which are not what the group was given.
        """
        values = {k: number(self.who, k, v) for k, v in some.group.items() if k in self._known}
        own = {k: v for k, v in values.items() if k not in self._once or v != self._once[k]}
        return {**own, "params": _structured(distinct(some.names), [a for a, _ in views])}

    def _watch_over(
        self, tensors: list[Any], views: Sequence[tuple[NDArray[Any], tuple[int, ...]]]
    ) -> None:
        self.tensors = tensors
        self.arrays, self.axes = [a for a, _ in views], [axes for _, axes in views]
        self._turned = [i for i, x in enumerate(self.axes) if x != tuple(range(len(x)))]
        self._watch = _core.Watch([local(p) for p in tensors], self.arrays, self.axes)

    def has(self, tensor: Any, k: int) -> bool:
        """Whether a tensor is the k-th here."""
        return k < len(self.tensors) and self.tensors[k] is tensor

    def label(self, k: int) -> str:
        """What messages call the k-th tensor."""
        return f"params{self.opt._layout.label(k)}"

    def add(self, some: Members) -> None:
        """Add a group."""
        views = self._views(len(self._sent), some)
        self.opt.add_param_group(self._made(some, views))
        seen = [*zip(self.arrays, self.axes, strict=True), *views]
        self._watch_over([*self.tensors, *some.params], seen)
        self._sent.append(Sent.of(self.who, self._known, some.group))
        self._names.append(distinct(some.names))
        self._look_around(some)

    def _look_around(self, some: Members) -> None:
        """Note whether tensors of a group lie in other processes, too."""
        self._spread = self._spread or any(map(is_spread, some.params))
        self.all_here = self.all_here and not any(map(part, some.params))

    def refresh(self, members: Sequence[Members]) -> None:
        """Take over what of the groups was changed since it was sent."""
        if len(members) != len(self._sent):
            raise ValueError(
                f"{self.who}: param_groups must keep their {len(self._sent)} groups, got "
                f"{len(members)}; add_param_group adds more"
            )
        for i, (group, _, _) in enumerate(members):
            try:
                held = self._sent[i].holds(group)
            except KeyError as error:
                raise ValueError(
                    f"{self.who}: param_groups[{i}] must have the key {error}, which was deleted"
                ) from None
            if not held:
                self._send(i, group)

    def _send(self, i: int, group: dict[str, Any]) -> None:
        """Tell the optimizer what has changed in a group."""
        check_flags(self.who, self._known, group, self._decoupled)
        now = Sent.of(self.who, self._known, group, self._sent[i])
        for name, mask in now.masks.items():
            if mask != self._sent[i].masks[name]:
                raise ValueError(
                    f"{self.who}: {name} of param_groups[{self._index(i)}] must stay "
                    f"{self._sent[i].masks[name]!r:.60}, as it was when the group was made, got "
                    f"{mask!r:.60}; make a new optimizer and load_state_dict"
                )
        changes = now.changes(self._sent[i])
        if changes:
            assign(self.opt, i, changes)
        self._sent[i] = now

    def plain(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """What a saved group says of hyper-parameters and options, as a state dict has it."""
        names = [k for k in group if k in self._known and k not in FIXED]
        return {k: plain(number(self.who, k, group[k])) for k in names}

    # --------------------------------------------------------------------------- step

    def follow(self, members: Sequence[Members]) -> None:
        """Go on where the tensors are now, if that is not where they were."""
        tensors = _joined(members)
        here = [local(p) for p in tensors] if self._spread else tensors
        if self._watch.moved(here) < 0:
            return
        if len(tensors) != len(self.arrays):
            raise ValueError(
                f"{self.who}: param_groups must keep their {len(self.arrays)} parameters, got "
                f"{len(tensors)}; add_param_group adds more"
            )
        views = [view for i, some in enumerate(members) for view in self._views(i, some)]
        was = {id(p): k for k, p in enumerate(self.tensors)}
        sources = [
            self._source(was.get(id(p), -1), axes)
            for p, (_, axes) in zip(tensors, views, strict=True)
        ]
        move(self.opt, [array for array, _ in views], sources)
        self._watch_over(tensors, views)

    def _source(self, k: int, axes: tuple[int, ...]) -> Source:
        """What an array with these axes of a tensor was, if it was the k-th."""
        before = self.axes[k] if k >= 0 else ()
        known = sorted(before) == sorted(axes)
        return Source(k, tuple(map(before.index, axes)) if known else axes)

    def step(self, members: Sequence[Members], loss: float | None) -> bool:
        """Update in place; False if the step was skipped."""
        self.refresh(members)
        self.follow(members)
        params = _joined(members)
        grads = [p.grad for p in params]
        if self._spread:
            grads = self._local(params, grads)
        given = [g for g in grads if g is not None]
        if not any(map(is_negative, given)):  # their memory is all there is to them
            made = self._try(members, params, grads, loss)
        else:
            made = self.opt.step(self.split(members, self._looked_at(params, grads)), loss=loss)
        if len(given) < len(grads):
            params = [p for p, g in zip(params, grads, strict=True) if g is not None]
        if made and given:
            increment_version(params)
        return made

    def _check_dtypes(self, params: list[Any], grads: list[Any]) -> None:
        """Refuse a gradient of another dtype than torch would let it have."""
        for label, p, g in zip(self._labels(), params, grads, strict=True):
            allowed = getattr(p, "grad_dtype", p.dtype)  # None: any
            if g is not None and allowed is not None and g.dtype not in (p.dtype, allowed):
                raise TypeError(
                    f"{self.who}: the gradient of {label} must be {p.dtype} as the parameter is, "
                    f"got {g.dtype}; p.grad_dtype allows another"
                )

    def _local(self, params: list[Any], grads: list[Any]) -> list[Any]:
        """What is here of the gradients."""
        named = zip(self._labels(), params, grads, strict=True)
        return [gradient(self.who, f"the gradient of {x}", p, g) for x, p, g in named]

    def _try(
        self,
        members: Sequence[Members],
        params: list[Any],
        grads: list[Any],
        loss: float | None,
    ) -> bool:
        """A step with gradients as they are; with a closer look at them where that is refused."""
        self.opt._plan.strict = True
        ready = list(grads)
        for i in self._turned:
            if ready[i] is not None and ready[i].ndim == len(self.axes[i]):
                ready[i] = ready[i].permute(self.axes[i])
        try:
            return self.opt.step(self.split(members, ready), loss=loss)
        except (TypeError, ValueError, RuntimeError):  # the last is torch's, of what it cannot give
            looked = self._looked_at(params, grads)
        return self.opt.step(self.split(members, looked), loss=loss)

    def _looked_at(self, params: list[Any], grads: list[Any]) -> list[Any]:
        """The gradients in a form that can be read, or an error that names one."""
        self._check_dtypes(params, grads)
        grads = self._local(params, grads)
        return [
            as_gradient(self.who, f"the gradient of {label}", g, local(p).shape, axes)
            for label, p, g, axes in zip(self._labels(), params, grads, self.axes, strict=True)
        ]

    def _labels(self) -> list[str]:
        return [f"params{label}" for label in self.opt._layout.labels()]

    def split(self, members: Sequence[Members], flat: list[Any]) -> list[Any]:
        """A list, or a dict by name, for each group."""
        out, at = [], 0
        for some, names in zip(members, self._names, strict=True):
            out.append(_structured(names, flat[at : at + len(some.params)]))
            at += len(some.params)
        return out


def _joined(members: Sequence[Members]) -> list[Any]:
    """The tensors of all groups."""
    return [*chain.from_iterable(some.params for some in members)]


def distinct(names: list[str] | None) -> list[str] | None:
    """A copy of the names of a group; None where two of them are alike, as in two models."""
    return None if names is None or len(set(names)) < len(names) else list(names)


def _structured(names: list[str] | None, values: list[Any]) -> Any:
    return values if names is None else dict(zip(names, values, strict=True))
