"""Optimizer: parameters in groups, their hyper-parameters and state, and the step.

Knows no rule and no framework. What differs between rules comes from the class (names, defaults,
domains) and from the row in ``rules.def`` (state arrays, order of the hyper-parameters).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

from .. import _core
from .._hyper import RULES
from .._schedule import Schedule
from . import modes, showing, steps
from .group import ParamGroup, is_groups, made
from .layout import Layout, Progress, planned
from .masks import Given
from .memory import resync
from .options import split
from .rule import Rule

if TYPE_CHECKING:
    from typing_extensions import Self

    from .stats import Stats

__all__ = ["Optimizer", "ParamGroup"]

Array: TypeAlias = NDArray[Any]


class Optimizer(Rule):
    """What all update rules share. Made by its subclasses, one a rule.

    Parameters
    ----------
    params : ndarray, list, tuple, dict, or list of groups
        Contiguous, writable arrays of float16, bfloat16 (``ml_dtypes.bfloat16``), float32 or
        float64, nested at will; updated in place. A list of dicts with the key ``"params"`` makes
        groups, each with its own hyper-parameters and options; there may be empty ones. Arithmetic
        is in float64 for float64 parameters and in float32 for all others.
    hypers : dict
        The rule's hyper-parameters by name.

    Other Parameters
    ----------------
    maximize : bool, default False
        Ascend instead of descend. Each group may have its own of the options down to `master`.
    clip_value : float or Schedule, optional
        Limit every element of the (scaled) gradient to [-clip_value, clip_value].
    clip_norm : float or Schedule, optional
        Scale the gradients by ``clip_norm / (norm + 1e-6)`` where that is below 1; ``norm`` is the
        2-norm of all gradients of the step together, in float64; ``inf`` only measures it, see
        `grad_norm`. A group that is given a `clip_norm` is clipped by the norm of its own and left
        out of the common one.
    agc : float or AGC, optional
        Adaptive clipping of each output unit by the ratio of gradient and parameter, see `AGC`.
    cautious : bool, default False
        Move only the elements whose step agrees in sign with the gradient, further by the inverse
        of their share (at most 1000). Liang et al. 2024, "Cautious Optimizers".
    grams : bool, default False
        Take the step's size from the rule and its direction from the gradient. Cao, Li & Song 2024,
        "Grams: Gradient Descent with Adaptive Momentum Scaling". Not with `cautious`.
    state_dtype : {None, "float32", "float64", "bfloat16", "int8"}, default None
        What the rule's state is kept in; None is the dtype of the arithmetic. "int8" is 8 bits an
        element and a scale for 128 of them. Cannot be changed.
    rounding : {"nearest", "stochastic"}, default "nearest"
        How numbers are stored in a narrow format. "stochastic" is unbiased: updates far below the
        last bit still count. Narrow second moments are always rounded so.
    master : {None, "float32", "split"}, default None
        What narrow parameters are continued in: a float32 copy, or, for bfloat16, the 16 bits that
        they lack. Cannot be changed. What is written into the parameters later takes `resync`.
    decay_mask : str, list of str, callable or structure, optional
        Which parameters `weight_decay` is for: those whose path matches a pattern such as ``"w"``
        or ``"layers.*.w"`` (:mod:`fnmatch`), those for which ``decay_mask(path, array)`` is True,
        or a structure like `params` of bools. See `matrices_only`. A path is a key of `state`;
        where there are groups, patterns may leave out the group's number (``"w"`` for ``"0.w"``).
        This and `lr_scale` may be given for each group, and are resolved when a group is made.
    lr_scale : dict, callable or structure, optional
        A factor in (0, inf) on the rate of each parameter: a dict of path patterns (the first match
        counts, 1.0 without one), ``lr_scale(path, array)``, or a structure like `params`. A dict
        with just the keys of a dict of parameters, or with containers in it, is a structure. See
        `layerwise`.
    nonfinite : {"raise", "skip", "ignore"}, default "raise"
        What a step does when a gradient holds inf or NaN: raise `NonFiniteError`, return False, or
        update regardless. The first two leave parameters, state and counters as they were.
    backend : {"c", "numpy"}, default "c"
        "numpy" computes the same bits with `lrcore.reference`, slowly.
    ema : float or EMA, optional
        Keep an exponential average of the parameters, see `EMA`. It begins at what they are when
        the optimizer is made; `resync` after weights were loaded.
    swa : SWA, int or True, optional
        Keep a plain mean of the parameters, see `SWA`; a number is its `start`.
    lookahead : Lookahead, int or True, optional
        Keep slow parameters, see `Lookahead`; a number is its `k`.
    zero_grads : bool, default False
        Set the gradients to zero once they are used, by a step that was made or skipped or by
        `accumulate`. They must be writable, and neither overlap each other nor the parameters.
    loss_scale : float or LossScaler, optional
        What the loss was multiplied with; gradients are divided by it. A `LossScaler` adapts,
        and makes "skip" the default of `nonfinite`.
    stats : bool, default False
        Measure each step, see `stats`.
    seed : int, default 0
        In [0, 2**64); of stochastic rounding.
    state_file : path, optional
        Keep state and averages in this file, mapped into memory, so that they may exceed it.
        Scratch space, no checkpoint: an optimizer that is given the file begins anew; `state_dict`
        saves. An empty file or one of an earlier optimizer is replaced, any other refused. Copies
        of the optimizer keep their state in memory; a forked child shares the file and must not
        step.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        rule = cls.__name__.lower()
        if rule in RULES:
            cls.rule, cls.rate_name = rule, RULES[rule].hypers[0]
        elif not cls.rule:
            raise TypeError(f"csrc/rules.def has no row {rule} for the class {cls.__name__}")

    def __init__(self, params: Any, hypers: dict[str, Any], **options: Any) -> None:
        who = type(self).__name__
        if not self.rule:
            raise TypeError("Optimizer is what all rules share; make one of lrcore.optimizers")
        defaults, whole, masks = split(who, hypers, options)
        self._defaults = self._each_checked(defaults)
        self._masks = Given(**masks)
        grouped = is_groups(who, params)
        given = params if grouped else [{"params": params}]
        groups = [made(self, g, i) for i, g in enumerate(given)]
        layout = Layout.empty(grouped, whole)
        for group in groups:
            layout = layout.with_group(who, group)
        layout = layout._replace(terms=self._masks.terms(who, layout, given))
        if whole.state_file is not None:
            from .file import StateFile

            layout = layout._replace(file=StateFile(who, whole.state_file))
        progress = Progress(loss_scale=whole.first_scale)
        self._publish(*planned(type(self), layout, progress), progress)

    # ------------------------------------------------------------------------- groups

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with hyper-parameters of their own.

        Parameters
        ----------
        group : dict
            ``{"params": ..., "lr": ...}``; what is not named is as at construction.

        Notes
        -----
        From then on ``step`` takes a list with one structure of gradients a group.
        """
        who = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f'{who}: group must be a dict with the key "params", got {group!r}')
        with self._alone():
            index = len(self._layout.groups)
            new = made(self, group, index)
            layout = self._layout._replace(grouped=True).with_group(who, new)
            found = self._masks.terms(who, layout, [group], index)
            self._replan(layout._replace(terms=layout.terms + found))

    # --------------------------------------------------------------------------- plan

    _shown: str | None = None

    def _alone(self) -> _core.Plan:
        """The plan, whose `with` keeps others out; not while the parameters hold averages."""
        if self._shown is not None:
            raise RuntimeError(
                f"{type(self).__name__}: must be left alone inside the `with` of averaged(), while "
                f'the parameters hold the average "{self._shown}"'
            )
        return self._plan

    @property
    def _progress(self) -> Progress:
        plan = self._plan
        return Progress(
            plan.t,
            tuple(plan.ages),
            plan.micro,
            tuple(plan.summed),
            plan.loss_scale,
            self._good_steps,
            plan.grad_norm,
            tuple(map(tuple, plan.scalars)),
        )

    def _replan(self, layout: Layout) -> None:
        progress = self._progress
        self._publish(*planned(type(self), layout, progress), progress)

    def _publish(self, layout: Layout, plan: _core.Plan, progress: Progress) -> None:
        self._layout = layout
        self._plan = plan
        self._good_steps = progress.good_steps
        self._show(None)

    def _watch(self, every: int) -> int:
        """Measure a few of `every` steps, 0: none, where ``stats`` is not on; returns what was."""
        with self._alone():
            before = self._layout.watched
            layout = self._layout._replace(watched=every)
            if before and every and not layout.whole.stats:
                self._layout = layout
                self._plan.measure(every)
            elif every != before:
                self._replan(layout)
        return before

    def _show(self, average: str | None) -> None:
        """Note which average the parameters hold."""
        self._shown = average
        self._settle()

    def _settle(self) -> None:
        """Find out whether a step is the plan's alone: the common case, and the fast one."""
        whole = self._layout.whole
        self._direct = (
            whole.backend == "c"
            and whole.scaler is None
            and self._shown is None
            and not self._layout.evaluating
            and not self._plan.micro
            and not self.needs_loss
        )

    # --------------------------------------------------------------------------- step

    def step(self, grads: Any = ..., *, loss: float | None = None) -> bool:
        """Update the parameters in place.

        Parameters
        ----------
        grads : structure of ndarray
            Of the same structure as the parameters; with groups, a list with one structure a group.
            Arrays of the parameter's shape, of float16, bfloat16, float32 or float64 and any
            strides; or the gradient of some rows, a `RowGrad`. None in place of an array leaves
            that parameter and its state alone. Left out where `accumulate` has collected gradients:
            their mean is used.
        loss : float, optional
            The loss at the parameters, not scaled; `PolyakSGD` needs it, other rules ignore it.

        Returns
        -------
        bool
            True if the step was made, False if it was skipped (``nonfinite="skip"``).

        Raises
        ------
        NonFiniteError
            A gradient holds inf or NaN, and ``nonfinite`` is "raise".
        TypeError, ValueError, IndexError
            The gradients do not fit the parameters, or a schedule left its domain. In every case of
            an error nothing has been changed; but what was accumulated is gone where it was not
            finite.
        """
        if self._direct and grads is not ...:
            return self._plan.step(grads)
        return steps.step(self, grads, loss)

    def accumulate(self, grads: Any) -> None:
        """Add the gradients of a micro-batch to those that wait for the next ``step()``.

        Parameters
        ----------
        grads : structure of ndarray
            As for `step`, without `RowGrad`. None in place of an array adds nothing; a parameter
            that never got a gradient is left alone by the step.

        Notes
        -----
        ``step()`` without gradients uses the sums divided by the number of calls. Sums are in the
        precision of the arithmetic; their memory is taken at the first call.

        Examples
        --------
        >>> import numpy as np, lrcore
        >>> w = np.zeros(2)
        >>> opt = lrcore.SGD(w, lr=1.0)
        >>> for g in ([1.0, 0.0], [0.0, 3.0]):
        ...     opt.accumulate(np.array(g))
        >>> opt.step(), w
        (True, array([-0.5, -1.5]))
        """
        steps.accumulate(self, grads)

    def drop(self) -> None:
        """Forget the gradients that `accumulate` has collected since the last step."""
        with self._alone():
            self._plan.drop()
        self._settle()

    def resync(self) -> None:
        """Take over what has been written into the parameters, such as loaded weights.

        A `master` is what narrow parameters are continued in, so that without this the next step
        undoes what was written (float32), or mixes it with the lower bits of what was there
        ("split"). The averages begin again at the parameters; their weights still go by the
        updates made, so that one of many steps gives what was written the weight of all of them.
        The rule's state and the counters stay. `load_state_dict` needs no `resync`: it takes
        masters and averages from the state.

        Examples
        --------
        >>> import numpy as np, lrcore
        >>> w = np.zeros(2, np.float16)
        >>> opt = lrcore.SGD(w, lr=1.0, master="float32", ema=0.5)  # first the optimizer,
        >>> w[:] = [3.0, 4.0]  # then the weights
        >>> opt.resync()
        >>> opt.averages()
        array([3., 4.], dtype=float32)
        """
        with self._alone():
            for store, own in zip(self._layout.stores, self._layout.arrays, strict=True):
                resync(self.rule, store, own)

    # -------------------------------------------------------------------------- to read

    @property
    def t(self) -> int:
        """Updates made."""
        return int(self._plan.t)

    @property
    def lr(self) -> float:
        """The learning rate that the next update will use (of the first group)."""
        value = self._layout.groups[0][self.rate_name]
        return float(value(self.t)) if isinstance(value, Schedule) else float(value)

    @property
    def grad_norm(self) -> float:
        """2-norm of the gradients of the last step that was made, before clipping.

        Over the groups without a ``clip_norm`` of their own; `stats` has that of each group. 0.0
        without ``clip_norm`` and after `load_state_dict`; ``clip_norm=inf`` measures, and no more.
        """
        return float(self._plan.grad_norm)

    @property
    def loss_scale(self) -> float:
        """The number to multiply the next loss with; 1.0 where nothing is scaled. Assignable.

        Inside the floor and ceiling of a `LossScaler`.
        """
        return float(self._plan.loss_scale)

    @loss_scale.setter
    def loss_scale(self, value: float) -> None:
        who = type(self).__name__
        scale = self._layout.whole.check_scale(who, "loss_scale", value)
        with self._alone():
            if self._plan.micro:
                raise ValueError(
                    f"{who}: loss_scale must stay as it is while accumulated gradients wait, "
                    f"{self._plan.loss_scale}, got {scale}"
                )
            self._plan.loss_scale = scale
            self._good_steps = 0

    @property
    def stats(self) -> Stats:
        """What the last step measured, with ``stats=True``: a snapshot, see `Stats`.

        Nothing (NaN) before the first step, also after `load_state_dict`.
        """
        layout = self._layout
        if layout.stats is None:
            raise RuntimeError(
                f"{type(self).__name__}: stats must be switched on with stats=True at construction"
            )
        from .stats import Stats

        sizes = [leaf.array.size for leaf in layout.leaves]
        groups = [leaf.group for leaf in layout.leaves]
        traced = [own["trace"].size for own in layout.arrays]
        return Stats(layout.stats, sizes, traced, groups, layout.paths(), len(layout.groups))

    @property
    def param_groups(self) -> tuple[ParamGroup, ...]:
        """The groups, live: assigning to ``param_groups[0]["lr"]`` checks and takes effect."""
        return tuple(ParamGroup(self, i) for i in range(len(self._layout.groups)))

    @property
    def state(self) -> dict[str, dict[str, Array]]:
        """The arrays beside each parameter, live, by the parameter's path and the array's name.

        With groups, the path starts with the number of the group. The names are those of the
        rule's states (in 8 bits also ``"m_scale"``), ``"master"`` or ``"low"``, ``"slow"``,
        ``"ema"``, ``"swa"``, ``"sum"``, ``"trace"`` and, after `eval`, ``"trained"``.
        """
        layout = self._layout
        return {k: dict(v) for k, v in zip(layout.paths(), layout.arrays, strict=True)}

    @property
    def estimates(self) -> list[dict[str, float]] | dict[str, dict[str, float]]:
        """The numbers a rule keeps besides its arrays, by the names of its row, as they are now.

        A list with a dict for each group where the rule keeps them for groups, such as ``"d"`` of
        :class:`Prodigy`; a dict by the parameter's path where it keeps them for parameters, such as
        ``"ratio"`` of :class:`LAMB`; an empty list where it keeps none.
        """
        row, scalars = RULES[self.rule], self._plan.scalars
        named = [dict(zip(row.scalars, values, strict=True)) for values in scalars]
        if row.of_tensors:
            return dict(zip(self._layout.paths(), named, strict=True))
        return named

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays in `state`."""
        return sum(a.nbytes for own in self._layout.arrays for a in own.values())

    # ------------------------------------------------------------------------- averages

    def averages(self, which: str | None = None) -> Any:
        """The averages, live, in the structure of the parameters.

        Parameters
        ----------
        which : {"ema", "swa", "lookahead"}, optional
            May be left out where one of ema and swa is on, or nothing but lookahead. The slow
            parameters of lookahead are also called "slow", as in `state`.

        Examples
        --------
        >>> import numpy as np, lrcore
        >>> params = {"w": np.zeros(1)}
        >>> opt = lrcore.SGD(params, lr=1.0, ema=0.5)
        >>> opt.step({"w": np.array([-1.0])}), params, opt.averages()
        (True, {'w': array([1.])}, {'w': array([0.5])})
        """
        name = showing.named(type(self).__name__, self._layout.whole, which)
        return self._layout.structure([own[name] for own in self._layout.arrays])

    def averaged(self, which: str | None = None) -> AbstractContextManager[None]:
        """``with opt.averaged():`` the parameters hold the averages, and afterwards what they held.

        Parameters
        ----------
        which : {"ema", "swa", "lookahead"}, optional
            May be left out where one of ema and swa is on, or nothing but lookahead. The slow
            parameters of lookahead are also called "slow", as in `state`.

        Notes
        -----
        The parameters are restored bit for bit, also after an exception. Until then the optimizer
        can neither be stepped nor changed. Takes the memory of a second set of parameters.
        """
        name = showing.named(type(self).__name__, self._layout.whole, which)
        return showing.averages(self, name)

    # ------------------------------------------------------- where to train, where to evaluate

    @property
    def training(self) -> bool:
        """Whether the parameters are where they are trained; False between `eval` and `train`."""
        return not self._layout.evaluating

    def eval(self) -> None:
        """Move the parameters to where a rule wants them evaluated; `train` moves them back.

        Notes
        -----
        The two schedule-free rules train ``y`` and mean the average ``x``. Losses of the training
        run are those at ``y``; validate, save for use and predict at ``x``. An evaluation without
        `eval` is not an error that can be noticed: it shows ``y``, which is noisier, with a loss
        that is often higher. Steps and `accumulate` between `eval` and `train` raise a
        RuntimeError, since the gradients would be those of another point.

        Takes the memory of a second set of parameters, in which ``y`` waits, so that `train`
        brings back every bit. A state dict says the mode (``"training"``) and has ``y``, too: it
        goes with the parameters as they are when it is made. For all other rules, and where it has
        been called already, `eval` does nothing.

        Examples
        --------
        >>> import numpy as np, lrcore
        >>> w = np.zeros(1)
        >>> opt = lrcore.ScheduleFreeSGD(w, lr=1.0)
        >>> [opt.step(np.array([-1.0])) for _ in range(2)], w.round(3)
        ([True, True], array([1.55]))
        >>> opt.eval()
        >>> w.round(3), opt.training
        (array([1.5]), False)
        >>> opt.train()
        >>> w.round(3), opt.training
        (array([1.55]), True)
        """
        modes.to_evaluate(self)

    def train(self) -> None:
        """Bring the parameters back, bit for bit, to where they were before `eval`."""
        modes.to_train(self)

    # --------------------------------------------------------------------- saving, copying

    def __repr__(self) -> str:
        groups = ", ".join(repr(g) for g in self.param_groups)
        count = len(self._layout.leaves)
        shown = {"t": self.t, **self._layout.whole.shown}
        options = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        arrays = f"{count} array{'s' * (count != 1)}"
        return f"<{type(self).__name__} of {arrays}, {options}: {groups}>"

    def state_dict(self) -> dict[str, Any]:
        """Everything a run needs to go on: plain dicts, numbers, strings and arrays.

        Returns
        -------
        dict
            ``rule``, ``t``, the options, and for each group its hyper-parameters and, by the path
            of each parameter, its number of updates and copies of the arrays in `state`.
        """
        from .state import save

        return save(self)

    def load_state_dict(self, state: Mapping[str, Any], *, convert: bool = False) -> None:
        """Take over what `state_dict` returned; the run then goes on bit for bit.

        Parameters
        ----------
        state : dict
            From an optimizer of the same rule and parameters.
        convert : bool, default False
            Take state that is stored in another way than here, and encode it anew; averages that
            are missing begin at the parameters, those not kept here are left out. A float32 master
            that is split sets the parameters to its upper halves.

        Raises
        ------
        ValueError
            Something does not fit; the message names it, and nothing has been changed.

        Notes
        -----
        Hyper-parameters and options become those of the state. How things are stored
        (``state_dtype``, ``master``, which averages there are, ``state_file``), ``stats`` and
        ``backend`` stay as they are here. The parameters are no part of the state: they must be
        what they were, before or after, and `resync` must not be called. `grad_norm` is 0.0 and
        `stats` are NaN until the next step.
        """
        from .state import load

        with self._alone():
            load(self, state, convert)

    def __getstate__(self) -> dict[str, Any]:
        with self._alone():
            gone = ("_plan", "_layout", "_progress")
            kept = {k: v for k, v in vars(self).items() if k not in gone}
            layout = self._layout._replace(file=None, stores=[])  # a copy's state is in memory
            return {**kept, "layout": layout, "progress": self._progress}

    def __setstate__(self, state: dict[str, Any]) -> None:
        layout, progress = state.pop("layout"), state.pop("progress")
        vars(self).update(state)
        self._publish(*planned(type(self), layout, progress), progress)

    def __copy__(self) -> Self:
        raise TypeError(
            f"{type(self).__name__}: a shallow copy would share parameters and state, but count by "
            "itself; use copy.deepcopy"
        )
