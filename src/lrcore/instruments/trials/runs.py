"""Many runs of one function, in this process or on any executor, of which any may fail."""

from __future__ import annotations

import math
import pickle
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
)
from dataclasses import dataclass, field
from numbers import Integral
from queue import Empty, SimpleQueue
from typing import Any

from ..._domain import Instance, Interval, Items

__all__ = ["RATES", "SweepError", "SweepRun", "checked_seeds", "run_all"]

RATES = Items(Interval(0, math.inf, closed_low=False, closed_high=False))
#: What arithmetic raises when the numbers have left every range; `NonFiniteError` is one of them.
DIVERGED = (FloatingPointError, OverflowError)


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes
    ----------
    lr : float
        The learning rate.
    seed : int
        The seed; of a cross-validation the number of the fold.
    score : float
        What the run returned, smaller being better. inf or NaN if it diverged, NaN if it failed.
    error : str or None
        What the run raised, as ``"ValueError: text"``; None if it raised nothing.
    seconds : float
        How long it took, where it ran. Not compared by ``==``.
    diverged : bool
        Whether the score is not finite, or the run raised FloatingPointError (`NonFiniteError` is
        one) or OverflowError.
    traceback : str
        The lines that Python prints of an error, or "". Not compared by ``==``.
    """

    lr: float
    seed: int
    score: float
    error: str | None = None
    seconds: float = field(default=0.0, compare=False)
    diverged: bool = False
    traceback: str = field(default="", compare=False, repr=False)

    @property
    def failed(self) -> bool:
        """Whether the run raised something that is not a divergence."""
        return self.error is not None and not self.diverged

    def to_dict(self) -> dict[str, Any]:
        """Plain values; None for a score that is not finite."""
        return {
            "lr": self.lr,
            "seed": self.seed,
            "score": self.score if math.isfinite(self.score) else None,
            "diverged": self.diverged,
            "error": self.error,
            "seconds": self.seconds,
        }


class SweepError(RuntimeError):
    """Every run failed.

    Attributes
    ----------
    runs : tuple of SweepRun
        What each of them said.
    """

    def __init__(self, message: str, runs: tuple[SweepRun, ...] = ()) -> None:
        super().__init__(message)
        self.runs = runs

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.runs)


#: Where a run stands in its grid, and what its function is called with.
Job = tuple[float, int, tuple[Any, ...]]
#: What an executor brings back: "done", "diverged" or "failed", score, error, traceback, seconds.
Outcome = tuple[str, float, str, str, float]


def attempt(train: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    """Make one run where the executor wants it."""
    start = time.perf_counter()
    kind, score, said, trace = "done", math.nan, "", ""
    try:
        score = _number(train(*args))
    except (Exception, SystemExit) as error:
        kind = "diverged" if isinstance(error, DIVERGED) else "failed"
        said, trace = _text(error), traceback.format_exc()
    return kind, score, said, trace, time.perf_counter() - start


def _number(value: Any) -> float:
    """What `train` returned as a float; an array or a tensor must have one element."""
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"train must return a number, got {value!r:.200}") from None


def _text(error: BaseException) -> str:
    """An exception in one line; long ones are cut."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}" if text else type(error).__name__


def made_of(job: Job, outcome: Outcome) -> SweepRun:
    kind, score, said, trace, seconds = outcome
    diverged = kind == "diverged" or (kind == "done" and not math.isfinite(score))
    score = math.inf if kind == "diverged" else score
    return SweepRun(job[0], job[1], score, said or None, seconds, diverged, trace)


def checked_seeds(who: str, seeds: object) -> tuple[int, ...]:
    """Distinct whole numbers, at least one."""
    whole = Instance("an integer", lambda x: isinstance(x, Integral) and not isinstance(x, bool))
    found = tuple(int(seed) for seed in Items(whole).check(who, "seeds", seeds))
    distinct(who, "seeds", found)
    return found


def distinct(who: str, name: str, values: Sequence[Any]) -> None:
    """Refuse none and the same twice."""
    if not values:
        raise ValueError(f"{who}: {name} must have at least one value, got none")
    if len(set(values)) < len(values):
        raise ValueError(f"{who}: {name} must be distinct, got {list(values)}")


def checked_rates(who: str, name: str, lrs: object) -> tuple[float, ...]:
    """Distinct rates in (0, inf), at least one, in the order given."""
    found = RATES.check(who, name, lrs)
    distinct(who, name, found)
    return found


def checked_callback(who: str, on_run: Any) -> Callable[[int, SweepRun], object] | None:
    """What is called after each run, without the run's place."""
    if on_run is None:
        return None
    checked_function(who, "on_run", on_run)
    return lambda _, run: on_run(run)


