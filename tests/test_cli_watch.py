"""`lrcore watch`: a file that grows, is cut, is replaced or is not there."""

import os
import re
import signal
import subprocess
import sys

import pytest
from log_files import RUNS, as_csv
from support import read_terminal

from lrcore.cli import watch as watch_command
from lrcore.cli._follow import Followed
from lrcore.instruments import LogError


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


def test_a_terminal_shows_the_curve(log):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lrcore", "watch", str(log("diverged")), "--until-diverged"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
    )
    seen = read_terminal(ours, theirs)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, b"")
    text = seen.decode()
    assert watch_command.BLOCKS[0] * 5 in text
    assert watch_command.BLOCKS[-1] in text
    assert "2,000 losses" in text


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
