"""`lrcore find`, and what the instruments add to `lrcore train`."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from support import read_json

pytest.importorskip("threadpoolctl")


def test_find_says_rate_range_and_reason(call):
    status, out, err = call("find", "linear", "--steps", "40")
    assert (status, err) == (0, "")
    rate = re.search(r"^learning rate (\S+) \(from (\S+) to (\S+)\)$", out, re.M)
    low, high = float(rate[2]), float(rate[3])
    assert 0.01 < low < float(rate[1]) < high < 100
    assert re.search(r"^valley +\d", out, re.M)
    status, out, _ = call("find", "linear", "--steps", "40", "--json")
    found = read_json(out)
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
    result = read_json(out)
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
    found = read_json(out)["diagnosis"]
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
    result = read_json(out)
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


def test_a_training_can_end_when_it_has_diverged(call):
    argv = ("train", "linear", "--epochs", "4000", "--lr", "1.2", "--schedule", "constant")
    status, out, err = call(*argv, "--until-diverged", "--json")
    result = read_json(out)
    assert status == 1
    assert result["stopped"] == "diverged"
    assert result["updates"] < 1000
    assert err.startswith(f"lrcore train: diverged: ended after update {result['updates']}, where")
    assert len(read_json(call(*argv, "--json")[1])["history"]) > 4000 / 4
