"""``lrcore schedule``: list, plot, table."""

import json

import pytest

pytest.importorskip("matplotlib")

from lrcore import cli, schedules
from lrcore._describe import schedule_kinds
from lrcore.cli import _like
from lrcore.schedules import compat


@pytest.fixture
def call(capsys):
    """Run ``lrcore schedule ...``; give its exit status, stdout and stderr."""

    def run(*argv):
        status = cli.main(["schedule", *map(str, argv)])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def table(call):
    """Run ``lrcore schedule table ... --json``; give the object."""

    def run(*argv):
        status, out, err = call("table", *argv, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    return run


def test_list_has_every_schedule(call):
    status, out, err = call("list")
    assert (status, err) == (0, "")
    rows = out.splitlines()
    assert [row.split()[0] for row in rows[1 : len(schedule_kinds()) + 1]] == [
        kind.replace("_", "-") for kind in schedule_kinds()
    ]
    assert "Step(lr, step_size, gamma=0.1)" in out
    assert "lr gamma^floor(n / step_size)" in out
    status, out, _ = call("list", "--json")
    found = json.loads(out)
    assert set(found) == set(schedule_kinds())
    assert found["cosine"]["required"] == ["lr", "steps"]
    assert found["cosine"]["defaults"] == {"end": 0.0, "exponent": 1.0, "k_decay": 1.0}
    assert all(row["formula"] and row["summary"] for row in found.values())


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["cosine", "lr=1", "steps=4"], schedules.Cosine(1, 4)),
        (["Cosine", "lr=1e-3", "steps=4", "warmup=2"], schedules.Cosine(1e-3, 4, warmup=2)),
        (["multistep", "lr=.5", "milestones=3,5"], schedules.MultiStep(0.5, [3, 5])),
        (["multi-step", "lr=1", "milestones=3,", "gamma=0.5"], schedules.MultiStep(1, [3], 0.5)),
        (["piecewise-linear", "positions=[0,5]", "values=1,0"], schedules.PiecewiseLinear([0, 5], [1, 0])),
        (["polynomial", "lr=1", "steps=4", "cycle=True"], schedules.Polynomial(1, 4, cycle=True)),
        (["cyclic", "lr=0", "max_lr=1", "up=3", "mode=triangular2"], schedules.Cyclic(0, 1, 3, mode="triangular2")),
        (
            ["scale", 'schedule={"kind": "step", "lr": 1, "step_size": 2}', "factor=2"],
            schedules.Step(1, 2) * 2,
        ),
    ],
)  # fmt: skip
def test_table_of_a_schedule(table, argv, wanted):
    result = table(*argv)
    values = result["values"]["lrcore"]
    assert values == wanted(range(len(values))).tolist()
    assert result["schedules"]["lrcore"] == result["calls"]["lrcore"] == repr(wanted)
    assert len(table(*argv, "--steps", "7")["values"]["lrcore"]) == 7


def test_the_table_goes_past_the_last_position(table):
    assert len(table("cosine", "lr=1", "steps=40")["values"]["lrcore"]) == 43
    assert len(table("multistep", "lr=1", "milestones=3,50")["values"]["lrcore"]) == 53
    assert len(table("exponential", "lr=1", "gamma=0.9")["values"]["lrcore"]) == 20
    joined = table("one_cycle", "lr=1", "steps=40", "--like", "torch", "--like", "fastai")
    assert {len(values) for values in joined["values"].values()} == {43}


def test_restarts_as_they_come_are_torchs_too(table):
    values = table("cosine-restarts", "lr=1", "period=2", "--like", "torch")["values"]
    assert values["lrcore"] == values["torch"]
    made = table("cosine-restarts", "lr=1", "period=2", "mult=2.0", "--like", "torch")["calls"]
    assert "T_mult=2)" in made["torch"]


