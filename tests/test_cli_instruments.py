"""find, sweep, compare, diagnose, watch: as a person and as a program meets them."""

import doctest
import importlib.util
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from support import ROOT

import lrcore
from lrcore import cli
from lrcore.cli import watch as watch_command
from lrcore.cli._follow import Followed
from lrcore.cli.diagnose import STATUS, WARNING
from lrcore.instruments import LogError
from lrcore.instruments.diagnosis.verdict import VERDICTS

N = 2000
RNG = np.random.default_rng(0)
NOISE = 0.05 * RNG.standard_normal(N)
T = np.arange(N)
FALL = 2 * np.exp(-T / 300) + 0.5
RUNS = {
    "healthy": FALL + NOISE,
    "diverged": FALL + NOISE + 0.02 * np.maximum(T - 1500, 0),
    "nan": np.where(T < 1900, FALL + NOISE, np.nan),
    "spiking": np.where(RNG.random(N) < 0.01, 8 * FALL, FALL + NOISE),
    "short": FALL[:40],
    "flat": 0.5 + NOISE,
}


@pytest.fixture
def call(capsys):
    """Run a command; give its exit status, stdout and stderr."""

    def run(*argv):
        status = cli.main([str(word) for word in argv])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def without(monkeypatch):
    """Make a package look as if it were not installed."""

    def hide(module):
        for name in [name for name in sys.modules if name.partition(".")[0] == module]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, module, None)

    return hide


def as_csv(losses, **columns):
    names = ["step", "loss", *columns]
    rows = zip(range(len(losses)), losses, *columns.values(), strict=True)
    return "\n".join([",".join(names), *(",".join(f"{x:.6g}" for x in row) for row in rows), ""])


@pytest.fixture
def log(tmp_path):
    """Write a run; give the path."""

    def write(name, **columns):
        path = tmp_path / f"{name}.csv"
        path.write_text(as_csv(RUNS[name], **columns))
        return path

    return write


