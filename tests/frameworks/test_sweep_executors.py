"""Sweeps on a Dask cluster, and studies by Optuna."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from sweep_jobs import linear, picky

import lrcore
from lrcore import schedules
from lrcore.instruments.trials.study import lr_study
from lrcore.instruments.trials.sweep import SweepError

pytestmark = pytest.mark.frameworks
GRID = (0.01, 0.03, 0.1, 0.3, 1.0)


@pytest.fixture(scope="module", params=["threads", "processes"])
def client(request):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=request.param == "processes",
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_dask_gives_what_one_after_the_other_gives(client):
    alone = lrcore.lr_sweep(picky, GRID, seeds=range(3))
    result = lrcore.lr_sweep(picky, GRID, seeds=range(3), executor=client.get_executor())
    np.testing.assert_array_equal(result.scores, alone.scores)
    assert [run.error for run in result.runs] == [run.error for run in alone.runs]
    assert (result.best, result.chosen) == (alone.best, alone.chosen)


def test_dask_takes_functions_that_pickle_does_not(client):
    shift = 0.1
    result = lrcore.lr_sweep(lambda lr, seed: abs(lr - shift), GRID, executor=client.get_executor())
    assert result.best == 0.1


def test_dask_cross_validates_and_compares(client):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=60)
    executor = client.get_executor()
    folds = [lrcore.cross_validate_lr(linear, (X, y), GRID, executor=e) for e in (None, executor)]
    np.testing.assert_array_equal(folds[0].scores, folds[1].scores)

    def train(name, lr, seed):
        return {"a": 1.0, "b": 2.0}[name] + lr + 0.01 * seed

    result = lrcore.compare(train, {"a": GRID, "b": GRID}, seeds=range(3), executor=executor)
    assert result.ranks == {"a": 1, "b": 2}


# ------------------------------------------------------------------------------------- Optuna


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna")


def descent(lr, report):
    """A noisy bowl, told to the study every twenty updates."""
    rng, w, curve = np.random.default_rng(0), np.full(3, 3.0), np.array([1.0, 3.0, 10.0])
    opt = lrcore.SGD(w, lr=lr)
    for t in range(200):
        opt.step(curve * w + rng.normal(size=3))
        if t % 20 == 19:
            report(float((w * w) @ curve))
    return float((w * w) @ curve)


SCHEDULES = {"cosine": lambda lr: schedules.Cosine(lr, steps=200), "constant": schedules.Constant}


def test_a_study_finds_rate_and_schedule(optuna):
    seen = []
    options = {"schedules": SCHEDULES, "lr": (1e-4, 10), "trials": 40}
    result = lr_study(descent, on_run=seen.append, **options)
    assert seen == list(result.runs)
    assert len(result.runs) == 40
    assert result.schedule == "cosine"
    assert 0.005 < result.best < 0.2
    assert result.score == min(run.score for run in result.runs if not run.pruned)
    states = Counter(trial.state.name for trial in result.study.trials)
    assert states["PRUNED"] == sum(run.pruned for run in result.runs) > 3
    assert result.best == pytest.approx(result.study.best_params["lr"])
    assert "with cosine" in str(result)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["runs"][3]["schedule"]
    again = lr_study(descent, **options)
    assert [(r.lr, r.schedule, r.score) for r in again.runs] == [
        (r.lr, r.schedule, r.score) for r in result.runs
    ]


def test_a_study_goes_on(optuna):
    def train(lr, report):
        return (math.log(lr) + 2) ** 2

    first = lr_study(train, trials=5)
    second = lr_study(train, trials=10, study=first.study)
    assert len(second.study.trials) == 15
    assert [run.seed for run in second.runs] == list(range(5, 15))
    assert second.runs[0].schedule is None
    with pytest.raises(ValueError, match="study must minimise, got one that maximises"):
        lr_study(train, study=optuna.create_study(direction="maximize"))


def test_a_study_lists_what_failed_and_diverged(optuna):
    def train(lr, report):
        if lr > 0.1:
            raise OverflowError("too far")
        if lr < 1e-3:
            raise ValueError("no data")
        report(math.nan if lr > 0.05 else lr)
        return lr

    result = lr_study(train, trials=30)
    assert {run.error for run in result.failures} == {"ValueError: no data"}
    assert any(run.diverged and run.error == "OverflowError: too far" for run in result.runs)
    assert 1e-3 <= result.best <= 0.1
    with pytest.raises(SweepError, match="lr_study: all 3 runs failed; the first: TypeError"):
        lr_study(lambda lr, report: "no", trials=3)
    nothing = lr_study(lambda lr, report: math.inf, trials=3)
    assert math.isnan(nothing.best)
    assert "No run came to its end" in str(nothing)


def test_ctrl_c_in_a_study_keeps_what_is_done(optuna):
    def train(lr, report):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(lr)
        return lr

    made = []
    result = lr_study(train, trials=10)
    assert result.interrupted
    assert [run.lr for run in result.runs] == made
    assert result.study.trials[-1].state.name == "FAIL"
    with pytest.raises(KeyboardInterrupt):
        lr_study(train, trials=10)


def test_the_log_of_optuna_is_as_it_was(optuna, capsys):
    before = optuna.logging.get_verbosity()
    lr_study(lambda lr, report: lr, trials=2)
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr().err == ""
