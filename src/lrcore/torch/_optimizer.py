"""Optimizer: a rule of this library as a ``torch.optim.Optimizer``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import torch
from torch.autograd.graph import increment_version
from torch.optim import optimizer as theirs

from .. import Optimizer as Rule
from .._optimizer.options import GROUP, MASKS, WHOLE
from . import _saved
from ._flags import DECOUPLED, FLAGS, check_flags, flags_of_torch, is_flag, rule_of
from ._part import Members, Part
from ._state import Places, entry_of

__all__ = ["Optimizer", "made_of"]


class Optimizer(torch.optim.Optimizer):
    """What the optimizers of ``lrcore.torch`` share. Made by its subclasses, one a rule.

    A ``torch.optim.Optimizer``: groups, closures, hooks, schedulers, copying and pickling are
    torch's. Tensors are updated in place, in one pass, with all options of
    :class:`lrcore.Optimizer`.
    """

    #: The rule's class, and the names of its hyper-parameters.
    kind: ClassVar[type[Rule]]
    hypers: ClassVar[tuple[str, ...]]

    def __init__(self, params: Any, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        if not hasattr(cls, "kind"):
            raise TypeError("lrcore.torch.Optimizer is what all rules share; take one of them")
        flags = {k: kwargs.pop(k) for k in (*FLAGS, DECOUPLED) if is_flag(cls, k) and k in kwargs}
        values = _bound(cls, params, args, kwargs)
        whole = {k: values.pop(k) for k in WHOLE if k in values}
        of_torch = flags_of_torch(cls.__name__)
        flags = {k: v for k, v in of_torch.items() if is_flag(cls, k)} | flags
        self._kind = rule_of(cls, flags)
        adapts = hasattr(whole.get("loss_scale"), "after")  # it learns from steps it skips
        self._options = whole | {
            "nonfinite": whole.get("nonfinite", "skip" if adapts else "ignore")
        }
        self._parts: list[Part] = []
        self._places, self.made = Places(), False
        super().__init__(params, {**values, **{"maximize": False} | values, **flags})
        self._parts = self._all_parts()

    def _all_parts(self) -> list[Part]:
        """What steps the tensors of all groups."""
        for group in self.param_groups:
            self._check_flags(group)
        members = list(map(Members.all, self.param_groups))
        return [Part(self._kind, type(self).hypers, members, self._options, self.defaults)]

    def _check_flags(self, group: Mapping[str, Any]) -> None:
        """Refuse what torch takes and this library cannot do."""
        decoupled = bool(self.defaults.get(DECOUPLED))
        check_flags(type(self).__name__, type(self).hypers, group, decoupled)

    def _extend(self) -> None:
        """Let the parts have the last group, too."""
        for part in self._parts:
            part.add(Members.all(self.param_groups[-1]))

    def _members(self) -> Iterator[tuple[Part, list[Members]]]:
        """The parts, with those of the groups that each steps."""
        yield from ((part, list(map(Members.all, self.param_groups))) for part in self._parts)

    def _number(self, some: Members) -> int:
        """Which group this is, or is of."""
        return next(i for i, group in enumerate(self.param_groups) if group is some.group)

    @property
    def lrcore(self) -> Rule:
        """The optimizer of this library that makes the steps, on the tensors as arrays.

        For what it has to say: ``stats``, ``grad_norm``, ``estimates``, ``t``, ``nbytes``,
        ``averages()``. Its parameters are named by ``[group][number]``, or by name where the
        optimizer was given ``named_parameters()``. What is changed of its groups is not seen in
        `param_groups`, and lasts until the same is changed there.
        """
        for part, members in self._members():
            part.refresh(members)
            part.follow(members)
        return self._parts[0].opt

    # ------------------------------------------------------------------------- groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, ``{"params": ..., "lr": ...}``.

        Raises
        ------
        TypeError, ValueError
            A tensor or a value cannot be used. Nothing has been changed then.
        """
        super().add_param_group(param_group)
        try:
            if self._parts:
                self._check_flags(self.param_groups[-1])
                self._extend()
        except Exception:
            self.param_groups.pop()
            raise

    # --------------------------------------------------------------------------- step

    def step(self, closure: Callable[[], Any] | None = None, *, loss: float | None = None) -> Any:
        """Update the parameters in place.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and the gradients anew, and returns the loss.
        loss : float, optional
            The loss at the parameters, for `PolyakSGD`; what `closure` returns is used where there
            is one.

        Returns
        -------
        object
            What `closure` returned; None without one. `made` says whether the step was made:
            ``nonfinite="skip"`` and a gradient scaler may skip one.

        Raises
        ------
        ValueError, TypeError
            A gradient or a changed parameter cannot be used; the message names it, and nothing has
            been changed.
        """
        if self._is_watched():
            given = () if closure is None else (closure,)  # hooks are told what was given
            return self._announced(*given, **({} if loss is None else {"loss": loss}))
        return self._step(closure, loss)

    step.hooked = True  # type: ignore[attr-defined]  # hooks are called by _announced

    def _is_watched(self) -> bool:
        """Whether somebody is to be told of steps."""
        return bool(
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or theirs._global_optimizer_pre_hooks
            or theirs._global_optimizer_post_hooks
            or torch._C._autograd._profiler_enabled()
        )

    def _step(self, closure: Callable[[], Any] | None = None, loss: float | None = None) -> Any:
        out = None
        if closure is not None:
            with torch.enable_grad():
                out = closure()
            loss = out
        found = self.__dict__.get("found_inf")  # put here by a torch.amp.GradScaler
        if found is not None and bool(found):
            self.made = False
            return out
        if self._places.loose:
            self._follow()
            self._places.check(type(self).__name__)
        scale = self.__dict__.get("grad_scale")
        value = _float(loss) if loss is not None and self._kind.needs_loss else None
        if scale is None:
            self._make(value)
        else:
            self._make_scaled(value, float(scale))
        return out

    _announced = torch.optim.Optimizer.profile_hook_step(_step)

    def _make(self, loss: float | None) -> None:
        made = [part.step(members, loss) for part, members in self._members()]
        self.made = all(made)

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether a scaler leaves it to `step` to divide and to skip.

        Not where processes have parts of a parameter: only scalers make them skip together.
        """
        return all(part.all_here for part in self._parts)

    def _make_scaled(self, loss: float | None, scale: float) -> None:
        """A step with gradients of a loss that a scaler has multiplied."""
        before = [part.opt.loss_scale for part in self._parts]
        if any(part.opt._layout.whole.loss_scale is not None for part in self._parts):
            raise ValueError(
                f"{type(self).__name__}: loss_scale must be None with a torch.amp.GradScaler, "
                "which scales the loss itself"
            )
        try:
            for part in self._parts:
                part.opt.loss_scale = scale
            self._make(loss)
        finally:
            for part, one in zip(self._parts, before, strict=True):
                part.opt.loss_scale = one

    # ------------------------------------------------------------------- other points

    def _follow(self) -> None:
        for part, members in self._members():
            part.follow(members)

    def train(self) -> None:
        """Bring the parameters back to where they are trained: :meth:`lrcore.Optimizer.train`."""
        self._go(Rule.train)

    def eval(self) -> None:
        """Move the parameters to where they are evaluated: :meth:`lrcore.Optimizer.eval`."""
        self._go(Rule.eval)

    def _go(self, where: Callable[[Rule], None]) -> None:
        self._follow()
        before = [part.opt.training for part in self._parts]
        for part in self._parts:
            where(part.opt)
        if before != [part.opt.training for part in self._parts]:
            self._note_written()

    @contextmanager
    def averaged(self, which: str | None = None) -> Iterator[None]:
        """Let the parameters hold an average in a ``with``: :meth:`lrcore.Optimizer.averaged`."""
        for part, members in self._members():
            part.refresh(members)
            part.follow(members)
        try:
            with ExitStack() as shown:
                for part in self._parts:
                    shown.enter_context(part.opt.averaged(which))
                self._note_written()
                yield
        finally:
            self._note_written()

    def _note_written(self) -> None:
        """Let autograd know that parameters have changed: a graph made before is of no use now."""
        increment_version([p for group in self.param_groups for p in group["params"]])

    def resync(self) -> None:
        """Take over what was written into the parameters: :meth:`lrcore.Optimizer.resync`."""
        self._follow()
        for part in self._parts:
            part.opt.resync()

    # ------------------------------------------------------------------------- saving

    @property
    def state(self) -> Any:
        """A dict by name for each parameter that was updated, see :class:`State`."""
        return self._places.state_of(self)

    @state.setter
    def state(self, value: Mapping[Any, Any]) -> None:
        if self._parts:
            self.state.replace(value)

    def state_dict(self) -> dict[str, Any]:
        """Everything a run needs to go on, in torch's layout.

        Of a rule that ``torch.optim`` has, too, the checkpoint of one loads in the other. Schedules
        are saved as plain dicts. Besides, a group has ``"t"``, the number of steps.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        self._places.check(type(self).__name__)
        number: dict[int, int] = {}
        for group in self.param_groups:
            for p in group["params"]:
                number.setdefault(id(p), len(number))
        groups = [
            {**values, "params": [number[id(p)] for p in group["params"]]}
            for values, group in zip(self._saved_groups(), self.param_groups, strict=True)
        ]
        found = {
            number[id(p)]: entry_of(part, k)
            for part in self._parts
            for k, p in enumerate(part.tensors)
            if id(p) in number
        }
        entries = {n: found[n] for n in sorted(found) if found[n]}
        out: dict[str, Any] = {"state": entries, "param_groups": groups}
        for post in self._optimizer_state_dict_post_hooks.values():
            out = post(self, out) or out
        return out

    def _saved_groups(self) -> list[dict[str, Any]]:
        """The groups without parameters, as plain data, with what is counted for each."""
        out = []
        for i, group in enumerate(self.param_groups):
            out.append({**_saved.plain_values(group), **self._counted(i)})
        return out

    def _counted(self, i: int) -> dict[str, Any]:
        """What is counted and estimated of group i."""
        return _saved.counted(self._parts[0], i)

    def _saved_for(self, some: Members, groups: Sequence[Any]) -> Mapping[str, Any]:
        """Which of the groups of a checkpoint these parameters load."""
        return groups[self._number(some)]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, here or of the same rule in ``torch.optim``.

        Raises
        ------
        ValueError
            Something does not fit; the message names it, and nothing has been changed.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            state_dict = hook(self, state_dict) or state_dict
        who = f"{type(self).__name__}.load_state_dict"
        saved = _saved.fitting(who, self, state_dict)
        entries = {}
        for group, new in zip(self.param_groups, saved, strict=True):
            for p, key in zip(group["params"], new["params"], strict=True):
                entries[id(p)] = state_dict["state"].get(key)
        self._follow()
        _saved.load(self, who, saved, entries)
        self._places.loose.clear()
        for i, (group, new) in enumerate(zip(self.param_groups, saved, strict=True)):
            group.update(_saved.values_of(self, i, new))
        for post in self._optimizer_load_state_dict_post_hooks.values():
            post(self)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "defaults": self.defaults,
            "param_groups": self.param_groups,
            "state": {p: dict(entry) for p, entry in self.state.items()},
            "groups": self._saved_groups(),
            "options": self._options,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        entries, saved = state.pop("state"), state.pop("groups")
        self._options = state.pop("options")
        self._kind = rule_of(type(self), state["defaults"])
        self._parts, self._places, self.made = [], Places(), False
        super().__setstate__(state)
        self._parts = self._all_parts()
        by_id = {id(p): entry for p, entry in entries.items()}
        _saved.load(self, f"{type(self).__name__}.__setstate__", saved, by_id)

    def __copy__(self) -> Optimizer:
        raise TypeError(
            f"{type(self).__name__}: a shallow copy would share parameters and state, but count by "
            "itself; use copy.deepcopy, of model and optimizer together"
        )


