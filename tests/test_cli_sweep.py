"""`lrcore sweep` and `compare`, and how a command refuses what cannot be met."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from support import read_json

from lrcore import cli

linear = pytest.importorskip("threadpoolctl") and ("linear", "--epochs", "200")


def test_a_sweep_says_which_rate(call):
    status, out, err = call("sweep", *linear, "--lrs", "0.001,0.03,1,30", "--seeds", "2")
    assert (status, err) == (0, "")
    assert "SGD: 4 rates x 2 seeds, loss on the training data after 200 epochs" in out
    assert re.search(r"^ +30 +- +- +2 of 2 diverged$", out, re.M)
    assert "Use lr =" in out
    status, out, _ = call("sweep", *linear, "--lrs", "0.001,0.03,1,30", "--seeds", "2", "--json")
    found = read_json(out)
    assert status == 0
    assert found["lrs"] == [0.001, 0.03, 1, 30]
    assert found["seeds"] == [0, 1]
    assert found["best"] in (0.03, 1)
    assert found["score"] == "train_loss"
    assert found["means"][3] is None


def test_processes_give_the_same_sweep(call):
    argv = ("sweep", *linear, "--from", "0.01", "--to", "1", "--per-decade", "1", "--json")
    alone, together = (read_json(call(*argv, *more)[1]) for more in ((), ("--jobs", "2")))
    assert alone["lrs"] == [0.01, 0.1, 1]
    assert alone["scores"] == together["scores"]


@pytest.mark.slow
def test_ctrl_c_in_a_sweep_keeps_what_was_reached():
    argv = ("sweep", "linear", "--epochs", "20000", "--seeds", "9", "--jobs", "2")
    process = subprocess.Popen(
        [sys.executable, "-m", "lrcore", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert b"SGD: 7 rates x 9 seeds" in process.stdout.readline()
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")
    assert re.search(rb"Interrupted: \d+ of 63 runs were made", out)


@pytest.mark.slow
def test_a_second_ctrl_c_waits_for_no_run():
    argv = ("sweep", "linear", "--epochs", "100000000", "--jobs", "2")
    process = subprocess.Popen(
        [sys.executable, "-m", "lrcore", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert b"SGD: 7 rates x 3 seeds" in process.stdout.readline()
        for pause in (3, 0.5):
            time.sleep(pause)
            os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert err.endswith(b"lrcore: interrupted\n")


def test_the_grid_is_round_the_usual_rate(call):
    found = read_json(call("sweep", *linear, "--seeds", "1", "--json")[1])
    assert len(found["lrs"]) == 7
    assert found["lrs"][3] == pytest.approx(0.3)
    assert found["lrs"][6] / found["lrs"][0] == pytest.approx(1000, rel=1e-3)


def test_a_sweep_in_which_all_diverge_is_a_fault(call):
    status, out, _ = call("sweep", *linear, "--lrs", "30,300", "--seeds", "1")
    assert status == 1
    assert "Every rate diverged" in out


def test_a_run_that_was_stopped_has_diverged_whatever_its_last_score(monkeypatch):
    from lrcore import tasks
    from lrcore.cli._trials import Trial, plain

    args = cli._parser().parse_args(["sweep", "linear"])
    trial = Trial(plain(args), "train_loss")
    run = tasks.Run(history=[{"epoch": 0, "train_loss": 1.0}])
    monkeypatch.setattr(tasks, "fit", lambda *args: run)
    assert trial(0.1, 0) == 1.0
    run.stopped = "diverged"
    assert trial(0.1, 0) == np.inf


def test_optimizers_are_compared(call):
    argv = ("compare", *linear, "--optimizers", "sgd,adam", "--per-decade", "1", "--seeds", "2")
    status, out, err = call(*argv)
    assert (status, err) == (0, "")
    assert re.search(r"^ *=?\d +(SGD|Adam) ", out, re.M)
    status, out, _ = call(*argv, "--json")
    found = read_json(out)
    assert sorted(found["ranking"]) == ["Adam", "SGD"]
    assert found["optimizers"]["SGD"]["sweep"]["lrs"][0] == pytest.approx(0.3 / 10**1.5, rel=1e-3)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["sweep", "--lrs", "1,x"], "argument --lrs: must be a number in (0, inf), got 'x'"),
        (["sweep", "--lrs", ","], "argument --lrs: must be rates such as"),
        (["sweep", "--lrs", "1,1"], "argument --lrs: must be distinct rates"),
        (["sweep", "--lrs", "1", "--from", "1"], "--lrs goes without --from"),
        (["sweep", "linear", "--from", "1", "--to", "1"], "--to must be above --from = 1, got 1"),
        (["sweep", "linear", "--from", "0"], "argument --from: must be a number in (0, inf)"),
        (["sweep", "--seeds", "0"], "argument --seeds: must be an integer from 1, got '0'"),
        (["sweep", "linear", "--seed", str(2**32 - 1)], "--seed must be at most 4294967293"),
        (["sweep", "--optimizer", "sdg"], "there is no optimizer 'sdg' (did you mean SGD?)"),
        (["sweep", "digitz"], "digitz: no such task or file"),
        (["compare", "--optimizers", "sgd"], "--optimizers must name two or more, each once"),
        (["compare", "--optimizers", "sgd,SGD"], "--optimizers must name two or more, each once"),
        (["find", "linear", "--start", "1", "--end", "0.1"], "start"),
        (["find", "linear", "--steps", "9"], "argument --steps: must be an integer from 10"),
        (["train", "linear", "--lr", "fast"], "argument --lr: must be a number or auto, got 'fast'"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)  # fmt: skip
def test_a_refusal_is_one_sentence(call, argv, sentence):
    status, out, err = call(*argv)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_the_picture_of_a_sweep(call, tmp_path, without):
    pytest.importorskip("matplotlib")
    target = tmp_path / "sweep.png"
    argv = ("sweep", *linear, "--lrs", "0.01,0.1", "--seeds", "1", "-o", target)
    assert call(*argv)[0] == 0
    assert target.read_bytes().startswith(b"\x89PNG")
    without("matplotlib")
    status, out, err = call(*argv)
    assert (status, out) == (2, "")
    assert "matplotlib is missing" in err
