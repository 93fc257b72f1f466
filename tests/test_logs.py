"""Logs as frameworks write them, and as people break them."""

import io
import json
import math
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from lrcore.instruments import logs
from lrcore.instruments.logs import roles

NAN = math.nan


def same(given, expected):
    if expected is None:
        assert given is None
    else:
        np.testing.assert_array_equal(given, expected)


LIGHTNING = """epoch,lr-AdamW,step,train_loss_epoch,train_loss_step,val_loss
,0.01,0,,,
0,,0,,2.0,
0,,9,,1.5,
0,,9,,,1.7
0,,9,1.75,,
,0.001,10,,,
1,,19,,nan,
"""
KERAS = "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\n0,.1,.01,2,.1,2.1\n1,.2,.02,1,.1,1.9\n"
TRAINER = json.dumps(
    {
        "best_metric": None,
        "global_step": 20,
        "log_history": [
            {"epoch": 0.5, "grad_norm": 3.0, "learning_rate": 0.01, "loss": 2.0, "step": 10},
            {"epoch": 0.5, "eval_loss": 1.9, "step": 10},
            {"epoch": 1.0, "grad_norm": 4.0, "learning_rate": 0.02, "loss": 1.0, "step": 20},
            {"epoch": 1.0, "step": 20, "train_loss": 1.5, "train_runtime": 3.0},
        ],
    },
    indent=2,
)
PRINTED = """Using device cuda:0
{'loss': '2.0', 'grad_norm': nan, 'learning_rate': 1e-02, 'epoch': 0.5}
  5%|##        | 10/200 [00:01<00:19]
{'loss': inf, 'grad_norm': 4.0, 'learning_rate': 2e-02, 'epoch': 1.0}
"""
WANDB = """"Step","brave-dew-1 - train/loss","brave-dew-1 - train/loss__MIN","brave-dew-1 - train/loss__MAX"
"5","2.0","1","3"
"10","1.0","1","3"
"""
LINES = '{"step": 5, "train": {"loss": 2.0}, "valid": {"loss": null}}\n{"step": 6, "train": {"loss": NaN}}\n'
NANO = "step 0: train loss 4.2, val loss 4.3\niter 0: loss 4.25, time 30ms\niter 10: loss 3.1e0, time 3ms\n"
CONSOLE = "Epoch 1/2\n9/9 - 3s - loss: 2.0 - val_loss: 2.5\nEpoch 2/2\n9/9 - 3s - loss: 1.0 - val_loss: 1.5\n"


