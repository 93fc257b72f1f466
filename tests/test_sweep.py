"""Sweeps: results, choices, failures, Ctrl-C, executors."""

import json
import math
import os
import pickle
import signal
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from sweep_jobs import bowl, dies, picky

import lrcore
from lrcore.instruments.trials.student import t_cdf, t_quantile
from lrcore.instruments.trials.sweep import SweepError, SweepResult, SweepRun, lr_sweep, rates

GRID = (0.01, 0.03, 0.1, 0.3, 1.0)


def of(scores, lrs=None, **options):
    """A result with these scores; None for a run that was not made."""
    lrs = [float(f"1e{k - 3}") for k in range(len(scores))] if lrs is None else lrs
    runs = [
        SweepRun(lr, seed, score, diverged=not math.isfinite(score))
        for lr, row in zip(lrs, scores, strict=True)
        for seed, score in enumerate(row)
        if score is not None
    ]
    return SweepResult(np.array(lrs), tuple(range(len(scores[0]))), tuple(runs), **options)


# ------------------------------------------------------------------------------- the numbers


def test_means_errors_and_best():
    result = of([[4, 6], [1, 2], [3, 3], [math.inf, 1]])
    assert result.means.tolist() == [5, 1.5, 3, math.inf]
    np.testing.assert_allclose(result.errors, [1, 0.5, 0, math.nan], atol=1e-15)
    assert result.best == 0.01
    assert result.edge is None


@pytest.mark.parametrize(
    ("scores", "rule", "band", "chosen"),
    [
        ([[9, 9], [2, 4], [1, 4], [2.4, 4], [9, 9]], "1se", (0.01, 1.0), 0.1),
        ([[9, 9], [2, 4], [1, 4], [2.4, 4], [9, 9]], "best", (0.01, 1.0), 0.1),
        ([[2, 4], [2, 4], [1, 4], [9, 9], [9, 9]], "1se", (0.001, 0.1), 0.01),
        ([[2, 4], [2, 4], [1, 4], [9, 9], [9, 9]], "best", (0.001, 0.1), 0.1),
        ([[9, 9], [2, 4], [1, 4], [9, 9], [2, 4]], "1se", (0.01, 0.1), 0.01),
        ([[2, 4], [3.5, 3.5], [2, 3], [3, 3], [9, 9]], "1se", (0.1, 1.0), 0.1),
        ([[9, 9], [5, 5], [1, 1], [5, 5], [1.1, 1.1]], "1se", (0.1, 0.1), 0.1),
    ],
)
def test_the_choice_among_what_cannot_be_told_apart(scores, rule, band, chosen):
    result = of(scores, rule=rule)
    assert result.best == 0.1
    assert result.band == band
    assert result.chosen == chosen


def test_the_order_of_the_rates_does_not_matter():
    lrs, scores = [0.1, 10.0, 0.01, 1.0], [[2, 4], [9, 9], [9, 9], [1, 4]]
    result = of(scores, lrs)
    assert result.lrs.tolist() == lrs
    assert (result.best, result.band, result.chosen) == (1.0, (0.1, 1.0), 0.1)
    assert result.edge is None


def test_of_equal_rates_the_middle_is_best():
    assert of([[9], [1], [1], [1], [9]]).best == 0.1
    assert of([[9], [1], [1], [9]]).best == 0.01


@pytest.mark.parametrize(
    ("scores", "edge"),
    [
        ([[1], [2], [3]], "low"),
        ([[3], [2], [1]], "high"),
        ([[3], [1], [2]], None),
        ([[3], [1], [math.inf]], None),
        ([[3], [1], [None]], "high"),
        ([[1]], None),
    ],
)
def test_a_best_rate_at_the_edge_of_the_grid(scores, edge):
    result = of(scores)
    assert result.edge == edge
    widened = [n for n in result.notes if "widen the grid" in n or "beyond it have none" in n]
    assert len(widened) == (edge is not None)