def parse(text):
    """Read one JSON object, by the letter: NaN and Infinity are none of it."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


# -------------------------------------------------------------------------- diagnose


@pytest.mark.parametrize(
    ("name", "verdict", "status"),
    [
        ("healthy", "healthy", 0),
        ("flat", "inconclusive", 0),
        ("spiking", "spiking", 1),
        ("diverged", "diverged", 2),
        ("nan", "diverged", 2),
        ("short", "not_enough_data", 3),
    ],
)
def test_the_exit_status_is_the_verdict(call, log, name, verdict, status):
    path = log(name)
    done, out, err = call("diagnose", path, "--json")
    found = parse(out)
    assert (found["verdict"], done, err) == (verdict, status, "")
    assert found["exit_status"] == status
    assert found["file"] == str(path)
    assert found["columns"] == {"loss": "loss", "step": "step"}
    done, out, err = call("diagnose", path)
    assert (done, err) == (status, "")
    first = out.splitlines()[0]
    assert first == f"{path}: CSV: {len(RUNS[name]):,} losses; loss = 'loss', step = 'step'"
    assert found["advice"] in out


def test_what_the_steps_did_is_read(call, log):
    path = log("healthy", lr=np.full(N, 0.1), cos=-0.5 + NOISE)
    status, out, _ = call("diagnose", path, "--json", "--rule", "sgd")
    found = parse(out)
    assert (found["verdict"], status) == ("lr_too_low", 1)
    assert found["columns"] == {"loss": "loss", "lr": "lr", "step": "step", "cos": "cos"}


@pytest.mark.parametrize("text", ["step,loss\n", "loss\n2.5\n"])
def test_a_log_that_has_just_begun(call, tmp_path, text):
    path = tmp_path / "run.csv"
    path.write_text(text)
    status, out, err = call("diagnose", path)
    assert (status, err) == (3, "")
    assert "losses" in out


def test_it_speaks_chinese(call, log):
    _, out, _ = call("diagnose", log("diverged"), "--lang", "zh")
    assert re.search("[\N{CJK UNIFIED IDEOGRAPH-4E00}-\N{CJK UNIFIED IDEOGRAPH-9FA5}]{4}", out)


def test_the_standard_input(call, monkeypatch):
    raw = as_csv(RUNS["diverged"]).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    status, out, _ = call("diagnose", "-")
    assert status == 2
    assert out.startswith("standard input: CSV: 2,000 losses")


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["none.csv"], "none.csv: no such file"),
        (["."], ".: is a directory; give the file of a log"),
        (["run.csv", "--loss", "lss"], "run.csv: --loss: no column 'lss' (did you mean 'loss'?); the columns are 'step', 'loss', 'note'"),
        (["run.csv", "--loss", "note"], "run.csv: line 2: note must be a number, got 'a'"),
        (["other.csv"], "other.csv: no column is plainly the training loss; the columns are 'a', 'b'"),
        (["empty.csv"], "empty.csv: is empty"),
        (["run.csv", "--rule", "adamv"], "there is no optimizer 'adamv' (did you mean Adam?)"),
        (["run.csv", "--lang", "fr"], "argument --lang: invalid choice: 'fr'"),
        (["run.csv", "--bad"], "unrecognized arguments: --bad"),
        (["run.csv", "-o", "picture"], "-o picture: no picture can be written as that"),
        (["run.csv", "--html", "no/page.html"], "--html no/page.html: there is no directory no"),
        (["run.csv", "--html", "."], "--html .: is a directory"),
        ([], "the following arguments are required: FILE"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_met_is_64(call, tmp_path, monkeypatch, argv, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.csv").write_text("step,loss,note\n1,2,a\n2,1,b\n")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    status, out, err = call("diagnose", *argv)
    assert (status, out) == (64, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_watch_refuses_with_64_too(call, tmp_path, monkeypatch):
    monkeypatch.setattr(watch_command, "wait", interrupt)
    path = tmp_path / "run.csv"
    path.write_text("a,b\n1,2\n")
    for argv in (
        [path],
        [path, "--bad"],
        [path, "--every", "0"],
        [tmp_path],
        [path, "--rule", "x"],
    ):
        status, out, err = call("watch", *argv)
        assert (status, out) == (64, "")
        assert err


def test_a_million_lines_are_diagnosed_in_two_seconds(call, tmp_path):
    n = 1_000_000
    path = tmp_path / "run.csv"
    losses = 2 * np.exp(-np.arange(n) / 1e5) + 0.5 + 0.05 * np.tile(NOISE, n // N)
    path.write_text("".join(["step,loss\n", *(f"{i},{x:.6g}\n" for i, x in enumerate(losses))]))
    start = time.process_time()
    status, out, _ = call("diagnose", path)
    assert time.process_time() - start < 2
    assert status in (0, 1)
    assert "1,000,000 losses" in out


def test_the_picture_of_a_diagnosis(call, log, tmp_path):
    pytest.importorskip("matplotlib")
    target = tmp_path / "run.png"
    status, _, err = call("diagnose", log("diverged"), "-o", target)
    assert (status, err) == (2, "")
    assert target.read_bytes().startswith(b"\x89PNG")


def test_text_needs_numpy_alone_and_the_picture_says_what_it_needs(call, log, without, tmp_path):
    for module in ("matplotlib", "rich", "pandas", "sklearn"):
        without(module)
    assert call("diagnose", log("healthy"))[0] == 0
    status, out, err = call("diagnose", log("healthy"), "-o", tmp_path / "x.png")
    assert (status, out) == (64, "")
    assert err == (
        'lrcore diagnose: needs the demo extra (matplotlib is missing): pip install "lrcore[demo]"\n'
    )


# ----------------------------------------------------------------------------- watch


def interrupt(seconds):
    """Ctrl-C while waiting."""
    raise KeyboardInterrupt


def append(path, text):
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def then(monkeypatch):
    """What happens, wait after wait, while a file is watched; Ctrl-C after the last."""

    def script(*actions):
        rest = list(actions)

        def wait(seconds):
            if not rest:
                raise KeyboardInterrupt
            rest.pop(0)()

        monkeypatch.setattr(watch_command, "wait", wait)

    return script


def test_a_run_is_watched_from_before_it_is_there(call, tmp_path, then):
    path = tmp_path / "run.csv"
    lines = as_csv(RUNS["diverged"]).splitlines(keepends=True)

    def grow(start, stop):
        return lambda: append(path, "".join(lines[start:stop]))

    then(grow(0, 50), grow(50, 1201), lambda: None, grow(1201, 2001))
    status, out, err = call("watch", path)
    assert status == 2
    assert f"waiting for {path}" in err
    states = re.findall(r"^[\d:]{8}  update ([\d,]+)  loss \S+  (\w+) \(\d+% sure\)$", out, re.M)
    assert states == [("48", "not_enough_data"), ("1,199", "healthy"), ("1,999", "diverged")]
    assert f"{path}: CSV: 2,000 losses" in out
    assert out.count("\n") > 5


def test_it_ends_by_itself(call, log, tmp_path, then):
    nothing = [lambda: None] * 1000
    then(*nothing)
    assert call("watch", log("diverged"), "--until-diverged")[0] == 2
    then(*nothing)
    assert call("watch", log("healthy"), "--until-idle", "0.001")[0] == 0
    then(*nothing)
    status, out, _ = call("watch", tmp_path / "none.csv", "--until-idle", "0.001")
    assert status == 3
    assert "nothing to report" in out


def test_a_line_that_is_half_written_waits(tmp_path):
    path = tmp_path / "run.csv"
    file = Followed(str(path))
    assert not file.look()
    path.write_text("step,loss\n1,2.5\n2,1.")
    assert file.look()
    assert file.text == "step,loss\n1,2.5\n"
    assert not file.look()
    path.write_text("step,loss\n1,2.5\n2,1.5\n")
    assert file.look()
    assert file.text == "step,loss\n1,2.5\n2,1.5\n"


def test_a_file_that_is_cut_or_replaced(tmp_path):
    path = tmp_path / "run.csv"
    file = Followed(str(path))
    path.write_text("step,loss\n1,2\n2,3\n")
    assert file.look()
    path.write_text("step,loss\n1,9\n")
    assert file.look()
    assert file.text == "step,loss\n1,9\n"
    assert file.events == [f"{path} was cut or replaced; starting over"]
    file.events.clear()
    path.rename(tmp_path / "run.csv.1")
    path.write_text("2,8\n3,7\n")
    assert file.look()
    assert file.text == "step,loss\n1,9\n2,8\n3,7\n"
    assert file.events == [f"{path} was rotated; the run goes on"]
    path.unlink()
    assert not file.look()
    assert file.text.endswith("3,7\n")


def test_trouble_with_a_line_is_told_once_and_passes(call, tmp_path, then):
    path = tmp_path / "run.csv"
    path.write_text("step,loss\n1,oops\n")
    then(lambda: append(path, "2,1\n"), lambda: path.write_text(as_csv(RUNS["short"])))
    status, out, err = call("watch", path)
    assert status == 3
    assert err.count("line 2: loss must be a number, got 'oops'") == 1
    assert "40 losses" in out


def test_watch_follows_no_pipe(call):
    status, _, err = call("watch", "-")
    assert status == 64
    assert "follows a file, not the standard input" in err


def test_ctrl_c_ends_a_watch_with_the_report(log):
    process = subprocess.Popen(
        [sys.executable, "-m", "lrcore", "watch", str(log("healthy")), "--every", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert b"healthy" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"2,000 losses" in out
    assert b"Traceback" not in err


# ------------------------------------------------------------------- sweep and compare

linear = pytest.importorskip("threadpoolctl") and ("linear", "--epochs", "200")


def test_a_sweep_says_which_rate(call):
    status, out, err = call("sweep", *linear, "--lrs", "0.001,0.03,1,30", "--seeds", "2")
    assert (status, err) == (0, "")
    assert "SGD: 4 rates x 2 seeds, loss on the training data after 200 epochs" in out
    assert re.search(r"^ +30 +- +- +2 of 2 diverged$", out, re.M)
    assert "Use lr =" in out
    status, out, _ = call("sweep", *linear, "--lrs", "0.001,0.03,1,30", "--seeds", "2", "--json")
    found = parse(out)
    assert status == 0
    assert found["lrs"] == [0.001, 0.03, 1, 30]
    assert found["seeds"] == [0, 1]
    assert found["best"] in (0.03, 1)
    assert found["score"] == "train_loss"
    assert found["means"][3] is None


def test_processes_give_the_same_sweep(call):
    argv = ("sweep", *linear, "--from", "0.01", "--to", "1", "--per-decade", "1", "--json")
    alone, together = (parse(call(*argv, *more)[1]) for more in ((), ("--jobs", "2")))
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


def test_the_grid_is_round_the_usual_rate(call):
    found = parse(call("sweep", *linear, "--seeds", "1", "--json")[1])
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
    found = parse(out)
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


# ---------------------------------------------------------------------------- find, train


def test_find_says_rate_range_and_reason(call):
    status, out, err = call("find", "linear", "--steps", "40")
    assert (status, err) == (0, "")
    rate = re.search(r"^learning rate (\S+) \(from (\S+) to (\S+)\)$", out, re.M)
    low, high = float(rate[2]), float(rate[3])
    assert 0.01 < low < float(rate[1]) < high < 100
    assert re.search(r"^valley +\d", out, re.M)
    status, out, _ = call("find", "linear", "--steps", "40", "--json")
    found = parse(out)
    assert found["optimizer"] == "SGD"
    assert f"{found['suggested']:.2g}" == rate[1]
    assert call("find", "linear", "--steps", "40", "--json")[1] == out


def test_a_rate_that_is_not_to_be_trusted_is_status_1(call):
    status, out, _ = call("find", "linear", "--start", "1e-9", "--end", "1e-8", "--steps", "20")
    assert status == 1
    assert "not to be trusted" in out or "no learning rate" in out


def test_the_rate_is_found_before_the_training(call):
    short = ("train", "linear", "--epochs", "300", "--lr", "auto")
    status, out, err = call(*short)
    assert (status, err) == (0, "")
    rate = re.match(r"rate found: (\S+) \(from \S+ to \S+\)\n", out)
    assert f"Cosine(lr={float(rate[1])}, " in out
    status, out, err = call(*short, "--json")
    result = parse(out)
    assert err.startswith("rate found: ")
    assert result["lr"] == float(rate[1])
    assert result["find"]["reliable"] is True
    assert result["lr"] == pytest.approx(result["find"]["suggested"], rel=0.01)


def test_without_a_rate_to_trust_the_usual_one_is_taken(call, monkeypatch):
    from lrcore.cli import _finding

    unsure = SimpleNamespace(
        reliable=False,
        reasons=("the loss is noise", "how it came about"),
        interval=(1, 2),
        to_dict=dict,
    )
    monkeypatch.setattr(_finding, "find", lambda job, command, **options: unsure)
    status, out, _ = call("train", "linear", "--epochs", "200", "--lr", "auto")
    assert status == 0
    assert out.startswith("no rate found (the loss is noise): 0.3 is taken\n")
    assert "Cosine(lr=0.3, " in out


def test_a_training_ends_with_a_verdict(call):
    argv = ("train", "linear", "--epochs", "1000", "--lr", "1e-5")
    status, out, _ = call(*argv, "--json")
    found = parse(out)["diagnosis"]
    assert (found["verdict"], status) == ("lr_too_low", 0)
    assert found["steps"] == 1000
    lines = call(*argv)[1].splitlines()
    assert lines[-2].startswith("Verdict: ")
    assert lines[-1] == f"Next: {found['advice']}"
    whole = call(*argv, "--diagnose")[1]
    assert all(one["text"] in whole for one in found["findings"])
    assert len(whole.splitlines()) > len(lines)


def test_a_training_writes_a_log_that_is_judged_alike(call, tmp_path):
    from lrcore.instruments import logs

    path = tmp_path / "run.csv"
    status, out, _ = call("train", "digits", "--epochs", "3", "--log", path, "--json")
    result = parse(out)
    log = logs.read(path)
    assert status == 0
    assert len(log.losses) == result["updates"] == 339
    assert set(log.stats) == {"cos", "grad_norm"}
    assert np.isnan(log.stats["cos"][0])
    held_out = log.val_losses[np.isfinite(log.val_losses)].tolist()
    assert held_out == [row["test_loss"] for row in result["history"][1:]]
    assert np.flatnonzero(np.isfinite(log.val_losses)).tolist() == [112, 225, 338]
    assert log.diagnose(rule="AdamW").verdict == result["diagnosis"]["verdict"]


@pytest.mark.parametrize("option", ["--log", "--html"])
def test_a_file_that_cannot_be_written_is_refused(call, tmp_path, option):
    status, out, err = call("train", "linear", "--epochs", "9", option, tmp_path / "no" / "x")
    assert status == 2
    assert f"{option} {tmp_path / 'no' / 'x'}: " in err
    assert err.count("\n") == 1
    assert "Verdict" not in out


@pytest.mark.parametrize("command", ["train", "diagnose"])
def test_the_page_of_a_run(call, log, tmp_path, command):
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    argv = (
        ["diagnose", log("diverged")]
        if command == "diagnose"
        else ["train", "linear", "--lr", "auto"]
    )
    more = ["--epochs", "300"] if command == "train" else []
    status, _, _ = call(*argv, *more, "--html", page)
    assert status == (2 if command == "diagnose" else 0)
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert "</html>" in text
    assert ("diverged" if command == "diagnose" else "least squares") in text


def test_the_picture_of_a_find(call, tmp_path):
    pytest.importorskip("matplotlib")
    target = tmp_path / "find.png"
    assert call("find", "linear", "--steps", "20", "-o", target)[0] in (0, 1)
    assert target.read_bytes().startswith(b"\x89PNG")


def test_a_terminal_shows_the_curve(log):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lrcore", "watch", str(log("diverged")), "--until-diverged"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, b"")
    text = seen.decode()
    assert watch_command.BLOCKS[0] * 5 in text
    assert watch_command.BLOCKS[-1] in text
    assert "2,000 losses" in text


def test_a_training_can_end_when_it_has_diverged(call):
    argv = ("train", "linear", "--epochs", "4000", "--lr", "1.2", "--schedule", "constant")
    status, out, err = call(*argv, "--until-diverged", "--json")
    result = parse(out)
    assert status == 1
    assert result["stopped"] == "diverged"
    assert result["updates"] < 1000
    assert err.startswith(f"lrcore train: diverged: ended after update {result['updates']}, where")
    assert len(parse(call(*argv, "--json")[1])["history"]) > 4000 / 4


def test_a_loss_that_explodes_without_end_has_diverged():
    for n in (60, 200, 590):
        found = lrcore.diagnose(28 * np.exp(1.17 * np.arange(n)))
        assert found.verdict == "diverged"


# ------------------------------------------------------------------------------ the page

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def commands():
    spec = importlib.util.spec_from_file_location("commands", ROOT / "docs" / "commands.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_of_the_page_can_be_asked_for(commands):
    found = [command for command in commands.commands(PAGE) if command != commands.STATUS]
    assert {command.split()[1] for command in found} >= {
        "find", "train", "diagnose", "watch", "sweep", "compare",
    }  # fmt: skip
    for command in found:
        cli._parser().parse_args(shlex.split(command)[1:])


def test_the_page_is_filled_and_compared_by_its_words(commands):
    page = "a\n```console\n$ lrcore diagnose none.csv\nold\n$ echo $?\n```\nb\n"
    filled = commands.filled(page)
    assert filled == (
        "a\n```console\n$ lrcore diagnose none.csv\nlrcore diagnose: none.csv: no such file\n"
        "$ echo $?\n64\n```\nb\n"
    )
    assert commands.shape("loss  0.5 (93%)\n") == commands.shape("loss 1.25e-3 (7%)\n")
    assert commands.shape("a 1\n") != commands.shape("b 1\n")


@pytest.mark.slow
def test_the_page_says_what_its_commands_print(commands):
    assert commands.main(["--check"]) == 0


def test_the_statuses_of_the_page_are_those_of_the_command():
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.M))
    said = {name: int(n) for n, row in table.items() for name in re.findall(r"`(\w+)`", row)}
    assert said == {name: STATUS.get(name, WARNING) for name in VERDICTS}


def test_the_examples_of_the_page():
    result = doctest.testfile(str(ROOT / "docs" / "command-line.md"), module_relative=False)
    assert (result.failed, result.attempted) == (0, 4)


def test_what_cannot_be_followed_does_not_keep_a_watch_waiting(call, tmp_path, monkeypatch):
    """Trouble that stays the same is nothing new."""
    monkeypatch.chdir(tmp_path)
    status, out, err = call("watch", ".")
    assert (status, out) == (64, "")
    assert err == "lrcore watch: .: is a directory; give the file of a log\n"

    def broken(self):
        raise LogError("run.csv: cannot be read (Permission denied)")

    monkeypatch.setattr(Followed, "look", broken)
    status, _, err = call("watch", "run.csv", "--every", "0.01", "--until-idle", "0.05")
    assert status == 64
    assert err.count("nothing to report") == 1
    assert err.count("cannot be read") == 2
