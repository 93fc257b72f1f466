"""Gradients, checkpoints and steps that lrcore.torch refuses, by name, with nothing changed."""

import os
import sys
import threading

import pytest
from torch_state_tools import (
    clones,
    distance,
    gradients,
    ours,
    refused,
    seen,
    stored,
    train,
    two_steps,
)

import lrcore

pytestmark = pytest.mark.frameworks


@pytest.fixture
def run(torch):
    """Parameters and an optimizer that has made two steps, and gradients for another."""
    return two_steps(torch)


# ------------------------------------------------------------------------------- gradients


GRADIENTS = [
    ("shape", lambda torch: torch.ones(3, 4), ValueError, r"have the shape \(4, 3\), got \(3, 4\)"),
    ("dimensions", lambda torch: torch.ones(12), ValueError, "must have the shape"),
    ("wide", lambda torch: torch.ones(4, 3).double(), TypeError, "must be torch.float32 as the param"),
    ("narrow", lambda torch: torch.ones(4, 3).half(), TypeError, "must be torch.float32 as the param"),
    ("complex", lambda torch: torch.ones(4, 3) * 1j, TypeError, "must be torch.float32 as the param"),
    ("integer", lambda torch: torch.ones(4, 3).int(), TypeError, "must be torch.float32 as the param"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "make", "error", "match"), GRADIENTS)
@pytest.mark.parametrize("nonfinite", ["ignore", "raise"])
def test_gradients_that_are_refused(torch, what, make, error, match, nonfinite):
    params = [torch.nn.Parameter(torch.ones(5)), torch.nn.Parameter(torch.ones(4, 3))]
    opt = ours("AdamW")(params, lr=0.1, nonfinite=nonfinite)
    gradients(torch, params)
    opt.step()
    gradients(torch, params)
    good = params[1].grad
    give(torch, params[1], make(torch))
    with refused(torch, opt, error, rf"AdamW: the gradient of params\[0\]\[1\] .*{match}"):
        opt.step()
    params[1].grad = good
    opt.step()
    assert opt.made


def give(torch, p, grad):
    """A gradient that torch itself would refuse to assign."""
    p.grad = torch.zeros_like(p)
    p.grad.data = grad


def test_a_gradient_of_a_dtype_that_the_parameter_allows(torch):
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    p.grad_dtype = torch.float32
    p.grad = torch.full((3,), 0.5)
    ours("SGD")([p], lr=1.0).step()
    assert p.tolist() == [0.5, 0.5, 0.5]


def test_memory_that_is_in_use_is_not_resized(torch, run):
    params, opt = run
    for change in (lambda p: p.untyped_storage().resize_(0), lambda p: p.data.resize_(8, 3)):
        with refused(torch, opt, RuntimeError, "resize storage that is not resizable"):
            change(params[0])


# ------------------------------------------------------------------------------ some rows


ROWS = ["SGD", "Adagrad", "RowwiseAdagrad", "Adam", "AdamW"]


@pytest.mark.parametrize("name", lrcore.optimizers.__all__)
def test_sparse_gradients(torch, name):
    table = torch.nn.Embedding(6, 3, sparse=True)
    opt = ours(name)(table.parameters(), lr=0.1) if "lr" in ours(name).hypers else None
    opt = opt or ours(name)(table.parameters())
    table(torch.tensor([1, 1, 4])).sum().backward()
    if name in ROWS:
        before = table.weight.detach().clone()
        opt.step()
        same = (table.weight == before).all(1)
        assert same.tolist() == [True, False, True, True, False, True]
    else:
        with refused(torch, opt, TypeError, r"params\[0\]\[0\]|grads\[0\]\[0\]"):
            opt.step(lambda: 1.0)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize(
    ("name", "theirs", "given"),
    [
        ("SGD", "SGD", {"lr": 0.1}),
        ("Adagrad", "Adagrad", {"lr": 0.1}),
        ("Adam", "SparseAdam", {"lr": 0.1}),
    ],
)
def test_rows_are_as_in_torch(torch, name, theirs, given):
    torch.manual_seed(0)
    table = torch.nn.Embedding(8, 4, sparse=True)
    other = torch.nn.Embedding(8, 4, sparse=True)
    other.load_state_dict(table.state_dict())
    pairs = (
        (table, ours(name)(table.parameters(), **given)),
        (other, getattr(torch.optim, theirs)(other.parameters(), **given)),
    )
    # Every update has the same rows: SparseAdam counts the updates of all, here those of a row.
    for i in range(5):
        weights = torch.randn(5, 4, generator=torch.Generator().manual_seed(i))
        for model, opt in pairs:
            opt.zero_grad()
            (model(torch.tensor([3, 1, 3, 7, 3])) * weights).sum().backward()
            opt.step()
    assert distance([table.weight], [other.weight]) < 1e-6