def test_table_beside_the_peers(table, call):
    argv = ["cosine", "lr=1", "steps=10", "warmup=2", "--like", "keras", "--like", "timm"]
    result = table(*argv)
    assert list(result["values"]) == ["lrcore", "keras", "timm"]
    keras = compat.keras.CosineDecay(0.0, 10, warmup_target=1, warmup_steps=2)
    values = result["values"]["keras"]
    assert len(values) > 12
    assert values == keras(range(len(values))).tolist()
    assert result["calls"]["timm"].startswith("CosineLRScheduler(lr=1, t_initial=10, ")
    status, out, _ = call("table", *argv)
    assert status == 0
    assert out.splitlines()[4].split() == ["t", "lrcore", "keras", "timm"]
    assert out.splitlines()[8].split() == ["3", "0.9619397663", "0.9755282581", "0.7938926261"]


def test_table_by_a_peers_own_name(table):
    argv = ["MultiStepLRScheduler", "lr=1", "decay_t=3,", "decay_rate=0.1", "--like", "timm"]
    wanted = compat.timm.MultiStepLRScheduler(1, [3], 0.1)
    result = table(*argv, "--steps", "6")
    assert result["values"] == {"timm": wanted(range(6)).tolist()}
    assert result["schedules"] == {"timm": repr(wanted)}


# What the translation of each kind is tried with; with a warm-up where the peer has one.
ARGUMENTS = {
    "constant": {"lr": 1.0},
    "cosine": {"lr": 1.0, "steps": 12, "end": 0.1},
    "cosine_restarts": {"lr": 1.0, "period": 4, "mult": 2, "end": 0.1},
    "cyclic": {"lr": 0.1, "max_lr": 1.0, "up": 3, "down": 2},
    "exponential": {"lr": 1.0, "gamma": 0.9},
    "inverse_sqrt": {"lr": 1.0, "timescale": 4},
    "inverse_time": {"lr": 1.0, "rate": 0.5, "step_size": 3},
    "linear": {"lr": 1.0, "steps": 12},
    "multistep": {"lr": 1.0, "milestones": [3, 6], "gamma": 0.5},
    "one_cycle": {"lr": 1.0, "steps": 20},
    "piecewise_constant": {"boundaries": [3, 6], "values": [1.0, 0.5, 0.1]},
    "polynomial": {"lr": 1.0, "steps": 12, "power": 2.0},
    "step": {"lr": 1.0, "step_size": 3, "gamma": 0.5},
    "wsd": {"lr": 1.0, "steps": 12, "decay_steps": 4, "shape": "linear"},
}
PAIRS = [(kind, peer) for kind, peers in _like.CALLS.items() for peer in peers]
#: Where the values differ, it is on purpose: see docs/schedules.md.
DIFFERENT = {("inverse_sqrt", "transformers"), ("multistep", "keras"), ("multistep", "timm")}
DIFFERENT |= {("one_cycle", "torch"), ("piecewise_constant", "keras")}


@pytest.mark.parametrize(("kind", "peer"), PAIRS)
def test_a_peers_schedule_is_lrcores_but_for_its_convention(kind, peer):
    arguments = ARGUMENTS[kind]
    wanted = schedule_kinds()[kind](**arguments)(range(12))
    text, made = _like.like(peer, kind, dict(arguments))
    assert text.partition("(")[0] in getattr(compat, peer).__all__
    assert (made(range(12)) == pytest.approx(wanted, abs=1e-12)) == ((kind, peer) not in DIFFERENT)


WARM = [("cosine", "keras"), ("cosine", "optax"), ("cosine", "timm"), ("cosine", "transformers")]
WARM += [("constant", "optax"), ("constant", "transformers"), ("exponential", "optax")]
WARM += [("linear", "transformers"), ("polynomial", "timm"), ("polynomial", "transformers")]
WARM += [("step", "timm"), ("multistep", "timm"), ("wsd", "timm"), ("wsd", "transformers")]