def test_a_rate_is_not_better_for_lacking_the_worst_seed():
    result = of([[1.0, 11.0, 6.0], [2.0, None, 7.0], [9.0, 9.0, 9.0]])
    assert result.means.tolist() == [6, 4.5, 9]
    assert result.adjusted.tolist() == [6, 7, 9]
    assert result.best == 0.001
    lone = of([[None, 5.0], [1.0, None], [None, None]])
    assert lone.best == 0.01
    assert np.isnan(lone.means[2])


def test_sensitivity_is_what_the_paper_defines():
    """Wortsman et al. 2023, 2.2: the mean of min(loss, initial) - best loss."""
    losses = [3.0, 1.0, 2.0, math.inf]
    assert of([[x] for x in losses], initial=2.5).lr_sensitivity == (1.5 + 0 + 1 + 1.5) / 4
    assert of([[x] for x in losses]).lr_sensitivity == (2 + 0 + 1 + 2) / 4
    assert of([[3.0], [4.0]], initial=2.0).lr_sensitivity == 0
    assert math.isnan(of([[math.inf], [math.inf]]).lr_sensitivity)
    assert "Rate sensitivity" in str(of([[x] for x in losses], initial=2.5))


def test_every_rate_diverged():
    result = of([[math.inf], [math.nan]])
    assert math.isnan(result.best)
    assert math.isnan(result.chosen)
    assert result.edge is None
    assert "smaller ones, from 1e-06 to 0.00033" in str(result)
    assert "No rate to use" in str(result)


def test_rates():
    assert rates(1e-3, 1, per_decade=1) == (0.001, 0.01, 0.1, 1.0)
    assert rates(0.1, 0.2) == (0.1, 0.2)
    assert rates(2e-3, 1, per_decade=3)[0] == 2e-3
    assert rates(2e-3, 1, per_decade=3)[-1] == 1.0
    steps = np.diff(np.log10(rates(1e-5, 3, per_decade=4)))
    assert np.ptp(steps) < 1e-3
    assert abs(steps.mean() - 0.25) < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1), r"rates: low must be in \(0, inf\), got 0"),
        ((1, 1), r"rates: high must be above low = 1.0, got 1.0"),
        ((1, 2, 0), r"rates: per_decade must be an integer in \[1, 100\], got 0"),
    ],
)
def test_rates_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        rates(*arguments)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 30])
def test_student(degrees):
    """By its density, integrated."""
    x = np.linspace(-40, 1.5, 400_001)
    density = (1 + x * x / degrees) ** (-(degrees + 1) / 2)
    density *= math.gamma((degrees + 1) / 2) / math.gamma(degrees / 2)
    density /= math.sqrt(degrees * math.pi)
    below = t_cdf(-40.0, degrees)
    area = np.sum((density[1:] + density[:-1]) / 2) * (x[1] - x[0])
    assert abs(below + area - t_cdf(1.5, degrees)) < 1e-8
    assert abs(t_cdf(t_quantile(0.975, degrees), degrees) - 0.975) < 1e-12
    assert t_quantile(0.2, degrees) == -t_quantile(0.8, degrees)
    assert (t_cdf(math.inf, degrees), t_cdf(-math.inf, degrees)) == (1, 0)


# ----------------------------------------------------------------------------------- running


def test_a_sweep():
    result = lrcore.lr_sweep(bowl, GRID, seeds=[3, 1, 2])
    assert result.scores.tolist() == [
        [x if x < math.inf else math.inf for x in (bowl(lr, seed) for seed in (3, 1, 2))]
        for lr in GRID
    ]
    assert [(run.lr, run.seed) for run in result.runs] == [(x, s) for x in GRID for s in (3, 1, 2)]
    assert (result.best, result.failures, result.interrupted) == (0.3, (), False)
    assert "diverged" in str(result)
    assert "Use lr = 0.3" in str(result)
    assert isinstance(pickle.loads(pickle.dumps(result)), SweepResult)


