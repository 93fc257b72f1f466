"""A study by Optuna: rate and schedule searched for together, with hopeless runs cut short."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..._domain import Instance, Interval, Items
from ..._schedule import Schedule
from .runs import Outcome, SweepError, SweepRun, attempt, checked_function, made_of
from .sweep_text import counted

__all__ = ["StudyResult", "StudyRun", "lr_study"]

WHO = "lr_study"
RATE = Interval(0, math.inf, closed_low=False, closed_high=False)
TRIALS = Interval(1, math.inf, integer=True)
SEED = Interval(0, 2**32, closed_high=False, integer=True)
SCHEDULES = Instance("a dict of functions by name, or None", lambda x: isinstance(x, Mapping))


@dataclass(frozen=True)
class StudyRun(SweepRun):
    """One run of a study: a `SweepRun` whose seed is the number of the trial.

    Attributes
    ----------
    schedule : str or None
        Name of the schedule, or None if the rate was constant.
    pruned : bool
        Whether it was cut short; `score` is then the last that it reported.
    """

    schedule: str | None = None
    pruned: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values; None for a score that is not finite."""
        return {**super().to_dict(), "schedule": self.schedule, "pruned": self.pruned}


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Attributes
    ----------
    runs : tuple of StudyRun
        In the order they were made.
    interrupted : bool
        Whether Ctrl-C came before all were made.
    study : optuna.study.Study
        For Optuna's own pictures and analyses, and to go on from (``lr_study(..., study=...)``).
    seconds : float
        How long it took, by the clock.
    """

    runs: tuple[StudyRun, ...]
    interrupted: bool
    study: Any
    seconds: float

    @property
    def best_run(self) -> StudyRun | None:
        """The finished run with the lowest score; None if there is none."""
        done = [r for r in self.runs if math.isfinite(r.score) and not r.pruned]
        return min(done, key=lambda run: run.score, default=None)

    @property
    def best(self) -> float:
        """Rate of the best run; NaN if there is none."""
        return math.nan if self.best_run is None else self.best_run.lr

    @property
    def schedule(self) -> str | None:
        """Name of the schedule of the best run."""
        return None if self.best_run is None else self.best_run.schedule

    @property
    def score(self) -> float:
        """Score of the best run; as the lowest of many it flatters. NaN if there is none."""
        return math.nan if self.best_run is None else self.best_run.score

    @property
    def failures(self) -> tuple[StudyRun, ...]:
        """The runs that raised something other than a divergence."""
        return tuple(run for run in self.runs if run.failed)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts; None for what is not finite."""
        return {
            "best": self.best if math.isfinite(self.best) else None,
            "schedule": self.schedule,
            "score": self.score if math.isfinite(self.score) else None,
            "interrupted": self.interrupted,
            "seconds": self.seconds,
            "runs": [run.to_dict() for run in self.runs],
        }

    def __str__(self) -> str:
        count = {
            "pruned": sum(run.pruned for run in self.runs),
            "diverged": sum(run.diverged for run in self.runs),
            "failed": len(self.failures),
        }
        said = "".join(f", {n} {word}" for word, n in count.items() if n)
        lines = [f"Study of the rate: {counted(len(self.runs), 'run')}{said}, {self.seconds:.1f} s"]
        if self.best_run is None:
            return "\n".join([*lines, "No run came to its end: search smaller rates."])
        ended = [r for r in self.runs if math.isfinite(r.score) and not r.pruned]
        for run in sorted(ended, key=lambda run: run.score)[:5]:
            lines.append(f"  {run.lr:<10.3g} {run.schedule or 'constant':<16} {run.score:.5g}")
        named = f" with {self.schedule}" if self.schedule else ""
        lines.append(
            f"Best: lr = {self.best:.3g}{named}, score {self.score:.5g}. The lowest score of many "
            "flatters: repeat it with other seeds (lr_sweep)."
        )
        if self.failures:
            first = self.failures[0]
            lines.append(f"The first that failed (lr={first.lr:.3g}): {first.error}")
        if self.interrupted:
            lines.append("Interrupted: these are the runs made until then.")
        return "\n".join(lines)


