"""in_backward: each parameter is stepped once its gradient is complete, which is then freed."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from .. import Optimizer as Rule
from .. import optimizers
from .._hyper import RULES
from .._optimizer.masks import Terms
from .._optimizer.options import MASKS, WHOLE
from . import _saved, _spread
from ._optimizer import Optimizer
from ._part import Members, Part, distinct
from ._tensors import as_array

__all__ = ["InBackward", "in_backward"]

SEEDS = 2**64
#: Modules that complete gradients after the hooks.
WRAPPERS = {"DistributedDataParallel", "FullyShardedDataParallel"}
#: Options of an optimizer that cannot hold while it steps a parameter at a time, and why.
WHY = {
    "clip_norm": "the norm of all gradients is known at the end of backward",
    "stats": "they are measured over a whole step",
    "state_file": "each parameter has a state of its own",
}


def in_backward(model: Any, kind: type[Optimizer], *args: Any, **kwargs: Any) -> Any:
    """An optimizer that steps each parameter inside ``backward()``, and frees its gradient.

    A parameter is stepped as soon as its gradient is complete, while that is in the cache; so there
    are never the gradients of the whole model. ``loss.backward()`` is then the whole training step.

    Parameters
    ----------
    model : torch.nn.Module, iterable of Tensor, of (name, Tensor), or of dicts, one a group
        What to train.
    kind : type
        A class of `lrcore.torch`, such as `lrcore.torch.AdamW`.
    *args, **kwargs
        What `kind` takes after the parameters.

    Returns
    -------
    Optimizer
        An instance of `kind`, with groups, schedulers and checkpoints as usual. Keep it: what it
        does ends with it. Besides, it has ``remove()``, after which ``step()`` makes the steps as
        in every optimizer, and ``with opt.paused(): ...``, in which ``backward()`` only adds up
        gradients.

    Raises
    ------
    TypeError, ValueError
        The rule or an option needs the gradients of several parameters at once: rules with numbers
        of a group (`Prodigy`, `DoG`, ...), `clip_norm`, `nonfinite` other than "ignore", a
        `LossScaler`, `stats`, `state_file`. Or the model is wrapped for several processes, whose
        gradients are complete only later.

    Notes
    -----
    What it computes are the bits of the same optimizer with ``step()`` after ``backward()``, unless
    something is rounded stochastically (`rounding`, a narrow `state_dtype`), where other random
    bits are drawn. Each parameter counts its own updates: one that gets no gradient in a pass is
    where it was in its schedule, too. Every ``backward()`` makes a step, so that micro-batches
    are added up inside ``paused()``, and the last one after it, or `step` makes the step.

    `step` and `zero_grad` may be called as usual, and do nothing where backward has done all. A
    copy of the optimizer steps the parameters that were copied along with it. `state_dict` fits
    plain optimizers of the same rule, here and in ``torch.optim``, and theirs fits here.

    Examples
    --------
    >>> import torch, lrcore.torch
    >>> model = torch.nn.Linear(3, 1)
    >>> opt = lrcore.torch.in_backward(model, lrcore.torch.AdamW, lr=1e-3)
    >>> before = model.weight.detach().clone()
    >>> model(torch.ones(2, 3)).sum().backward()
    >>> model.weight.grad, torch.equal(model.weight, before)
    (None, False)
    """
    if not (isinstance(kind, type) and issubclass(kind, Optimizer) and hasattr(kind, "kind")):
        raise TypeError(f"in_backward: kind must be a class of lrcore.torch, got {kind!r}")
    params = model
    if isinstance(model, torch.nn.Module):
        for part in model.modules():
            _check_module(part)
        params = model.named_parameters()
    opt = STEPPING(kind)(params, *args, **kwargs)
    opt._run.warns = True
    return opt


def _check_module(module: Any) -> None:
    """Refuse a module that completes its gradients after the hooks."""
    for name in WRAPPERS.intersection(kind.__name__ for kind in type(module).__mro__):
        raise TypeError(
            f"in_backward: model must not be inside {name}, which adds gradients of other "
            "processes after they were used; call step() of a plain optimizer"
        )


class Run:
    """What the parameters of one optimizer share."""

    def __init__(self) -> None:
        self.steps, self.paused, self.warns = 0, False, False
        self.handles: list[Any] = []

    def remove(self) -> None:
        """Remove all hooks."""
        while self.handles:
            self.handles.pop().remove()

    def end(self) -> None:
        """Remove all hooks, since the optimizer is gone."""
        unused = self.warns and self.handles and not self.steps
        self.remove()
        if unused:
            warnings.warn(
                "in_backward: the optimizer was dropped before it made a step; keep what "
                "in_backward returns, its steps end with it",
                stacklevel=2,
            )


class Single(Part):
    """A part of one tensor, which steps when the tensor's gradient is complete."""

    def __init__(
        self, owner: InBackward, index: int, k: int, some: Members, seed: int, terms: Terms
    ) -> None:
        self.run, self.members, self.index, self.k = owner._run, [some], index, k
        self._check(some.group)
        options = {**owner._options, "seed": seed}
        kind, hypers = owner._kind, type(owner).hypers
        super().__init__(kind, hypers, self.members, options, owner.defaults)
        if terms != Terms():
            with self.opt._alone():
                self.opt._replan(self.opt._layout._replace(terms=[terms]))

    def _check(self, group: Mapping[str, Any]) -> None:
        if group.get("clip_norm") is not None:
            raise ValueError(
                f"in_backward: clip_norm of param_groups[{self.index}] must be None, since "
                f"{WHY['clip_norm']}, got {group['clip_norm']!r}"
            )

    def _made(self, some: Members, views: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
        """The group without masks, which were looked at for all parameters together."""
        made = super()._made(some, views)
        return {k: v for k, v in made.items() if k not in MASKS}

    def _what(self, index: int, i: int) -> str:
        return f"params[{self.index}][{self.k}]"

    def _index(self, i: int) -> int:
        return self.index

    def _labels(self) -> list[str]:
        names = self.members[0].names
        return [f"params[{self.index}][{self.k}]" + (f" ({names[0]})" if names else "")]

    def refresh(self, members: Sequence[Members]) -> None:
        """Take over what of the group was changed since it was sent."""
        self._check(members[0].group)
        super().refresh(members)

    def fire(self, p: Any) -> None:
        """Make the step, and free the gradient."""
        self.step(self.members, None)
        self.run.steps += 1
        p.grad = None


class Hook:
    """What is called when a gradient is complete. It keeps nothing alive."""

    def __init__(self, part: Single) -> None:
        self.part = weakref.ref(part)

    def __call__(self, p: Any) -> None:
        part = self.part()
        if part is not None and not part.run.paused:
            if not part.run.steps:
                _check_alone(p)
            part.fire(p)

    def __reduce__(self) -> tuple[Any, ...]:
        return _no_hook, ()


def _no_hook() -> None:
    """What a pickled parameter has in place of a hook."""


def _check_alone(p: Any) -> None:
    """Refuse a parameter that was wrapped for several processes after its hook was made."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    for x in gc.get_objects():
        if issubclass(type(x), DistributedDataParallel) and any(q is p for q in x.parameters()):
            _check_module(x)


class InBackward(Optimizer):
    """What optimizers of `in_backward` have besides; comes before the class of the rule."""

    _parts: Any

    @property
    def _opt_called(self) -> bool:  # a scheduler of torch asks for it
        return self._run.steps > 0 or self.__dict__.get("called", False)

    @_opt_called.setter
    def _opt_called(self, value: bool) -> None:
        self.__dict__["called"] = value

    # -------------------------------------------------------------------------- parts

    def _all_parts(self) -> list[Part]:
        _check_rule(type(self).kind)
        # a LossScaler makes "skip" the default of nonfinite, which is therefore looked at last
        for name in sorted(self._options, key="nonfinite".__eq__):
            _check_option(type(self).__name__, name, self._options[name])
        self._run = Run()
        weakref.finalize(self, self._run.end).atexit = False
        return self._parts_of(range(len(self.param_groups)))

    def _extend(self) -> None:
        self._parts += self._parts_of([len(self.param_groups) - 1])

    def _parts_of(self, groups: Sequence[int]) -> list[Part]:
        """The parts of some groups, with hooks."""
        seed = WHOLE["seed"].check("in_backward", "seed", self._options.get("seed", 0))
        terms = iter(_terms(type(self).__name__, self.param_groups, groups))
        made: list[Single] = []
        for i in groups:
            group = self.param_groups[i]
            self._check_flags(group)
            names = group.get("param_names")
            for k, p in enumerate(group["params"]):
                _check_free(f"params[{i}][{k}]", p)
                some = Members(group, [p], None if names is None else [names[k]])
                own = (seed + len(self._parts) + len(made)) % SEEDS
                made.append(Single(self, i, k, some, own, next(terms)))
        self._run.handles += [_hooked(part) for part in made]
        return list(made)

    def _members(self) -> Iterator[tuple[Part, list[Members]]]:
        for part in self._parts:
            yield part, part.members

    @property
    def lrcore(self) -> Rule:
        raise TypeError(
            f"{type(self).__name__}: an optimizer of in_backward has one of this library for each "
            "parameter; make a plain one for what looks at all parameters together"
        )

    # --------------------------------------------------------------------------- step

    def _make(self, loss: float | None) -> None:
        for part in self._parts:
            p = part.members[0].params[0]
            if p.grad is not None:
                part.fire(p)
        self.made = True

    def _make_scaled(self, loss: float | None, scale: float) -> None:
        raise ValueError(
            f"{type(self).__name__}: with in_backward gradients must not come from a "
            "torch.amp.GradScaler, which unscales them after backward; train in bfloat16, or give "
            "a constant loss_scale"
        )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let ``backward()`` only add up gradients in a ``with``, for micro-batches.

        The next ``backward()`` behind it steps with the sum of all, as `step` does.
        """
        before, self._run.paused = self._run.paused, True
        try:
            yield
        finally:
            self._run.paused = before

    def remove(self) -> None:
        """Remove the hooks: from now on `step` makes the steps, as in every optimizer."""
        self._run.remove()

    # ------------------------------------------------------------------------- saving

    def _counted(self, i: int) -> dict[str, Any]:
        parts = [part for part in self._parts if part.index == i]
        if not parts:
            return {"t": 0}
        own = [part.opt.t for part in parts]
        out = {**_saved.counted(parts[0], 0), "t": max(own)}
        return out if min(own) == max(own) else {**out, "own_t": own}

    def _saved_for(self, some: Members, groups: Sequence[Any]) -> Mapping[str, Any]:
        saved = groups[self._number(some)]
        if "own_t" not in saved:
            return saved
        params = some.group["params"]
        k = next(k for k, p in enumerate(params) if p is some.params[0])
        return {**saved, "t": saved["own_t"][k]}

    def __reduce__(self) -> tuple[Any, ...]:
        return _empty, (type(self).__mro__[2],), self.__getstate__()


def _stepping(kind: type[Optimizer]) -> type[InBackward]:
    """The class of optimizers of a rule that step in backward."""
    names = ("__module__", "__doc__", "__signature__", "__qualname__")
    return type(kind.__name__, (InBackward, kind), {n: getattr(kind, n) for n in names})


STEPPING: Any = cache(_stepping)


def _empty(kind: type[Optimizer]) -> InBackward:
    """What a copy or a pickle is filled into."""
    cls: type[InBackward] = STEPPING(kind)
    return cls.__new__(cls)


# ----------------------------------------------------------------------------------- checks


def _check_rule(kind: type[Rule]) -> None:
    if RULES[kind.rule].scope == "group":
        raise TypeError(
            f"in_backward: {kind.__name__} keeps {RULES[kind.rule].scalars[0]!r} for a whole "
            "group, which takes all gradients of it at once; call step() of a plain optimizer"
        )


def _check_option(who: str, name: str, value: Any) -> None:
    """Refuse an option that needs all gradients at once."""
    if name in WHY and value:
        raise ValueError(
            f"in_backward: {name} of {who} must not be given, since {WHY[name]}, got {value!r}"
        )
    if name == "nonfinite" and value != "ignore":
        raise ValueError(
            f'in_backward: nonfinite of {who} must be "ignore", since parameters are updated '
            f"before all gradients are known, got {value!r}"
        )
    if name == "loss_scale" and hasattr(value, "after"):
        raise ValueError(
            f"in_backward: loss_scale of {who} must be a number, since a LossScaler looks at all "
            f"gradients first, got {value!r}"
        )


def _check_free(what: str, p: Any) -> None:
    """Refuse a parameter that another optimizer steps, or whose gradient is put together later."""
    if _spread.is_spread(p) or _spread.part(p):
        got = _spread.part(p) or "a DTensor"
        raise TypeError(
            f"in_backward: {what} must be a tensor of this process alone, got {got}; call step() "
            "of a plain optimizer"
        )
    for hook in (p._post_accumulate_grad_hooks or {}).values():
        if isinstance(hook, Hook) and hook.part() is not None:
            raise ValueError(
                f"in_backward: {what} must not be stepped by two optimizers; call remove() of the "
                "other one first"
            )


def _terms(who: str, groups: Sequence[Mapping[str, Any]], which: Sequence[int]) -> list[Terms]:
    """What the masks say of each parameter of some groups, in one list."""
    if all(group.get(name) is None for group in groups for name in MASKS):
        return [Terms() for i in which for _ in groups[i]["params"]]
    made = []
    for i, group in enumerate(groups):
        arrays = [as_array(who, f"params[{i}][{k}]", p)[0] for k, p in enumerate(group["params"])]
        names = distinct(group.get("param_names"))
        params = arrays if names is None else dict(zip(names, arrays, strict=True))
        made.append({"params": params, **{name: group.get(name) for name in MASKS}})
    layout = optimizers.SGD(made)._layout
    pairs = zip(layout.leaves, layout.terms, strict=True)
    return [terms for leaf, terms in pairs if leaf.group in which]


def _hooked(part: Single) -> Any:
    """The handle of a hook, which is also there where a parameter is frozen until later."""
    p = part.members[0].params[0]
    frozen = not p.requires_grad
    if frozen:
        p.requires_grad_(True)
    try:
        return p.register_post_accumulate_grad_hook(Hook(part))
    finally:
        if frozen:
            p.requires_grad_(False)