# ------------------------------------------------------------------------------ checkpoints


def damaged(torch, name):
    """What is done to a checkpoint, and the error."""
    return {
        "no state": (lambda d: d.pop("state"), "the state dict must have the key 'state'"),
        "no groups": (lambda d: d.pop("param_groups"), "must have the key 'param_groups'"),
        "groups": (lambda d: d["param_groups"].append({}), "must be a list of 1, got 2"),
        "members": (lambda d: d["param_groups"][0]["params"].pop(), "must have 2 parameters, got 1"),
        "hyper": (lambda d: d["param_groups"][0].pop("betas"), "must have 'betas', got"),
        "domain": (lambda d: d["param_groups"][0].update(lr=-1.0), "lr must be in"),
        "foreign": (lambda d: d["param_groups"][0].update(rho=0.9), "has 'rho', which AdamW does not"),
        "kind": (lambda d: d["state"].update({0: 5}), r"the state of params\[0\]\[0\] must be a dict"),
        "missing": (lambda d: d["state"][1].pop("exp_avg"), r"params\[0\]\[1\] must have \['exp_avg'"),
        "more": (lambda d: d["state"][1].update(buf=torch.ones(5)), r"params\[0\]\[1\] must have"),
        "shape": (
            lambda d: d["state"][1].update(exp_avg=torch.ones(4)),
            r"params\[0\]\[1\]: exp_avg must have the shape \(5,\), got \(4,\)",
        ),
        "order": (
            lambda d: d["state"][0].update(exp_avg=torch.ones(3, 4)),
            r"params\[0\]\[0\]: exp_avg must have the shape \(4, 3\), got \(3, 4\)",
        ),
        "number": (lambda d: d["state"][1].update(exp_avg=0.5), "exp_avg must be a tensor, got float"),
        "meta": (
            lambda d: d["state"][1].update(exp_avg=torch.empty(5, device="meta")),
            "exp_avg must be a dense, real tensor that has memory",
        ),
        "integer": (lambda d: d["state"][1].update(exp_avg=torch.ones(5).int()), "exp_avg|'m'"),
        "step": (lambda d: d["state"][1].update(step=-1), "step must be a whole number, got -1"),
        "half a step": (lambda d: d["state"][1].update(step=0.5), "step must be a whole number"),
        "steps": (lambda d: d["state"][1].update(step=torch.ones(2)), "step must be a number or"),
        "t": (lambda d: d["param_groups"][0].update(t=-4), "t must be a whole number"),
    }[name]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "no state",
        "no groups",
        "groups",
        "members",
        "hyper",
        "domain",
        "foreign",
        "kind",
        "missing",
        "more",
        "shape",
        "order",
        "number",
        "meta",
        "integer",
        "step",
        "half a step",
        "steps",
        "t",
    ],
)
def test_damaged_checkpoints(torch, run, name):
    params, opt = run
    change, match = damaged(torch, name)
    state = stored(torch, opt)
    state["state"][0]["exp_avg"] += 1  # what would be loaded before the damage is found
    change(state)
    with refused(torch, opt, (ValueError, TypeError), match):
        opt.load_state_dict(state)
    opt.step()
    assert opt.state[params[0]]["step"] == 3