def lr_study(
    train: Callable[[Any, Callable[[float], None]], float],
    *,
    lr: tuple[float, float] = (1e-5, 1.0),
    schedules: Mapping[str, Callable[[float], Schedule]] | None = None,
    trials: int = 30,
    seed: int = 0,
    prune: bool = True,
    study: Any = None,
    on_run: Callable[[StudyRun], object] | None = None,
) -> StudyResult:
    """Search for a rate, and a schedule if there are several, with Optuna.

    Parameters
    ----------
    train : function (lr, report) -> float
        Trains from the start and returns a score of which less is better. `lr` is a float, or
        with `schedules` a Schedule: either goes to an optimizer as it is. ``report(score)``, called
        now and then (each epoch, say), lets a run be cut short that is behind the others at the
        same call, or whose score is not finite; it raises what ends the run, so let it pass.
    lr : (low, high), default (1e-5, 1)
        Rates in (0, inf), `low` < `high`; sampled by their logarithm.
    schedules : dict of str to function (lr: float) -> Schedule, default None
        What to choose from, such as ``{"cosine": lambda lr: schedules.Cosine(lr, steps=1000)}``.
        None: constant rates.
    trials : int >= 1, default 30
        Number of runs.
    seed : int in [0, 2**32), default 0
        Of the sampler: the same runs again, if `train` is deterministic.
    prune : bool, default True
        Whether to cut runs short that are worse than the median of the others, after five runs.
    study : optuna.study.Study, default None
        One to go on with, that minimises; its own sampler, pruner and storage are used, and `seed`
        and `prune` are not.
    on_run : function (StudyRun), default None
        Called after each run.

    Returns
    -------
    StudyResult
        Also after Ctrl-C, with the runs made until then. Runs that raise are reported in it.

    Raises
    ------
    ImportError
        Optuna is not installed.
    TypeError, ValueError
        An argument outside its domain, before any run.
    SweepError
        Every run failed.

    Notes
    -----
    Sampler: trees of Parzen estimators (Bergstra et al., "Algorithms for Hyper-Parameter
    Optimization", 2011); pruner: the median rule (Golovin et al., "Google Vizier", 2017, 3.2.2).
    To run on several machines, give each a `study` with the same storage.

    Examples
    --------
    >>> from lrcore.instruments import lr_study
    >>> result = lr_study(lambda lr, report: (lr - 0.1) ** 2, trials=20)  # doctest: +SKIP
    """
    checked_function(WHO, "train", train)
    low, high = _ends(lr)
    made = _schedules(schedules)
    TRIALS.check(WHO, "trials", trials)
    SEED.check(WHO, "seed", seed)
    if on_run is not None:
        checked_function(WHO, "on_run", on_run)
    optuna = _optuna()
    if study is None:
        pruner = optuna.pruners.MedianPruner() if prune else optuna.pruners.NopPruner()
        sampler = optuna.samplers.TPESampler(seed=seed)
        with _quiet(optuna):
            study = optuna.create_study(sampler=sampler, pruner=pruner)
    elif study.direction != optuna.study.StudyDirection.MINIMIZE:
        raise ValueError(f"{WHO}: study must minimise, got one that maximises")
    runs: list[StudyRun] = []
    start = time.perf_counter()
    interrupted = False
    with _quiet(optuna):
        try:
            for _ in range(trials):
                trial = study.ask()
                runs.append(_one(optuna, study, trial, train, (low, high), made))
                if on_run is not None:
                    on_run(runs[-1])
        except KeyboardInterrupt:
            if not runs:
                raise
            interrupted = True
    if not interrupted and all(run.failed for run in runs):
        raise SweepError(f"{WHO}: all {len(runs)} runs failed; the first: {runs[0].error}")
    return StudyResult(tuple(runs), interrupted, study, time.perf_counter() - start)


def _one(
    optuna: Any,
    study: Any,
    trial: Any,
    train: Callable[..., Any],
    ends: tuple[float, float],
    schedules: dict[str, Callable[[float], Schedule]],
) -> StudyRun:
    """Make one run, and tell the study."""
    rate = trial.suggest_float("lr", *ends, log=True)
    name = trial.suggest_categorical("schedule", list(schedules)) if schedules else None
    reported: list[float] = []

    def report(score: float) -> None:
        value = float(score)
        if not math.isfinite(value):
            raise FloatingPointError(f"a score of {value} was reported")
        trial.report(value, len(reported))
        reported.append(value)
        if trial.should_prune():
            raise optuna.TrialPruned

    def whole() -> Any:
        given = rate if name is None else schedules[name](rate)
        try:
            return train(given, report)
        except optuna.TrialPruned:
            pruned.append(True)
            return reported[-1]

    pruned: list[bool] = []
    state = optuna.trial.TrialState
    try:
        outcome: Outcome = attempt(whole, ())
    except KeyboardInterrupt:
        study.tell(trial, state=state.FAIL)
        raise
    run = made_of((rate, trial.number, ()), outcome)
    if pruned:
        study.tell(trial, state=state.PRUNED)
    elif run.failed:
        study.tell(trial, state=state.FAIL)
    else:  # a number that is worse than all, since Optuna learns nothing from a trial that failed
        study.tell(trial, run.score if math.isfinite(run.score) else math.inf)
    fields = {**vars(run), "schedule": name, "pruned": bool(pruned)}
    return StudyRun(**fields)


def _ends(lr: object) -> tuple[float, float]:
    ends = Items(RATE, increasing=True).check(WHO, "lr", lr)
    if len(ends) != 2:
        raise ValueError(f"{WHO}: lr must be (low, high), got {list(ends)}")
    return ends[0], ends[1]


def _schedules(given: Any) -> dict[str, Callable[[float], Schedule]]:
    """The functions that make a schedule of a rate, by name; none for constant rates."""
    if given is None:
        return {}
    named = dict(SCHEDULES.check(WHO, "schedules", given))
    if not named:
        raise ValueError(f"{WHO}: schedules must have at least one, got none")
    for name, make in named.items():
        if not isinstance(name, str):
            raise TypeError(f"{WHO}: schedules must have names that are strings, got {name!r}")
        checked_function(WHO, f"schedules[{name!r}]", make)
        if not isinstance(make(0.1), Schedule):
            raise TypeError(
                f"{WHO}: schedules[{name!r}] must return a schedule, got {make(0.1)!r:.100}"
            )
    return named


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise ImportError(
            f"{WHO} needs Optuna: pip install optuna. Without it, lr_sweep goes through a grid."
        ) from None
    return optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without a line in the log for each run."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
