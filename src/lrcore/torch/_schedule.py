"""schedule: a schedule of this library as an ``LRScheduler``, for any optimizer of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

from .. import Schedule
from .._optimizer.state import plain, rich
from ._optimizer import Optimizer

__all__ = ["ScheduleLR", "schedule"]

WHO = "schedule"


def schedule(optimizer: Any, s: Any, *, last_epoch: int = -1) -> ScheduleLR:
    """A schedule of this library as an ``LRScheduler``, for any optimizer of torch.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of torch, of `lrcore.torch`, or of others. Its rate is a number or a tensor of one.
    s : Schedule, or sequence of Schedule
        What the rate of every group is, or one for each group, in their order.
    last_epoch : int >= -1, default -1
        The last update that was made; -1: none. `load_state_dict` sets it, too.

    Returns
    -------
    ScheduleLR
        A ``torch.optim.lr_scheduler.LRScheduler``: after its i-th ``step()`` the rate is ``s(i)``,
        to the bit, whatever was done to the rate before.

    Raises
    ------
    TypeError, ValueError
        An argument is not what it must be, or the rate already is a schedule.

    Notes
    -----
    ``step()`` is called after each update, or after each epoch where `s` counts epochs. An
    optimizer of `lrcore.torch` takes a schedule as ``lr`` itself, and then counts its own updates:
    there is nothing to call, and a step that is skipped is not counted. This is for what knows only
    schedulers of torch, and for other optimizers.

    In a ``SequentialLR`` each schedule begins at 0 where its turn comes, as in `schedules.join`.
    The schedulers of a ``ChainedScheduler`` multiply the rate along, which a schedule does not
    do: make one of the product ``s * other``. A `schedules.Plateau` is told its metric by its own
    ``update(metric)``; the next ``step()`` uses it. Of `PolyakSGD` the rate is ``max_lr``; its
    groups get an entry "lr" besides, since torch looks for it.

    ``state_dict()`` holds plain numbers and dicts, the schedules among them; those come back with
    ``load_state_dict``. One that is made of a Python function is not saved but must be there. To
    go on with a run make the scheduler first and then load both states: what is made sets the rate
    to ``s(0)``.

    Examples
    --------
    >>> import torch, lrcore.torch
    >>> from lrcore import schedules
    >>> opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(3))], lr=1.0)
    >>> scheduler = lrcore.torch.schedule(opt, schedules.Linear(0.4, steps=4))
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     opt.step()
    ...     scheduler.step()
    >>> rates
    [0.4, 0.30000000000000004, 0.2, 0.1, 0.0]
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"{WHO}: optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}"
        )
    common = not isinstance(s, (list, tuple))
    given = [s] if common else list(s)
    for i, one in enumerate(given):
        if not isinstance(one, Schedule):
            name = "s" if common else f"s[{i}]"
            raise TypeError(f"{WHO}: {name} must be a schedule of lrcore, got {one!r}")
    count = len(optimizer.param_groups)
    if not common and len(given) != count:
        raise ValueError(
            f"{WHO}: s must have a schedule for each of {count} groups, got {len(given)}"
        )
    if type(last_epoch) is not int or last_epoch < -1:
        raise ValueError(f"{WHO}: last_epoch must be an integer >= -1, got {last_epoch!r}")
    name = _rate_name(optimizer)
    for i, group in enumerate(optimizer.param_groups):
        if isinstance(group[name], Schedule):
            raise ValueError(
                f"{WHO}: {name} of param_groups[{i}] must be a number, since it is set here, got "
                f"{group[name]!r}"
            )
    return ScheduleLR(optimizer, given, common, last_epoch)


class ScheduleLR(LRScheduler):
    """A schedule as an ``LRScheduler``; made by `schedule`.

    There is one schedule for each group, or a `common` one.
    """

    def __init__(
        self, optimizer: Any, given: list[Schedule], common: bool, last_epoch: int
    ) -> None:
        self._given, self._common, self._name = given, common, _rate_name(optimizer)
        for group in optimizer.param_groups:
            group.setdefault("lr", group[self._name])
            group.setdefault("initial_lr", float(group["lr"]))
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rate of each group at the next update."""
        at, count = self.last_epoch, len(self.optimizer.param_groups)
        if self._common:
            return [self._given[0](at)] * count
        if len(self._given) != count:
            raise ValueError(
                f"{WHO}: param_groups must be as many as the schedules, {len(self._given)}, got "
                f"{count}; make the scheduler after add_param_group"
            )
        return [s(at) for s in self._given]

    _get_closed_form_lr = get_lr

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next update."""
        super().step(epoch)
        self._send()

    def _update_lr(self, epoch: int | None = None) -> None:
        super()._update_lr(epoch)
        self._send()

    def _send(self) -> None:
        """Give the rate to a rule that has it under another name."""
        if self._name != "lr":
            for group in self.optimizer.param_groups:
                group[self._name] = float(group["lr"])

    def state_dict(self) -> dict[str, Any]:
        """Where the schedules are, and what they are; plain numbers, strings and dicts."""
        state = super().state_dict()
        return {**state, "_given": [plain(s) for s in self._given]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was made, with the schedules of then.

        Raises
        ------
        ValueError
            It is of another scheduler, or of another number of schedules. Nothing has been changed.
        """
        needed, saved = {"last_epoch", "_given", "_common", "_name"}, state_dict.get("_given")
        if not isinstance(saved, list) or not needed <= set(state_dict):
            raise ValueError(
                f"{WHO}: the state must be of such a scheduler, with {sorted(needed)}, got "
                f"{sorted(state_dict)}"
            )
        for name, must in (("_common", self._common), ("_name", self._name)):
            if state_dict[name] != must:
                raise ValueError(f"{WHO}: {name} must be {must!r}, got {state_dict[name]!r}")
        if len(saved) != len(self._given):
            count = len(self._given)
            raise ValueError(f"{WHO}: the state must have {count} schedules, got {len(saved)}")
        adopted: list[Any] = []
        given = [
            rich(value, s, f"{WHO}: the schedule", adopted)
            for value, s in zip(saved, self._given, strict=True)
        ]
        for present, other in adopted:
            present._put(**other._state())
        super().load_state_dict({**state_dict, "_given": given})


def _rate_name(optimizer: Any) -> str:
    """What the rate is called in the groups of an optimizer."""
    name: str = type(optimizer).kind.rate_name if isinstance(optimizer, Optimizer) else "lr"
    return name