@pytest.mark.parametrize(
    ("text", "losses", "lrs", "val_losses", "steps", "unit"),
    [
        (LIGHTNING, [2, 1.5, NAN], [0.01, 0.01, 0.001], [NAN, 1.7, NAN], [0, 9, 19], "update"),
        (KERAS, [2, 1], [0.01, 0.02], [2.1, 1.9], [0, 1], "epoch"),
        (TRAINER, [2, 1], [0.01, 0.02], [1.9, NAN], [10, 20], "update"),
        (PRINTED, [2, math.inf], [0.01, 0.02], None, None, "row"),
        (WANDB, [2, 1], None, None, [5, 10], "update"),
        ("Wall time,Step,Value\n1.5,0,2\n2.5,100,1\n", [2, 1], None, None, [0, 100], "update"),
        (LINES, [2, NAN], None, None, [5, 6], "update"),
        (NANO, [4.25, 3.1], None, [4.3, NAN], [0, 10], "update"),
        (CONSOLE, [2, 1], None, [2.5, 1.5], [1, 2], "epoch"),
        ("3\n2\nnan\n-inf\n", [3, 2, NAN, -math.inf], None, None, None, "row"),
        ("# step loss\n1 2.0\n2 1.0\n", [2, 1], None, None, [1, 2], "update"),
        ("step;loss;lr\n1;2,5;0,1\n2;1,25;0,1\n", [2.5, 1.25], [0.1, 0.1], None, [1, 2], "update"),
        ("step\tLoss/train\n1\t2\n2\t1\n", [2, 1], None, None, [1, 2], "update"),
        ('{"loss": [3, 2], "val_loss": [4, 3]}', [3, 2], None, [4, 3], None, "row"),
        ('{"history": {"loss": [3, 2]}, "epochs": [1, 2]}', [3, 2], None, None, None, "row"),
        ("[3, 2.5]", [3, 2.5], None, None, None, "row"),
        ('{"loss": 3}\n{"loss": 2}\n{"lo', [3, 2], None, None, None, "row"),
        ('[{"trainLoss": 3, "LR": 1}, {"trainLoss": 2, "LR": 1}]', [3, 2], [1, 1], None, None, "row"),
        ("epoch,batch,loss\n0,0,4\n0,1,3\n1,0,2\n1,1,1\n", [4, 3, 2, 1], None, None, None, "row"),
        ("step,loss\n3,1\n1,2\n1,3\n", [1, 2, 3], None, None, [3, 1, 1], "update"),
        ("loss,note\n1,\"a, b\"\n2,c\n", [1, 2], None, None, None, "row"),
        ("step,loss\n1,\"tensor(2.5, device='cuda:0')\"\n2,1\n", [2.5, 1], None, None, [1, 2], "update"),
        ("step,loss\n1,tensor(2., grad_fn=<X>)\n2,Array(1, dtype=float32)\n", [2, 1], None, None, [1, 2], "update"),
        ("{'step': 1, 'loss': np.float64(2.5)}\n{'step': 2, 'loss': np.float64(nan)}\n", [2.5, NAN], None, None, [1, 2], "update"),
        ("step 1 loss tensor(2.5, grad_fn=<X>)\nstep 2 loss tensor([1e-05])\n", [2.5, 1e-5], None, None, [1, 2], "update"),
        ("\x1b[32mstep 1\x1b[0m loss: \x1b[1;31m2\x1b[0m\n\x1b[32mstep 2\x1b[0m loss: 1\n", [2, 1], None, None, [1, 2], "update"),
        (f'{{"loss": {10**400}}}\n{{"loss": -{10**400}}}\n', [math.inf, -math.inf], None, None, None, "row"),
        ("step,loss,val_loss\n1,2,\n2,,3\n", [2], None, [3], [1], "update"),
        ("step,loss,val_loss\n1,2,nan\n2,nan,3\n3,1,nan\n", [2, 1], None, [3, NAN], [1, 3], "update"),
        ("epoch,loss,val_loss\n1,2,2\n2,nan,2\n", [2, NAN], None, [2, 2], [1, 2], "epoch"),
        ("step,train_loss,loss_avg\n1,,3\n2,,2\n3,5,1\n", [3, 2, 1], None, None, [1, 2, 3], "update"),
        ('{"loss": 1}, {"loss": 2}\n{"loss": 3}\n{"loss": 4}\n', [3, 4], None, None, None, "row"),
        ("step,loss\r\n1,2\r\n\r\n2,1", [2, 1], None, None, [1, 2], "update"),
    ],
)  # fmt: skip
def test_what_frameworks_write(text, losses, lrs, val_losses, steps, unit):
    log = logs.parse(text)
    same(log.losses, losses)
    same(log.lrs, lrs)
    same(log.val_losses, val_losses)
    same(log.steps, steps)
    assert log.unit == unit


def test_what_is_measured_beside_the_loss():
    log = logs.parse("step,loss,grad_norm,cos,gain\n1,3,.5,,\n2,2,.25,-.5,.75\n")
    assert set(log.stats) == {"grad_norm", "cos", "gain"}
    same(log.stats["cos"], [NAN, -0.5])
    same(logs.parse(TRAINER).stats["grad_norm"], [3, 4])
    assert logs.parse(KERAS).stats == {}


def test_a_log_says_what_it_took():
    log = logs.parse(LIGHTNING, source="metrics.csv")
    assert log.columns == {
        "loss": "train_loss_step",
        "lr": "lr-AdamW",
        "val_loss": "val_loss",
        "step": "step",
    }
    assert str(log) == (
        "CSV: 3 losses; loss = 'train_loss_step', lr = 'lr-AdamW', val_loss = 'val_loss', "
        "step = 'step'"
    )
    assert log.found[0] == "epoch"
    two = logs.parse("loss,train_loss\n1,2\n1,2\n")
    assert two.notes == ("'train_loss' could be the loss too: say which with --loss NAME",)


def test_a_line_without_end_is_refused_at_once():
    with pytest.raises(logs.LogError, match="the header cannot be read: field larger"):
        logs.parse("tensor(" * 100_000)
    start = time.process_time()
    with pytest.raises(logs.LogError, match="field larger"):
        logs.parse(f"step 1 loss tensor({'1' * 200_000}\nstep 2 loss {'1' * 200_000}x\n")
    assert time.process_time() - start < 5


