"""`lrcore diagnose`: its statuses, words and pictures."""

import io
import os
import re
import shlex
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from log_files import NOISE, RUNS, N, as_csv
from support import read_json

import lrcore


def in_a_shell(command, **env):
    """Status, stdout and stderr of a command of bash; `lrcore` is this one."""
    lrcore_ = f'lrcore() {{ {shlex.quote(sys.executable)} -m lrcore "$@"; }}; '
    done = subprocess.run(
        ["bash", "-c", lrcore_ + command],
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, **env},
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode()


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
    found = read_json(out)
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
    found = read_json(out)
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


def test_a_loss_that_explodes_without_end_has_diverged():
    for n in (60, 200, 590):
        found = lrcore.diagnose(28 * np.exp(1.17 * np.arange(n)))
        assert found.verdict == "diverged"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="of Linux")
@pytest.mark.parametrize("command", ["diagnose", "find"])
def test_a_full_disk_is_no_verdict(log, command):
    what = log("healthy") if command == "diagnose" else "linear"
    status, _, err = in_a_shell(f"lrcore {command} {shlex.quote(str(what))} > /dev/full")
    assert status == {"diagnose": 64, "find": 2}[command]
    assert err == f"lrcore {command}: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="no bash")
def test_streams_that_are_closed(log):
    path = shlex.quote(str(log("nan")))
    assert in_a_shell(f"lrcore diagnose {path} >&-") == (2, "", "")
    refused = "lrcore diagnose: standard input: is closed\n"
    assert in_a_shell("lrcore diagnose - <&-") == (64, "", refused)


@pytest.mark.skipif(os.name == "nt", reason="no bash")
def test_an_encoding_without_chinese(log):
    path = shlex.quote(str(log("nan")))
    command = f"lrcore diagnose --lang zh {path}"
    status, out, err = in_a_shell(command, PYTHONIOENCODING="ascii")
    assert (status, err) == (2, "")
    assert "\\u7ed3\\u8bba" in out  # the word for verdict