def test_plain_values():
    result = lr_sweep(picky, GRID, seeds=[0, 1], initial=10.0)
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert told["best"] == result.best
    assert told["scores"][2][1] is None
    assert told["runs"][5]["error"] == "ValueError: no data for this one"
    assert told["lr_sensitivity"] == result.lr_sensitivity
    assert told["notes"] == list(result.notes)


def test_one_of_many_raises_and_the_rest_goes_on():
    result = lr_sweep(picky, GRID, seeds=[0, 1])
    (failed,) = result.failures
    assert (failed.lr, failed.seed, failed.error) == (0.1, 1, "ValueError: no data for this one")
    assert "in picky" in failed.traceback
    assert np.isnan(result.scores[2, 1])
    (lost,) = [run for run in result.runs if run.diverged and run.error]
    assert (lost.lr, lost.error, lost.failed) == (0.3, "FloatingPointError: overflow", False)
    assert result.scores[3, 0] == math.inf
    assert len(result.runs) == 10
    assert "1 of 10 runs failed; the first (lr=0.1, seed 1): ValueError" in str(result)
    assert "1 of 2 diverged" in str(result)


@pytest.mark.parametrize("value", ["0.5", b"1", None, [1, 2], 1j, np.zeros(2)])
def test_what_is_no_score_fails(value):
    with pytest.raises(SweepError, match=r"lr_sweep: the run with lr=1 failed: TypeError: train "):
        lr_sweep(lambda lr, seed: value, [1.0])


@pytest.mark.parametrize("value", [0.5, True, np.float32(0.5), np.array([[0.5]]), np.array(2)])
def test_what_is_a_score(value):
    (run,) = lr_sweep(lambda lr, seed: value, [1.0]).runs
    assert type(run.score) is float
    assert run.score == np.asarray(value).item()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_what_is_not_finite_diverged(value):
    result = lr_sweep(lambda lr, seed: value if lr > 0.5 else lr, [0.1, 1.0])
    assert result.scores.tolist() == [[0.1], [math.inf]]
    assert [run.diverged for run in result.runs] == [False, True]
    assert (result.best, result.edge, result.failures) == (0.1, "low", ())


def test_an_exit_is_a_failure():
    def leaves(lr, seed):
        if lr == 1.0:
            raise SystemExit(3)
        return lr

    assert lr_sweep(leaves, [1.0, 2.0]).failures[0].error == "SystemExit: 3"


def test_all_fail():
    def fails(lr, seed):
        raise OSError("no disk")

    with pytest.raises(SweepError, match="all 4 runs failed; the first: OSError: no disk") as info:
        lr_sweep(fails, [1.0, 2.0], seeds=[0, 1])
    assert len(info.value.runs) == 4
    again = pickle.loads(pickle.dumps(info.value))
    assert str(again) == str(info.value)
    assert [run.error for run in again.runs] == ["OSError: no disk"] * 4


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"train": 3}, TypeError, "train must be a function, got 3"),
        ({"lrs": []}, ValueError, "lrs must have at least one value, got none"),
        ({"lrs": [0.1, 0.1]}, ValueError, r"lrs must be distinct, got \[0.1, 0.1\]"),
        ({"lrs": [0.1, 0.0]}, ValueError, r"lrs\[1\] must be in \(0, inf\), got 0.0"),
        ({"lrs": [math.nan]}, ValueError, r"lrs\[0\] must be in \(0, inf\), got nan"),
        ({"lrs": ["1"]}, TypeError, r"lrs\[0\] must be a number in \(0, inf\), got '1'"),
        ({"lrs": 0.1}, TypeError, "lrs must be a list, got 0.1"),
        ({"seeds": []}, ValueError, "seeds must have at least one value, got none"),
        ({"seeds": [1, 1]}, ValueError, "seeds must be distinct"),
        ({"seeds": [1.5]}, TypeError, r"seeds\[0\] must be an integer, got 1.5"),
        ({"seeds": [True]}, TypeError, r"seeds\[0\] must be an integer, got True"),
        ({"seeds": 3}, TypeError, "seeds must be a list, got 3"),
        (
            {"executor": 4},
            TypeError,
            r"executor must be a concurrent.futures.Executor or None, got int$",
        ),
        ({"rule": "2se"}, ValueError, 'rule must be "1se" or "best", got'),
        ({"initial": math.inf}, ValueError, r"initial must be None or in \(-inf, inf\), got inf"),
        ({"on_run": 1}, TypeError, "on_run must be a function, got 1"),
    ],
)
def test_bad_arguments_run_nothing(change, error, message):
    calls = []
    arguments = {"train": lambda lr, seed: calls.append(lr), "lrs": [0.1], **change}
    with pytest.raises(error, match=rf"^lr_sweep: {message}"):
        lr_sweep(arguments.pop("train"), arguments.pop("lrs"), **arguments)
    assert calls == []