def test_the_state_of_another_rule(torch):
    """Every rule refuses the checkpoints of all others."""
    made = {}
    for name in lrcore.optimizers.__all__:
        p = torch.nn.Parameter(torch.ones(4, 3))
        made[name] = ours(name)([p])
        train(made[name], [p, p], 0, 1)
    wrong = []
    for name, opt in made.items():
        for other, source in made.items():
            if name == other:
                continue
            before = seen(torch, opt)
            try:
                opt.load_state_dict(source.state_dict())
            except ValueError as error:
                named = str(error).startswith(f"{name}.load_state_dict: ")
                wrong += [] if named else [(other, name, str(error))]
                assert seen(torch, opt) == before
            else:
                wrong.append((other, name, "is loaded"))
    assert not wrong


def test_adam_is_not_taken_for_its_decoupled_form(torch):
    p = torch.nn.Parameter(torch.ones(2))
    state = torch.optim.AdamW([p]).state_dict()
    opt = ours("Adam")([p])
    with refused(torch, opt, ValueError, r"\['decoupled_weight_decay'\] must be False as here"):
        opt.load_state_dict(state)


# ------------------------------------------------------------------- around a step


def test_a_closure_that_raises(torch, run):
    _, opt = run

    def closure():
        raise RuntimeError("no more data")

    with refused(torch, opt, RuntimeError, "no more data"):
        opt.step(closure)


@pytest.mark.parametrize("nonfinite", ["ignore", "skip", "raise"])
def test_gradients_that_are_not_finite(torch, nonfinite):
    p, q = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    given = {} if nonfinite == "ignore" else {"nonfinite": nonfinite}
    opt = ours("AdamW")([p, q], lr=0.1, **given)
    p.grad, q.grad = torch.ones(3), torch.tensor([1.0, float("nan"), 1.0])
    if nonfinite == "ignore":
        opt.step()
        assert opt.made
        assert p.isfinite().all()
        assert q.isnan().tolist() == [False, True, False]
    elif nonfinite == "skip":
        opt.made = False
        before = seen(torch, opt)
        opt.step()
        assert not opt.made
        assert seen(torch, opt) == before
    else:
        with refused(torch, opt, lrcore.NonFiniteError, r"grads\[0\]\[1\]: must be finite"):
            opt.step()


def test_tensors_made_in_inference_mode(torch):
    with torch.inference_mode():
        p = torch.ones(3)
        model = torch.nn.Linear(2, 1)
    q = torch.nn.Parameter(torch.ones(2))
    q.grad = torch.ones(2)
    opt = ours("SGD")([q], lr=1.0)
    with torch.inference_mode():
        opt.step()
    assert q.tolist() == [0, 0]
    other = ours("SGD")([p, *model.parameters()], lr=1.0)
    with torch.inference_mode():
        p.grad = torch.ones(3)
        other.step()
        assert p.tolist() == [0, 0, 0]


def test_two_threads(torch):
    params = [torch.nn.Parameter(torch.zeros(200_000)) for _ in range(4)]
    for p in params:
        p.grad = torch.ones_like(p)
    opt = ours("SGD")(params, lr=1.0)
    errors, made = [], []

    def work():
        for _ in range(20):
            try:
                opt.step()
                made.append(1)
            except RuntimeError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(made) + len(errors) == 60
    assert all(p.eq(-float(len(made))).all() for p in params)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_steps_a_copy(torch, run):
    params, opt = run
    twin = clones(torch, params)
    other = ours("AdamW")(twin, lr=0.1)
    other.load_state_dict(stored(torch, opt))
    for p, q in zip(params, twin, strict=True):
        q.grad = p.grad.clone()
    other.step()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            opt.step()
            os.write(writing, params[0].detach().numpy().tobytes())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    assert status == 0
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == twin[0].detach().numpy().tobytes()
    assert opt.state[params[0]]["step"] == 2
    opt.step()
    assert all(map(torch.equal, params, twin))
