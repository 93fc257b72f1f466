"""What a study refuses, with and without Optuna; `tests/frameworks` has the studies."""

import sys

import pytest

from lrcore.instruments.trials.study import StudyResult, StudyRun, lr_study


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"train": 1}, TypeError, "train must be a function"),
        ({"lr": (1, 0.1)}, ValueError, r"lr must be increasing, got \[1.0, 0.1\]"),
        ({"lr": (0.1,)}, ValueError, r"lr must be \(low, high\), got \[0.1\]"),
        ({"lr": (0, 1)}, ValueError, r"lr\[0\] must be in \(0, inf\), got 0"),
        ({"trials": 0}, ValueError, "trials must be an integer >= 1, got 0"),
        ({"schedules": []}, TypeError, "schedules must be a dict of functions by name, or None"),
        ({"schedules": {}}, ValueError, "schedules must have at least one, got none"),
        ({"schedules": {"a": 1}}, TypeError, r"schedules\['a'\] must be a function, got 1"),
        ({"schedules": {"a": abs}}, TypeError, r"schedules\['a'\] must return a schedule, got 0.1"),
        ({"seed": -1}, ValueError, "seed must be an integer"),
        ({"on_run": 1}, TypeError, "on_run must be a function"),
    ],
)
def test_what_a_study_refuses(change, error, message):
    arguments = {"train": abs, **change}
    with pytest.raises(error, match=rf"^lr_study: {message}"):
        lr_study(arguments.pop("train"), **arguments)


def test_what_to_install_without_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match="lr_study needs Optuna: pip install optuna"):
        lr_study(abs)


def test_a_result_in_words():
    runs = [
        StudyRun(0.1, 0, 2.0, schedule="cosine"),
        StudyRun(0.2, 1, 1.0, schedule="cosine", pruned=True),
        StudyRun(9.0, 2, float("inf"), diverged=True, schedule="linear"),
        StudyRun(0.3, 3, float("nan"), "ValueError: no", schedule="linear"),
    ]
    result = StudyResult(tuple(runs), True, None, 1.0)
    assert (result.best, result.schedule, result.score) == (0.1, "cosine", 2.0)
    text = str(result)
    assert text.startswith("Study of the rate: 4 runs, 1 pruned, 1 diverged, 1 failed, 1.0 s")
    assert "Best: lr = 0.1 with cosine, score 2." in text
    assert "Interrupted" in text
    assert [run["pruned"] for run in result.to_dict()["runs"]] == [False, True, False, False]