# ------------------------------------------------------------------------------ arguments


def _bound(
    cls: type[Optimizer], params: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Hyper-parameters and options by name, those that are not given at their defaults."""
    known = {*cls.hypers, *GROUP, *MASKS, *WHOLE}
    unknown = [name for name in kwargs if name not in known]
    if unknown:
        raise TypeError(
            f"{cls.__name__}: there is no argument {unknown[0]!r}; there are {sorted(known)}"
        )
    bound = inspect.signature(cls.kind).bind(params, *args, **kwargs)
    bound.apply_defaults()
    values = dict(bound.arguments)
    return {**{k: values[k] for k in cls.hypers}, **values["options"]}


def _float(loss: Any) -> float:
    return float(loss.detach() if isinstance(loss, torch.Tensor) else loss)


def made_of(kind: type[Rule]) -> type[Optimizer]:
    """The class of ``lrcore.torch`` for a rule."""
    names = [p.name for p in inspect.signature(kind).parameters.values()]
    hypers = tuple(n for n in names if n not in ("params", "options"))
    doc = inspect.getdoc(kind) or ""
    namespace = {
        "kind": kind,
        "hypers": hypers,
        "__module__": "lrcore.torch",
        "__signature__": inspect.signature(kind),
        "__doc__": _described(kind, doc),
    }
    return type(kind.__name__, (Optimizer,), namespace)


def _described(kind: type[Rule], doc: str) -> str:
    """The docstring of a rule, for tensors."""
    head = doc.partition("\nExamples\n")[0].rstrip()
    head = head.replace(
        "params : ndarray, list, tuple, dict, or list of groups",
        "params : iterable of Tensor, of (name, Tensor), or of dicts, one a group",
    )
    return (
        f"{head}\n\nOn tensors of the CPU, in place; see :class:`lrcore.{kind.__name__}`. Takes "
        "the keyword arguments\nof ``torch.optim`` too: ``foreach`` and ``fused`` have no effect, "
        "``capturable`` and ``differentiable``\nare refused. The default of ``nonfinite`` is "
        '"ignore", as in torch.\n'
    )