def test_two_numbers_are_no_loss():
    with pytest.raises(logs.LogError, match="begins like JSON, but is neither"):
        logs.parse("{'loss': tensor([1.0, 2.0])}\n{'loss': tensor([1.0, 2.0])}\n")


def test_columns_can_be_said():
    text = "i,a,b,c,d\n1,3,9,.1,7\n2,2,8,.2,6\n"
    log = logs.parse(text, loss="b", lr="C", val_loss="d", step="i")
    same(log.losses, [9, 8])
    same(log.lrs, [0.1, 0.2])
    same(log.val_losses, [7, 6])
    same(log.steps, [1, 2])
    assert logs.parse(KERAS, val_loss="none", lr="none").columns == {
        "loss": "loss",
        "epoch": "epoch",
    }
    same(logs.parse("1,2\n2,3\n", loss="2").losses, [2, 3])
    same(logs.parse(KERAS, loss="val_loss").losses, [2.1, 1.9])


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("", {}, "is empty"),
        (" \n\n", {}, "is empty"),
        ("# only\n# remarks", {}, "is empty but for remarks"),
        ("a,b\n1,2\n", {}, "no column is plainly the training loss; the columns are 'a', 'b': say which with --loss NAME"),
        ("a,gen_loss,disc_loss\n1,2,3\n", {}, "'gen_loss' or 'disc_loss' looks near: say which"),
        ("step,loss\n1,2\n", {"loss": "los"}, "--loss: no column 'los' (did you mean 'loss'?); the columns are 'step', 'loss'"),
        ("step,loss\n1,2\n", {"val_loss": "accuracy"}, "--val-loss: no column 'accuracy'; the columns are"),
        ("step,loss\n1,2\n2,oops\n", {}, "line 3: loss must be a number, got 'oops'"),
        ("step,loss\n1,oops\n", {}, "line 2: loss must be a number, got 'oops'"),
        ("step,loss\nx,2\n2,3\n", {"step": "step"}, "line 2: step must be a number, got 'x'"),
        ('step,loss\n1,2\n\n2,"3\n3,4\n', {}, "line 4: loss must be a number"),
        ("step,loss\n1,2\n2,3,4\n", {}, "line 3 has 3 fields, but the header has 2; mend that line"),
        ("step,loss,note\n1,2\n3,4,x,y\n", {}, "line 3 has 4 fields, but the header has 3"),
        ("loss,loss\n1,2\n", {}, "two columns are named 'loss'; rename one"),
        ('{"loss": 3}\n{"loss": "high"}\n', {}, "line 2: loss must be a number, got 'high'"),
        ('[{"loss": 3}, {"loss": true}]', {}, "record 2: loss must be a number, got 'True'"),
        ("{}", {}, "no column is plainly"),
        ("[]", {}, "is JSON, but holds no list of records"),
        ("{", {}, "begins like JSON, but is neither JSON nor JSON lines"),
        ('{"loss": 1}\n{\n{\n', {}, "line 2 and 1 more are not JSON objects"),
        ("nothing of the kind\nhere\n", {}, "the columns are 'nothing of the kind'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(text, options, sentence):
    with pytest.raises(logs.LogError) as error:
        logs.parse(text, source="run.csv", **options)
    assert str(error.value).startswith("run.csv: ")
    assert sentence in str(error.value)


def test_files_that_are_none(tmp_path):
    for name, raw, sentence in (
        ("binary", b"\x00\x01\x02loss", "is not a text file"),
        ("latin", b"step,loss\n1,2\n2,\xe9\n", "line 3 is not UTF-8 text"),
    ):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(logs.LogError, match=sentence):
            logs.read(tmp_path / name)
    with pytest.raises(logs.LogError, match="no such file"):
        logs.read(tmp_path / "none.csv")
    with pytest.raises(logs.LogError, match="is a directory"):
        logs.read(tmp_path)


def test_what_a_shell_writes(tmp_path, monkeypatch):
    path = tmp_path / "run.csv"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text("step,loss\n1,2\n", encoding=encoding)
        same(logs.read(path).losses, [2])
    stdin = SimpleNamespace(buffer=io.BytesIO(b"step,loss\n1,2\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    same(logs.read("-").losses, [2])


def test_lines_that_are_broken_are_counted():
    log = logs.parse("step,loss,lr\n1,2,.1\nstep,loss,lr\n2,1\n3,1,.1\n4,\n")
    same(log.losses, [2, 1, 1])
    assert log.notes == (
        "the header is repeated in line 3: left out",
        "fields are missing in 2 lines, the first 4: taken as not measured",
    )
    log = logs.parse('{"loss": 1}\n{"loss": 2}\noops\n{"loss": 3}\n')
    assert log.notes == ("line 3 is not a JSON object: left out",)


def test_what_only_sounds_like_a_rate_is_left_out():
    log = logs.parse("loss,lr_scheduler,step\n2,cosine,1\n1,cosine,x\n")
    assert log.columns == {"loss": "loss"}
    assert log.notes == ("'step' is not all numbers (line 3: 'x'): left out",)
    both = logs.parse("loss,train_loss\nmse,2\nmse,1\n")
    same(both.losses, [2, 1])


def test_a_header_alone_is_a_run_without_losses():
    log = logs.parse("step,loss\n")
    assert len(log.losses) == 0


def test_pieces_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    rows = [
        f"{i},{rng.random():.6g},{'' if i % 3 else '0.5'},{'a b' if i == 60 else 'x'}"
        for i in range(100)
    ]
    text = "step,loss,val_loss,note\n" + "\n".join(rows)
    whole = logs.parse(text)
    monkeypatch.setattr("lrcore.instruments.logs.tables.PIECE", 64)
    parts = logs.parse(text)
    for name in ("losses", "val_losses", "steps"):
        same(getattr(parts, name), getattr(whole, name))
    assert np.isnan(whole.val_losses).sum() == 66
    with pytest.raises(logs.LogError, match="line 63"):
        logs.parse(text.replace("\n61,", "\n61,bad"))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_quick_and_careful_reading_agree(monkeypatch, separator):
    from lrcore.instruments.logs import tables

    cells = [["step", "loss", "lr", "cos"], ["1", "2.5e-1", "", ""], ["2", "nan", "1", ".5"]]
    cells += [["3", "", "", ""], ["4", "", "-inf", ""]]
    text = "\n".join(separator.join(row) for row in cells)
    with monkeypatch.context() as patch:
        patch.delattr(tables._Fields, "_slow")
        quick = logs.parse(text)
    monkeypatch.setattr(tables._Fields, "_fast", lambda self, piece: None)
    careful = logs.parse(text)
    for name in ("losses", "lrs", "steps"):
        same(getattr(quick, name), getattr(careful, name))
    same(quick.losses, [0.25, NAN])


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("loss", "loss Loss train_loss training/loss Loss/train trainLoss train-loss loss_train batch_loss nll"),
        ("val_loss", "val_loss valid_loss eval_loss validation-loss Loss/val valLoss test_loss eval/loss"),
        ("lr", "lr LR learning_rate learningRate lr-Adam lr-AdamW/pg1 train/learning_rate optimizer/lr lr_0"),
        ("step", "step Step global_step trainer/global_step train/global_step iteration iter _step update"),
        ("grad_norm", "grad_norm train/grad_norm gradient_norm gradNorm total_grad_norm"),
    ],
)  # fmt: skip
def test_names_are_known(role, names):
    for name in names.split():
        found = {r for r, ranks in roles.candidates([name]).items() if ranks}
        assert found == {role}, name


@pytest.mark.parametrize(
    "name", ["loss_scale", "lr_scale", "gloss", "closs", "step_time", "accuracy", "loss__MIN"]
)
def test_other_names_are_not(name):
    assert not any(roles.candidates([name]).values())


def test_a_million_lines_take_less_than_a_second():
    n = 1_000_000
    losses = np.linspace(2, 1, n)
    text = "step,loss,lr\n" + "".join(f"{i},{x:.6g},.001\n" for i, x in enumerate(losses))
    start = time.process_time()
    log = logs.parse(text)
    assert time.process_time() - start < 2
    assert len(log.losses) == n
    np.testing.assert_allclose(log.losses, losses, atol=1e-5)


def test_nothing_but_numpy_is_needed():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['pandas', 'rich', 'matplotlib'])); "
        "from lrcore.instruments import logs; print(len(logs.parse('step,loss\\n1,2\\n').losses))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