def checked_function(who: str, name: str, f: object) -> Any:
    """A callable."""
    return Instance("a function", callable).check(who, name, f)


def _checked_executor(who: str, executor: object, train: object) -> Executor | None:
    """An executor that can run `train`, or None."""
    if executor is not None and not isinstance(executor, Executor):
        more = "; of a Dask client pass client.get_executor()"
        raise TypeError(
            f"{who}: executor must be a concurrent.futures.Executor or None, got "
            f"{type(executor).__name__}{more if hasattr(executor, 'get_executor') else ''}"
        )
    if isinstance(executor, ProcessPoolExecutor):
        try:
            pickle.dumps(train)
        except Exception as error:
            raise TypeError(
                f"{who}: train must be picklable for a pool of processes: define it with def at "
                "the top of a module (no lambda, no function in a function) and hand it what it "
                f"needs with functools.partial, got {_text(error)}"
            ) from None
    return executor


def run_all(
    who: str,
    train: Callable[..., Any],
    jobs: Sequence[Job],
    executor: Executor | None,
    on_run: Callable[[int, SweepRun], object] | None = None,
    needs: object = None,
) -> tuple[dict[int, SweepRun], bool]:
    """Make the runs of `jobs`, and return those that were made by their place in `jobs`.

    Also whether Ctrl-C came before they were all made. The first one stops what waits and keeps
    what is done; runs that are under way elsewhere are awaited, unless Ctrl-C comes again. `needs`
    is the user's function if `train` is not.
    """
    executor = _checked_executor(who, executor, train if needs is None else needs)
    made: dict[int, SweepRun] = {}
    interrupted = False

    def note(i: int, outcome: Outcome) -> None:
        if i in made:
            return  # Ctrl-C came while it was told
        made[i] = made_of(jobs[i], outcome)
        if on_run is not None:
            on_run(i, made[i])

    try:
        if executor is None:
            for i, job in enumerate(jobs):
                note(i, attempt(train, job[2]))
        else:
            interrupted = _on(executor, train, jobs, note)
    except KeyboardInterrupt:
        if executor is not None:
            raise
        interrupted = True
    if interrupted and not made:
        raise KeyboardInterrupt
    if not interrupted and all(run.failed for run in made.values()):
        runs = tuple(made[i] for i in sorted(made))
        raise SweepError(_all_failed(who, runs), runs)
    return made, interrupted


def _all_failed(who: str, runs: tuple[SweepRun, ...]) -> str:
    first = runs[0]
    how = f"the run with lr={first.lr:g}" if len(runs) == 1 else f"all {len(runs)} runs"
    return f"{who}: {how} failed{'' if len(runs) == 1 else '; the first'}: {first.error}"


def _on(
    executor: Executor,
    train: Callable[..., Any],
    jobs: Sequence[Job],
    note: Callable[[int, Outcome], None],
) -> bool:
    """Make the runs on an executor, one task each; return whether Ctrl-C came."""
    waiting: dict[Future[Any], int] = {}
    try:
        try:
            for i, job in enumerate(jobs):
                try:
                    waiting[executor.submit(attempt, train, job[2])] = i
                except BrokenExecutor as error:
                    note(i, _lost(error))
            _collect(waiting, note)
            return False
        except KeyboardInterrupt:
            running = {future: i for future, i in waiting.items() if not future.cancel()}
            _collect(running, note, interrupted=True)
            return True
    finally:
        for future in waiting:
            future.cancel()


def _collect(
    waiting: dict[Future[Any], int],
    note: Callable[[int, Outcome], None],
    interrupted: bool = False,
) -> None:
    """Note what `waiting` brings, as it comes, until nothing is left."""
    # not concurrent.futures.wait, which Ctrl-C can leave with the locks of the futures held
    ended: SimpleQueue[Future[Any]] = SimpleQueue()
    for future in list(waiting):
        future.add_done_callback(ended.put)
    while waiting:
        try:
            # with a time, since on Windows Ctrl-C does not end a wait without one
            future = ended.get(timeout=0.5)
        except Empty:
            continue
        error = CancelledError() if future.cancelled() else future.exception()
        if isinstance(error, KeyboardInterrupt) and not interrupted:
            raise error  # Ctrl-C reached the worker first
        if error is None or not interrupted:
            note(waiting[future], future.result() if error is None else _lost(error))
        del waiting[future]


def _lost(error: BaseException) -> Outcome:
    """The outcome of a run that the executor did not bring back."""
    text = _text(error)
    if isinstance(error, BrokenExecutor):
        text += (
            " (a worker died: out of memory, a crash in compiled code, or train cannot be imported "
            "there; it must be in a module, and the script that starts the pool under if __name__ "
            '== "__main__")'
        )
    return "failed", math.nan, text, "", 0.0
