"""lr_find and lr_range_test: a learning rate, with a range and a reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._domain import Choice, Instance
from ..._hyper import LENGTH, NONNEGATIVE, POSITIVE, check_value
from ..._optimizer import Optimizer
from .._own import own
from ..restore import Restored
from . import judge
from .finder import REPEATS, STEPS, LRFinder, check_range
from .judge import Round, Sweep
from .loop import Loop

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LRFindResult", "lr_find", "lr_range_test"]

Floats = NDArray[np.float64]

METHODS = ("gain", "valley", "steepest", "minimum")
METHOD = Choice(*METHODS)
FUNCTION = Instance("a function", callable)
FEWEST = 10  # rates of a sweep
SHORT_PASS, LONGEST_PASS = 10, 10_000  # updates of a pass that is too short, batches of a long one


@dataclass(frozen=True)
class LRFindResult:
    """What a finder found: a rate, how sure, why, and the numbers behind.

    Attributes
    ----------
    suggested : float
        The rate to train with; NaN where there is none.
    interval : (float, float)
        Where good rates are to be looked for.
    reliable : bool
        Whether the answer is to be trusted.
    reasons : tuple of str
        Why, a sentence each.
    method : str
        Which of `suggestions` was taken.
    suggestions : dict of str to float
        A rate by each method; NaN where a method has none.
    lrs : ndarray of float64, shape (n,)
        The rates of the sweep.
    losses : ndarray of float64, shape (repeats, n)
        The loss of each batch before its update; NaN behind the end of a sweep. Of shape (n,) if
        there was one sweep.
    gains : ndarray of float64, of the shape of `losses`
        Change of the loss on the same batch by what the gradient promised: 1 for a small step, 0.5
        for the step to the minimum of a parabola, below 0 uphill. NaN where not measured.
    probes : tuple of (float, float)
        Rates with which was trained briefly, and the loss at the end; inf where it exploded.
    horizon : int
        Updates of such a short training; 0 where there was none.
    passes : (int, int)
        Passes forward and backward, and forward alone, that `lr_find` made.
    rounds : tuple
        All that was told, for those who want to know more.
    """

    suggested: float
    interval: tuple[float, float]
    reliable: bool
    reasons: tuple[str, ...]
    method: str
    suggestions: dict[str, float]
    lrs: Floats
    losses: Floats
    gains: Floats
    probes: tuple[tuple[float, float], ...] = ()
    horizon: int = 0
    passes: tuple[int, int] = (0, 0)
    rounds: tuple[Round, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(
        cls, grid: Floats, rounds: Sequence[Round], method: str, passes: tuple[int, int] = (0, 0)
    ) -> LRFindResult:
        """What rounds of sweeps and short trainings say."""
        verdict = judge.verdict(rounds)
        n = max((len(r.sweep.losses) for r in rounds), default=0)
        losses, rho = np.full((2, max(len(rounds), 1), n), np.nan)
        for i, r in enumerate(rounds):
            losses[i, : len(r.sweep.losses)] = r.sweep.losses
            rho[i, : len(r.sweep.losses)] = r.gains
        if len(rounds) == 1:
            losses, rho = losses[0], rho[0]
        rates = {k: 10.0**v for k, v in verdict.suggestions.items()}
        shift = verdict.suggestions[method] - verdict.suggestions["gain"]
        shift = 0.0 if math.isnan(shift) else shift
        low, high = verdict.interval
        return cls(
            rates[method],
            (10.0 ** (low + min(shift, 0.0)), 10.0 ** (high + max(shift, 0.0))),
            verdict.reliable and not math.isnan(rates[method]),
            verdict.reasons,
            method,
            rates,
            grid[:n].copy(),
            losses,
            rho,
            tuple((10.0**x, float(y)) for r in rounds for x, y in zip(*r.bowl, strict=True)),
            rounds[0].horizon if rounds else 0,
            passes,
            tuple(rounds),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists; None for what is not finite."""
        return {
            "suggested": _plain(self.suggested),
            "interval": _plain(self.interval),
            "reliable": self.reliable,
            "reasons": list(self.reasons),
            "method": self.method,
            "suggestions": {k: _plain(v) for k, v in self.suggestions.items()},
            "lrs": _plain(self.lrs),
            "losses": _plain(self.losses),
            "gains": _plain(self.gains),
            "probes": _plain(self.probes),
            "horizon": self.horizon,
            "passes": list(self.passes),
        }

    def __str__(self) -> str:
        if math.isnan(self.suggested):
            head = "no learning rate can be suggested"
        else:
            low, high = self.interval
            sure = "" if self.reliable else ", not to be trusted"
            head = f"learning rate {self.suggested:.2g} (from {low:.2g} to {high:.2g}){sure}"
        return "\n".join([head, *(f"- {reason}" for reason in self.reasons)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw losses and gains over the rates, with the suggestions; see `lrcore.plot.lr_find`."""
        from ... import plot

        draw: Any = plot
        axes: Axes = draw.lr_find(self, ax)
        return axes


def _plain(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        x = x.tolist()
    if isinstance(x, (list, tuple)):
        return [_plain(v) for v in x]
    return float(x) if math.isfinite(x) else None


def _checked(who: str, opt: Any, loss_and_grads: Any, accumulate: Any) -> tuple[Optimizer, int]:
    opt = own(opt)
    if not isinstance(opt, Optimizer):
        raise TypeError(
            f"{who}: opt must be an optimizer of lrcore, got {type(opt).__name__}; LRFinder goes "
            "with any other"
        )
    if not opt.training:
        raise ValueError(f"{who}: opt must be in training, call opt.train(), got training == False")
    FUNCTION.check(who, "loss_and_grads", loss_and_grads)
    return opt, check_value(who, "accumulate", accumulate, LENGTH)


def lr_find(
    opt: Optimizer,
    loss_and_grads: Callable[[Any], Any],
    batches: Any,
    *,
    start: float = 1e-7,
    end: float = 10.0,
    steps: int = 100,
    repeats: int = 1,
    method: str = "gain",
    loss_only: Callable[[Any], Any] | None = None,
    accumulate: int = 1,
    generators: Iterable[Any] = (),
    also: Iterable[Any] = (),
) -> LRFindResult:
    """Find a learning rate for some hundred updates from here, and leave everything as it was.

    First the rate rises from `start` to `end` in equal factors, an update each, as in every range
    test: the gain ratio and the loss show where updates begin to fail. Around that, short trainings
    from the same state with the same batches compare rates half a decade apart. What is best for a
    short training is not yet best for a longer one: by how much depends on how the optimizer's
    steps follow from the gradients, which is measured, and is put right.

    Parameters
    ----------
    opt : Optimizer
        Of `lrcore` or `lrcore.torch`, with the hyper-parameters it will train with. Its rate does
        not matter, nor whether that is a schedule; groups keep the ratios of their rates.
    loss_and_grads : callable
        ``loss_and_grads(batch) -> (loss, grads)``; reads the parameters in place. For a model of
        torch `lrcore.torch.loss_and_grads` makes it.
    batches : iterable or callable
        A list, a loader, or a function that returns an iterator. Begun again where it ends.
    start, end : float in (0, inf), default 1e-7 and 10
        The range; short trainings stay inside, too.
    steps : int >= 10, default 100
        How much is spent: two passes forward and backward for each, and one forward if there is a
        `loss_only`. Half of it is the number of rates in the sweep.
    repeats : int >= 1, default 1
        How often all of this is done, with other batches; costs as many times as much.
    method : {"gain", "valley", "steepest", "minimum"}, default "gain"
        Which suggestion to take. All but the first look at the losses of the sweep alone, as is
        common, and are much less accurate.
    loss_only : callable, optional
        ``loss_only(batch) -> loss``; cheaper than `loss_and_grads`, whose loss is taken otherwise.
    accumulate : int >= 1, default 1
        Micro-batches of one update, which then costs as many times as much.
    generators, also : optional
        More to put back: random generators that cannot be found, and arrays that
        `loss_and_grads` changes, see `Restored`.

    Returns
    -------
    LRFindResult
        Also where losses are NaN or explode, or nothing is learned: `reliable` is False then.

    Raises
    ------
    TypeError, ValueError
        An argument is not what it must be. Nothing has been changed.
    Exception
        Whatever `loss_and_grads` raises, after everything has been put back.

    Notes
    -----
    Parameters, optimizer, random generators and the order of the data are put back bit for bit; see
    `lrcore.instruments.restore.Restored`. How often the answer is right, and on what that was
    measured, is in ``docs/instruments.md``.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> rng = np.random.default_rng(0)
    >>> x, noise = rng.normal(size=(256, 5)), 0.1 * rng.normal(size=256)
    >>> y, w = x @ np.arange(5.0) + noise, np.zeros(5)
    >>> def loss_and_grads(rows):
    ...     error = x[rows] @ w - y[rows]
    ...     return (error**2).mean() / 2, x[rows].T @ error / len(rows)
    >>> opt = lrcore.SGD(w, lr=0.1)
    >>> found = lrcore.lr_find(opt, loss_and_grads, np.arange(256).reshape(16, 16))
    >>> found.reliable, 0.05 < found.suggested < 1.0, w
    (True, True, array([0., 0., 0., 0., 0.]))
    """
    who = "lr_find"
    start, end, steps = check_range(who, start, end, steps)
    repeats = check_value(who, "repeats", repeats, REPEATS)
    METHOD.check(who, "method", method)
    opt, accumulate = _checked(who, opt, loss_and_grads, accumulate)
    if loss_only is not None:
        FUNCTION.check(who, "loss_only", loss_only)
    loop = Loop(who, opt, loss_and_grads, batches, loss_only, accumulate)
    functions = [f for f in (loss_and_grads, loss_only) if f is not None]
    sweep = max(steps // 2, FEWEST)
    cost = sweep if loss_only is not None else sweep + (sweep + 1) // 2
    finder = LRFinder(
        start=start, end=end, steps=sweep, repeats=repeats, short=2 * steps - cost, rule=opt
    )
    with Restored(opt, functions, batches, generators=generators, also=also) as kept:
        try:
            _ask_all(finder, loop, kept)
        finally:
            loop.stream.close()
    return LRFindResult.of(finder._grid, finder._rounds, method, (loop.full, loop.forward))


def _ask_all(finder: LRFinder, loop: Loop, kept: Restored) -> None:
    """Make the updates that a finder asks for."""
    made = longest = 0
    while not finder.done:
        if finder.begins:
            kept.put_back()
            loop.rewind(finder.repeat * (longest + 1))
            made = 0
        lr, sweeping = finder.ask(), finder.sweeping
        sparse = loop.forward_costs and made % 2 == 1
        told = loop.update(lr, measured=sweeping and not sparse)
        finder.tell(told.loss, slope=told.slope, loss_after=told.after)
        made += 1
        if finder.repeat == 0:
            longest = max(longest, made)


def lr_range_test(
    opt: Optimizer,
    loss_and_grads: Callable[[Any], Any],
    batches: Any,
    *,
    start: float = 0.0,
    end: float = 1.0,
    steps: int | None = None,
    accumulate: int = 1,
    generators: Iterable[Any] = (),
    also: Iterable[Any] = (),
) -> LRFindResult:
    """Smith's range test: the rate rises linearly, and where the loss falls and rises again.

    Parameters
    ----------
    opt, loss_and_grads, batches, accumulate, generators, also
        As `lr_find` takes them.
    start, end : float in [0, inf), default 0 and 1
        The rate of the first update and of the last.
    steps : int >= 10, optional
        Updates; None: one pass over the batches, at most 10000.

    Returns
    -------
    LRFindResult
        ``suggestions`` are ``"falls"``, the rate at which the loss begins to fall, and ``"rises"``,
        at which it rises again: the bounds of a cyclical schedule, and `interval`. `suggested` is
        half of ``"rises"``.

    Notes
    -----
    Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3. The range must
    be known within a factor of ten or so; `lr_find` needs no such knowledge. One pass forward and
    backward an update.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> x, w = np.random.default_rng(0).normal(size=(200, 10, 4)), np.zeros(3)
    >>> def loss_and_grads(batch):
    ...     inputs = batch[:, :3]
    ...     error = inputs @ (w - 1) + 0.1 * batch[:, 3]
    ...     return (error**2).mean() / 2, inputs.T @ error / len(batch)
    >>> found = lrcore.lr_range_test(lrcore.SGD(w), loss_and_grads, x, end=3.0)
    >>> 0.2 < found.suggestions["rises"] < 3.0
    True
    """
    who = "lr_range_test"
    start = check_value(who, "start", start, NONNEGATIVE)
    end = check_value(who, "end", end, POSITIVE)
    if not start < end:
        raise ValueError(f"{who}: end must be above start, {start}, got {end}")
    if steps is not None:
        steps = check_value(who, "steps", steps, STEPS)
    opt, accumulate = _checked(who, opt, loss_and_grads, accumulate)
    loop = Loop(who, opt, loss_and_grads, batches, None, accumulate)
    with Restored(opt, loss_and_grads, batches, generators=generators, also=also) as kept:
        try:
            count = steps
            if count is None:
                count = max(loop.stream.length(LONGEST_PASS) // accumulate, SHORT_PASS)
                kept.put_back()
                loop.rewind(0)
            lrs = np.linspace(start, end, count)
            sweep = Sweep()
            for lr in lrs:
                made = loop.update(float(lr), measured=False)
                sweep.tell(float(lr), made.loss, made.after, math.nan)
                if sweep.stopped is not None:
                    break
        finally:
            loop.stream.close()
    losses = np.array(sweep.losses)
    falls, rises, reasons = judge.of_range(lrs, losses, sweep)
    return LRFindResult(
        rises / 2,
        (falls, rises),
        not any(map(math.isnan, (falls, rises))),
        reasons,
        "rises",
        {"falls": falls, "rises": rises},
        lrs[: len(losses)].copy(),
        losses,
        np.full(len(losses), np.nan),
        passes=(loop.full, loop.forward),
    )