def test_a_client_is_not_an_executor():
    class Client:
        def get_executor(self):
            raise AssertionError

    with pytest.raises(TypeError, match=r"of a Dask client pass client.get_executor\(\)"):
        lr_sweep(bowl, [0.1], executor=Client())


# --------------------------------------------------------------------------------- executors


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def test_processes_and_threads_give_what_one_after_the_other_gives(processes):
    alone = lr_sweep(picky, GRID, seeds=[0, 1, 2])
    with ThreadPoolExecutor(3) as threads:
        for executor in (processes, threads):
            seen = []
            result = lr_sweep(picky, GRID, seeds=[0, 1, 2], executor=executor, on_run=seen.append)
            np.testing.assert_array_equal(result.scores, alone.scores)
            assert [r.error for r in result.runs] == [r.error for r in alone.runs]
            assert (result.best, result.chosen) == (alone.best, alone.chosen)
            assert sorted(map(id, seen)) == sorted(map(id, result.runs))


def test_what_processes_cannot_take_is_said_before(processes):
    with pytest.raises(TypeError, match=r"picklable for a pool of processes: define it with def"):
        lr_sweep(lambda lr, seed: lr, [0.1], executor=processes)


def test_a_process_that_dies():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        result = lr_sweep(dies, [0.01, 0.1, 0.3], executor=pool)
        assert result.runs[0].score == bowl(0.01, 0)
        assert len(result.failures) == 2
        for run in result.failures:
            assert run.error.startswith("BrokenProcessPool: ")
            assert "a worker died" in run.error
        with pytest.raises(SweepError, match="BrokenProcessPool"):
            lr_sweep(bowl, [0.1], executor=pool)


class Backwards(Executor):
    """Runs what it was given when it is asked for all of it, the last first."""

    def __init__(self, count):
        self.count, self.waiting = count, []

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.waiting.append((future, fn, args))
        if len(self.waiting) == self.count:
            for one, f, given in reversed(self.waiting):
                one.set_result(f(*given))
        return future


def test_the_order_is_that_of_the_grid_whatever_ends_first():
    seen = []
    with Backwards(6) as executor:
        result = lr_sweep(bowl, [0.3, 0.1, 0.01], seeds=[1, 0], executor=executor)
    lr_sweep(bowl, [0.3, 0.1], on_run=lambda run: seen.append(run.lr))
    assert [(r.lr, r.seed) for r in result.runs] == [
        (lr, seed) for lr in (0.3, 0.1, 0.01) for seed in (1, 0)
    ]
    assert seen == [0.3, 0.1]


