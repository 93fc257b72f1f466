"""The command line as a person and as a program meets it."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from support import read_json, read_terminal

import lrcore
from lrcore import tasks
from lrcore.cli import _choices, _jobs, _report
from lrcore.tasks import digits, linear
from lrcore.tasks._network import Network

for module in ("rich", "sklearn", "pandas", "matplotlib"):
    pytest.importorskip(module)

RULES = list(_choices.optimizer_classes())
SLOW = {"Shampoo": pytest.mark.slow}  # two eigendecompositions an update
#: Those with rates of their own; the others, which differ in nothing but their rule, when all is run.
FEW = [
    pytest.param(rule, marks=() if rule in _choices.RATES else pytest.mark.slow) for rule in RULES
]
SCHEDULES = list(_choices.schedule_classes())
SHORT = ("--epochs", "2")


@pytest.fixture
def train(call):
    """Run ``lrcore train ... --json``; give the object it prints."""

    def run(*argv):
        status, out, err = call("train", *argv, "--json")
        assert (status, err) == (0, "")
        return read_json(out)

    return run


@pytest.fixture
def flowers(tmp_path):
    """A real table: measurements of irises, and a column of text."""
    from sklearn.datasets import load_iris

    data = load_iris()
    lines = ["sepal length,sepal width,petal length,petal width,garden,species"]
    for i, (x, y) in enumerate(zip(data.data, data.target, strict=True)):
        lines.append(",".join([*map(str, x), "ab"[i % 2], str(data.target_names[y])]))
    path = tmp_path / "iris.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def in_a_process(*argv, **options):
    return subprocess.run(
        [sys.executable, "-m", "lrcore", *map(str, argv)],
        capture_output=True,
        timeout=120,
        check=False,
        **options,
    )


# ------------------------------------------------------------------- digits


@pytest.mark.parametrize("seed", range(4))
def test_digits_are_read(train, seed):
    result = train("--seed", seed)
    assert result["optimizer"] == "AdamW"
    assert result["schedule"].startswith("Cosine(")
    assert result["rows"] == {"train": 7185, "test": 360}
    assert result["final"]["test_accuracy"] >= 0.97
    assert result["final"]["train_accuracy"] >= 0.99
    assert result["updates"] == 2260
    assert result["stopped"] is None
    assert len(result["history"]) == 21
    assert result["step_seconds"] > 0
    assert result["rest_seconds"] > 0


@pytest.mark.parametrize("rule", RULES)
def test_lr_is_the_rate_of_every_rule(rule):
    cls = _choices.find_optimizer(rule)
    opt = _choices.make_optimizer(cls, {"w": np.ones(2)}, 0.25)
    assert opt.lr == 0.25
    assert _choices.default_lr(cls, digits.load()) >= 1e-4


@pytest.mark.parametrize("rule", [pytest.param(r, marks=SLOW.get(r, ())) for r in RULES])
def test_every_rule_reads_digits_at_its_default_rate(train, rule):
    whole = ("--batch-size", "1437", "--epochs", "200")  # the signs of Rprop are for the whole data
    result = train("digits", "--optimizer", rule.upper(), *(whole if rule == "Rprop" else ()))
    assert result["optimizer"] == rule
    assert result["final"]["test_accuracy"] >= 0.95


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_warms_up_and_learns(train, schedule):
    result = train("digits", "--schedule", schedule, "--warmup", "20", "--epochs", "10")
    assert result["final"]["test_accuracy"] >= 0.9


@pytest.mark.parametrize("rule", FEW)
def test_c_and_numpy_train_to_the_same_bits(train, rule):
    decays = "weight_decay" in inspect.signature(getattr(lrcore, rule)).parameters
    decay = ("--weight-decay", "0.02") if decays else ()
    common = ("--optimizer", rule, "--clip-norm", "0.5", *decay, *SHORT)
    c, numpy = (train("digits", *common, "--backend", backend) for backend in ("c", "numpy"))
    assert (c["backend"], numpy["backend"]) == ("c", "numpy")
    assert c["parameters_sha256"] == numpy["parameters_sha256"]
    assert c["history"] == numpy["history"]


def test_the_whole_default_job_is_the_same_bits_in_c_and_numpy(train):
    c, numpy = (train("--backend", backend) for backend in ("c", "numpy"))
    assert c["parameters_sha256"] == numpy["parameters_sha256"]


def test_a_seed_is_a_result(train):
    first, again, other = (train(*SHORT, "--seed", seed) for seed in (3, 3, 4))
    assert first["parameters_sha256"] == again["parameters_sha256"]
    assert first["history"] == again["history"]
    assert first["parameters_sha256"] != other["parameters_sha256"]


def test_every_option_reaches_the_run(train):
    plain = train(*SHORT)["parameters_sha256"]
    options = [
        ("--lr", "0.02"),
        ("--schedule", "linear"),
        ("--warmup", "0"),
        ("--weight-decay", "0.5"),
        ("--batch-size", "32"),
        ("--clip-norm", "0.1"),
        ("--hidden", "16"),
        ("--optimizer", "sgd"),
    ]
    seen = {plain, *(train(*SHORT, *option)["parameters_sha256"] for option in options)}
    assert len(seen) == len(options) + 1


def test_weight_decay_is_that_of_the_rule_but_for_the_line(train):
    plain, same, none = (
        train(*SHORT, "--optimizer", "adamw", *more)["parameters_sha256"]
        for more in ((), ("--weight-decay", "0.01"), ("--weight-decay", "0"))
    )
    assert plain == same != none
    assert train("linear", "--optimizer", "adamw", *SHORT)["weight_decay"] == 0


def test_the_fingerprint_is_of_every_bit():
    params = {"a": np.zeros(3), "b": np.zeros(2)}
    plain = _report.fingerprint(params)
    assert plain == _report.fingerprint(dict(reversed(params.items())))
    params["b"][1] = -0.0
    assert plain != _report.fingerprint(params)


# ------------------------------------------------------------------- linear


def test_linear_ends_at_the_least_squares_answer(train, call):
    result = train("linear")
    assert result["reached"] is True
    assert result["final"]["train_distance"] < 1e-9
    np.testing.assert_allclose(result["t"], result["least_squares"], atol=1e-9)
    _, out, _ = call("train", "linear")
    assert "least squares" in out
    assert re.search(r"distance +\S+e-1\d +reached", out)


@pytest.mark.parametrize("rule", linear.RATES)
def test_every_rule_with_a_rate_of_its_own_reaches_least_squares(train, rule):
    assert train("linear", "--optimizer", rule)["final"]["train_distance"] < 1e-5


def test_linear_says_so_when_it_is_not_there(train, call):
    result = train("linear", "--lr", "1e-4")
    assert result["reached"] is False
    assert result["final"]["train_distance"] > 0.1
    status, out, _ = call("train", "linear", "--lr", "1e-4")
    assert status == 0
    assert "not reached; change --lr, or give more --epochs" in out


# ------------------------------------------------------------------- tables


def test_a_table_of_flowers(train, call, flowers):
    result = train(flowers, "--target", "species")
    assert result["kind"] == "classification"
    assert result["final"]["test_accuracy"] >= 0.9
    status, out, err = call("train", flowers, "--target", "species")
    assert (status, err) == (0, "")
    assert "120 rows to learn from, 30 held out" in out
    assert "classification: species is text with 3 different values" in out
    assert "text as one column a category: garden (2)" in out


@pytest.mark.parametrize("rule", FEW)
def test_every_rule_learns_a_table_of_much_the_same_columns(train, tmp_path, rule):
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True).data
    data.to_csv(tmp_path / "cells.csv", index=False)
    result = train(tmp_path / "cells.csv", "--target", "mean radius", "--optimizer", rule)
    assert result["final"]["test_r2"] > 0.95


def test_a_table_of_numbers(train, call, flowers):
    result = train(flowers, "--target", "petal width")
    assert result["kind"] == "regression"
    assert result["final"]["test_r2"] > 0.85
    assert result["final"]["test_rmse"] < 0.35
    _, out, _ = call("train", flowers, "--target", "petal width")
    assert "RMSE" in out
    assert "R\N{SUPERSCRIPT TWO}" in out


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--optimizer", "adamq"], "there is no optimizer 'adamq' (did you mean Adam"),
        (["--schedule", "cosin"], "there is no schedule 'cosin' (did you mean cosine?); choose"),
        (["--optimizer", "xyz"], f"no optimizer 'xyz'; choose one of {', '.join(RULES)}"),
        (["--lr", "-1"], "lr"),
        (["--lr", "nan"], "lr"),
        (
            ["--lr", "fast"],
            "argument --lr: must be a number or auto, got 'fast'; see lrcore train --help",
        ),
        (["--epochs", "0"], "argument --epochs: must be an integer from 1, got '0'"),
        (["--batch-size", "many"], "--batch-size: must be an integer from 1, got 'many'"),
        (["--epochs", "\N{SUPERSCRIPT TWO}"], "--epochs: must be an integer from 1, got '\xb2'"),
        (["--epochs", "++3"], "argument --epochs: must be an integer from 1, got '++3'"),
        (["--epochs", "1" * 5000], "argument --epochs: must be an integer from 1, got '111"),
        (["--seed", "4294967296"], "--seed: must be an integer from 0 to 4294967295, got '4294"),
        (["--seed", "-1"], "--seed: must be an integer from 0 to 4294967295, got '-1'"),
        (["--hidden", "1" + 21 * "0"], "0 does not fit in memory: it takes "),
        (["--warmup", "some"], "--warmup must be a number of updates or a share such as 5%"),
        (["--warmup", "2260"], "--warmup must be in [0, 2260), the updates of this run, got 2260"),
        (["--warmup", "-5%"], "--warmup"),
        (["--clip-norm", "-1"], "clip_norm"),
        (["--backend", "gpu"], "argument --backend: invalid choice: 'gpu'"),
        (["--target", "x"], "--target and --kind go with a CSV file, not with digits"),
        (["linear", "--hidden", "3"], "--hidden does not go with linear"),
        (
            ["digit"],
            f"digit: no such task or file; choose {', '.join(tasks.names())} or a CSV file",
        ),
        (["none.csv", "--target", "x"], "none.csv: no such file"),
        (["-o", "report"], "-o report: no picture can be written as that; end the name in .png"),
        (["-o", "no/where.png"], "-o no/where.png: there is no directory no"),
        (["--speed"], "unrecognized arguments: --speed"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_a_refusal_is_one_sentence(call, tmp_path, monkeypatch, argv, sentence):
    monkeypatch.chdir(tmp_path)
    status, out, err = call("train", *argv)
    assert status == 2
    assert out == ""
    assert err.startswith("lrcore")
    assert sentence in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_table_that_cannot_be_used(call, flowers):
    status, out, err = call("train", flowers, "--target", "specis")
    assert (status, out) == (2, "")
    assert err == f"lrcore train: {flowers}: no column 'specis'; did you mean 'species'?\n"
    assert "--target NAME" in call("train", flowers)[2]
    assert "is a directory" in call("train", flowers.parent, "--target", "x")[2]


@pytest.mark.parametrize("column", ["z", "y"])
def test_a_number_too_large_for_a_double_is_named(call, tmp_path, column):
    path = tmp_path / "big.csv"
    lines = [[str(i), str(i * 3 % 7), f"{i}"] for i in range(40)]
    lines[2][2] = ""  # a row that is left out counts as well
    lines[5]["xzy".index(column)] = str(10**400)
    path.write_text("\n".join(map(",".join, [list("xzy"), *lines])) + "\n")
    status, out, err = call("train", path, "--target", "y")
    assert (status, out) == (2, "")
    assert err == (
        f"lrcore train: {path}: {column!r} has a number too large for float64, the first in "
        "row 6; mend it, or leave the field empty\n"
    )


def test_a_network_larger_than_the_machine_is_refused_before_it_is_made(call, monkeypatch):
    def init(self, rng):
        raise AssertionError("it was made")

    monkeypatch.setattr(Network, "init", init)
    monkeypatch.setattr(_jobs, "_physical_bytes", lambda: 16_000_000_000)
    status, out, err = call("train", "--hidden", "100000000")
    assert (status, out) == (2, "")
    assert err == (
        "lrcore train: --hidden 100000000 does not fit in memory: it takes 5,808 GB or more, "
        "and there are 16; give fewer hidden units\n"
    )


@pytest.mark.parametrize("method", ["init", "scores", "loss_and_grads"])
def test_memory_that_runs_out_is_a_sentence(call, monkeypatch, method):
    def fail(*args):
        raise MemoryError

    monkeypatch.setattr(Network, method, fail)
    status, _, err = call("train")
    assert status == 2
    assert err == (
        "lrcore train: does not fit in memory; give fewer hidden units with --hidden, or fewer "
        "rows\n"
    )


def test_the_largest_seed_is_one(train):
    assert train(*SHORT, "--seed", 2**32 - 1)["seed"] == 2**32 - 1


def test_no_command_and_help(call):
    status, _, err = call()
    assert status == 2
    assert "COMMAND" in err
    assert err.count("\n") == 1
    status, out, _ = call("train", "--help")
    unwrapped = re.sub(r"\s", "", out)
    assert status == 0
    assert all(name in unwrapped for name in (*RULES, *SCHEDULES))
    status, out, _ = call("--version")
    assert (status, out) == (0, f"lrcore {lrcore.__version__}\n")


@pytest.mark.parametrize("module", ["rich", "sklearn", "matplotlib", "pandas"])
def test_a_missing_extra_is_named(call, monkeypatch, tmp_path, flowers, module):
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    argv = [flowers, "--target", "species"] if module == "pandas" else ["digits"]
    status, out, err = call("train", *argv, "-o", tmp_path / "x.png")
    assert status == 2
    assert out == ""
    assert err == (
        f'lrcore train: needs the demo extra ({module} is missing): pip install "lrcore[demo]"\n'
    )


def test_divergence_is_named(call):
    status, out, err = call("train", "linear", "--lr", "1e200")
    assert status == 1
    assert re.fullmatch(
        r"lrcore train: diverged: the gradient of update \d+ is not finite; "
        r"lower --lr \(now 1e\+200\)\n",
        err,
    )
    slow = ("--lr", "1.2", "--schedule", "constant", "--epochs", "100")
    status, out, err = call("train", "linear", *slow, "--json")
    assert status == 1
    assert "diverged: the loss went from" in err
    assert read_json(out)["final"]["train_loss"] > 100
    status, out, _ = call("train", "linear", "--lr", "1e200", "--json")
    assert status == 1
    assert read_json(out)["stopped"] == "diverged"


# ------------------------------------------------------------ output and signals


def test_the_picture(call, tmp_path):
    for name, magic in (("r.png", b"\x89PNG"), ("r.svg", b"<?xml"), ("r.pdf", b"%PDF")):
        status, _, err = call("train", "linear", "--epochs", "50", "-o", tmp_path / name)
        assert (status, err) == (0, "")
        assert (tmp_path / name).read_bytes().startswith(magic)
    from matplotlib.image import imread

    picture = imread(tmp_path / "r.png")
    assert picture.shape[0] > 500
    assert picture.shape[1] > 900
    assert picture.std() > 0.05


def test_piped_output_is_plain(flowers):
    done = in_a_process("train", *SHORT, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0
    assert done.stderr == b""
    text = done.stdout.decode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert "accuracy" in text
    assert "time in the step" in text
    assert "epoch 1/2" not in text


def on_a_terminal(stream, *argv):
    """Run with `stream` on a terminal; give what came through the terminal, and the rest."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: theirs}
    process = subprocess.Popen(
        [sys.executable, "-m", "lrcore", *argv], env={**os.environ, "TERM": "xterm"}, **pipes
    )
    seen = read_terminal(ours, theirs)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    return seen.decode(), (out or err or b"").decode()