@pytest.mark.parametrize(("kind", "peer"), PAIRS)
def test_a_warm_up_is_the_peers_or_is_refused(kind, peer):
    from lrcore.cli._say import Refusal

    arguments = {**ARGUMENTS[kind], "warmup": 2}
    if (kind, peer) in WARM or kind == "inverse_sqrt":
        _, made = _like.like(peer, kind, arguments)
        assert made(range(2)).tolist() == [0.0, 0.5]
    else:
        with pytest.raises(Refusal, match="has nothing like warmup=2; leave it out"):
            _like.like(peer, kind, arguments)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["table", "cosinne", "lr=1"], "there is no schedule 'cosinne' (did you mean cosine?); choose one of"),
        (["table", "one_cycel", "lr=1"], "there is no schedule 'one_cycel' (did you mean one-cycle?); choose one of"),
        (["table", "cosine", "lr=1"], "Cosine: argument 'steps' is missing"),
        (["table", "cosine", "lr=1", "--like", "keras"], "Cosine: argument 'steps' is missing"),
        (["table", "cosine", "lr=-1", "steps=9"], "Cosine: lr must be in [0, inf), got -1"),
        (["table", "cosine", "lr=1", "steps=9", "size=2"], "Cosine: there is no argument 'size'"),
        (["table", "step", "lr=1", "step_size=9", "size=2", "--like", "timm"], "Step: there is no argument 'size'"),
        (["table", "cosine", "0.1"], "an argument must be KEY=VALUE, such as lr=0.1, got '0.1'"),
        (["table", "noam", "d_model=8", "--like", "torch"], "torch has no noam schedule"),
        (["table", "step", "lr=1", "step_size=9", "--like", "keras"], "keras has no step schedule; timm, torch have one"),
        (["table", "knee", "lr=1", "steps=9", "lr=2"], "lr is given twice"),
        (["table", "StepLR", "lr=1", "step_size=9", "--like", "torch", "--like", "keras"], "keras has no StepLR"),
        (["table", "StepLR", "lr=1", "step_size=0", "--like", "torch"], "torch: StepLR: step_size must be an integer"),
        (["table", "StepLR", "lr=1", "size=9", "--like", "torch"], "torch: StepLR() got an unexpected keyword"),
        (["table", "step", "lr=1", "step_size=9", "--steps", "200000"], "table: --steps must be at most 100,000"),
        (["plot", "-o", "x.png"], "plot: say which schedule to draw, or --all"),
        (["plot", "cosine", "--all", "-o", "x.png"], "plot: --all draws every schedule; leave cosine out"),
        (["plot", "cosine", "lr=1", "steps=9", "-o", "x.txt"], "-o x.txt: no picture can be written as that"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence(call, argv, sentence):
    status, out, err = call(*argv)
    assert (status, out) == (2, "")
    assert err.startswith(f"lrcore schedule: {sentence}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "argv", [["table"], ["plot"], [], ["table", "x", "--steps", "0"], ["table", "x", "--like", "y"]]
)
def test_usage(call, argv):
    status, out, err = call(*argv)
    assert (status, out) == (2, "")
    assert err.startswith("lrcore schedule")
    assert "see lrcore schedule" in err
    assert err.count("\n") == 1


PNG = b"\x89PNG"


def test_plots(call, tmp_path):
    path = tmp_path / "one.png"
    argv = ["plot", "one-cycle", "lr=1", "steps=50", "--like", "torch", "--like", "fastai"]
    assert call(*argv, "-o", path) == (0, "", "")
    assert path.read_bytes()[:4] == PNG
    svg = tmp_path / "one.svg"
    assert call(*argv, "--log", "-o", svg) == (0, "", "")
    text = svg.read_text()
    for word in ("lrcore", "torch", "fastai", "OneCycle(lr=1.0, steps=50)"):
        assert f"<!-- {word} -->" in text
    sheet = tmp_path / "all.png"
    assert call("plot", "--all", "-o", sheet) == (0, "", "")
    assert sheet.read_bytes()[:4] == PNG


def test_the_gallery_shows_every_schedule():
    from lrcore import plot

    shown = [ax.get_title(loc="left") for ax in plot.gallery() if ax.get_visible()]
    assert shown == [cls.__name__ for cls in schedule_kinds().values()]