def test_an_executor_that_fails_to_bring_back():
    class Loses(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            if args[1][0] == 0.1:
                future.set_exception(pickle.PicklingError("cannot pickle it"))
            elif args[1][0] == 0.2:
                future.cancel()
                future.set_running_or_notify_cancel()
            else:
                future.set_result(fn(*args))
            return future

    result = lr_sweep(bowl, [0.01, 0.1, 0.2], executor=Loses())
    assert [run.error for run in result.runs] == [
        None,
        "PicklingError: cannot pickle it",
        "CancelledError",
    ]


def test_a_callback_that_raises_ends_the_sweep():
    def stop(run):
        raise LookupError("enough")

    with ThreadPoolExecutor(1) as pool, pytest.raises(LookupError, match="enough"):
        lr_sweep(bowl, GRID, executor=pool, on_run=stop)


# ------------------------------------------------------------------------------------ Ctrl-C


def interrupting(at):
    """A `train` that Ctrl-C hits at its run number `at`."""
    count = iter(range(10**6))

    def train(lr, seed):
        if next(count) == at:
            raise KeyboardInterrupt
        return bowl(lr, seed)

    return train


def test_ctrl_c_keeps_what_is_done():
    result = lr_sweep(interrupting(4), [0.01, 0.1, 0.3], seeds=[0, 1])
    assert result.interrupted
    assert len(result.runs) == 4
    assert np.isnan(result.scores).sum() == 2
    assert result.best == 0.3
    assert "Interrupted: 4 of 6 runs were made." in str(result)
    assert result.to_dict()["interrupted"] is True


def test_ctrl_c_before_the_first_run_has_ended_leaves():
    with pytest.raises(KeyboardInterrupt):
        lr_sweep(interrupting(0), GRID)


def test_ctrl_c_cancels_what_waits_and_keeps_what_runs():
    started, go_on = threading.Event(), threading.Event()
    made = []

    def train(lr, seed):
        made.append(lr)
        if lr == 0.03:
            started.set()
            assert go_on.wait(20)
        return bowl(lr, seed)

    def press(run):
        told.append(run.lr)
        assert started.wait(20)
        if run.lr == 0.01:
            threading.Timer(0.1, go_on.set).start()
            signal.raise_signal(signal.SIGINT)

    told = []
    with ThreadPoolExecutor(1) as pool:
        result = lr_sweep(train, GRID, executor=pool, on_run=press)
    assert result.interrupted
    assert told == made
    assert made == [0.01, 0.03]
    assert [run.lr for run in result.runs] == made


def test_ctrl_c_that_reaches_a_worker_first():
    class Interrupted(Executor):
        """As a pool of processes brings it back; what comes after is still waiting."""

        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            if args[1][0] == 0.1:
                future.set_exception(KeyboardInterrupt())
            elif args[1][0] == 0.01:
                future.set_result(fn(*args))
            return future

    result = lr_sweep(bowl, [0.01, 0.1, 0.3], executor=Interrupted())
    assert result.interrupted
    assert [run.lr for run in result.runs] == [0.01]


def test_a_second_ctrl_c_does_not_wait():
    ready = threading.Event()

    class Stuck(Executor):
        """The first run is done at once, the second never ends."""

        count = 0

        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.set_running_or_notify_cancel()
            if self.count == 0:
                future.set_result(fn(*args))
            else:
                ready.set()
            self.count += 1
            return future

    def press_twice():
        assert ready.wait(20)
        for _ in range(2):
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=press_twice)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        lr_sweep(bowl, [0.01, 0.1], executor=Stuck())
    assert not helper.join(20)


def test_one_rate_has_no_neighbours():
    said = str(of([[1.0, 1.1, 1.3]]))
    assert "neighbour" not in said
    assert "the only one that has a score" in said


def test_a_grid_that_was_not_finished_is_not_widened():
    said = str(of([[3], [1], [None]]))
    assert "widen" not in said
    assert "largest that has a score" in said
    assert "smaller ones" not in str(of([[None], [None], [None]]))
    assert "Every rate that has a score diverged" in str(of([[None], [math.inf], [None]]))