def test_a_terminal_shows_progress():
    seen, rest = on_a_terminal("stdout", "train", *SHORT)
    assert re.search(r"epoch 2/2.*loss.*lr.*samples/s", seen)
    assert "accuracy" in seen
    assert rest == ""


def test_json_leaves_stdout_alone_on_a_terminal():
    seen, rest = on_a_terminal("stderr", "train", *SHORT, "--json")
    assert "epoch 2/2" in seen
    assert read_json(rest)["updates"] == 226


def test_ctrl_c_stops_and_reports():
    process = subprocess.Popen(
        [sys.executable, "-m", "lrcore", "train", "--epochs", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()  # the announcement; training starts
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"accuracy" in out
    assert b"time in the step" in out
    assert err == b"lrcore train: interrupted\n"


def test_a_reader_that_leaves_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "lrcore", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 0
    process.stderr.close()


# ------------------------------------------------------- info, verify, bench


def test_info(call):
    status, out, _ = call("info", "--json")
    facts = read_json(out)
    assert status == 0
    assert facts["lrcore"] == lrcore.__version__
    assert facts["numpy"] == np.__version__
    assert facts["instruction_sets"] == list(lrcore.isas())
    assert facts["instruction_set_in_use"] == lrcore.get_isa()
    assert facts["threads"] == lrcore.get_num_threads()
    _, out, _ = call("info")
    assert lrcore.__version__ in out
    assert facts["compiler"] in out


@pytest.mark.parametrize("without", [(), ("rich",)], ids=["rich", "plain"])
def test_info_and_verify_need_no_extra(call, monkeypatch, without):
    for name in [n for n in sys.modules if n.partition(".")[0] in without] + list(without):
        monkeypatch.setitem(sys.modules, name, None)
    assert call("info")[0] == 0
    assert call("verify", "--quick")[0] == 0


def test_verify_agrees_on_this_machine(call):
    status, out, _ = call("verify", "--quick", "--json")
    result = read_json(out)
    assert status == 0
    assert result["ok"] is True
    assert {row["isa"] for row in result["results"]} == set(lrcore.isas())
    assert {row["rule"] for row in result["results"]} == {rule.lower() for rule in RULES}
    assert all(row["n"] > 0 for row in result["results"])


def test_verify_finds_a_difference(call, monkeypatch):
    from lrcore import _verify

    row = {"rule": "sgd", "dtype": "float32", "isa": "avx2", "threads": 1, "n": 300, "ok": True}
    results = [row | {"detail": ""}, row | {"threads": 2, "ok": False, "detail": "p[2] differs"}]
    monkeypatch.setattr(_verify, "run", lambda progress, quick: results)
    status, out, _ = call("verify")
    assert status == 1
    assert re.search(r"^sgd +float32 +DIFFERENT$", out, re.MULTILINE)
    assert "avx2, 2 threads: p[2] differs" in out
    assert "1 of 2 comparisons with the reference found a difference" in out
    status, out, _ = call("verify", "--json")
    assert status == 1
    assert read_json(out)["ok"] is False


def test_bench_prints_rows(call, monkeypatch):
    row = {
        "case": "AdamW",
        "n": 100_000,
        "dtype": "float32",
        "ours_ns": 28_000.0,
        "rival": "torch fused",
        "rival_ns": 59_000.0,
        "ratio": 2.107,
        "ratio_low": 1.9,
        "ratio_high": 2.2,
        "target": 1.8,
        "threads": 2,
        "isa": "avx512",
    }
    fake = type(sys)("lrcore._bench")
    rows = [row, row | {"target": None, "ours_ns": 900.0}]
    fake.run = lambda **options: SimpleNamespace(rows=rows, left_out=["optax"])
    monkeypatch.setitem(sys.modules, "lrcore._bench", fake)
    monkeypatch.setattr(lrcore, "_bench", fake, raising=False)
    status, out, _ = call("bench")
    assert status == 0
    assert re.search(
        r"AdamW +100,000 +float32 +28 us +torch fused +59 us +2.11 +1.90-2.20 +1.80", out
    )
    assert re.search(r"900 ns", out)
    assert "left out: optax" in out
    status, out, _ = call("bench", "--json")
    assert status == 0
    assert read_json(out)["left_out"] == ["optax"]
    assert read_json(out)["rows"][0] == row


def test_import_lrcore_loads_nothing_of_the_command_line():
    code = "import sys, lrcore; print([m for m in sys.modules if m.startswith('lrcore.cli')" + (
        " or m.startswith('lrcore.tasks') or m in ('rich', 'matplotlib', 'sklearn', 'pandas')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"
