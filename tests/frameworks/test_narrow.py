"""Meaning: narrow storage trains networks of PyTorch's, and each option is what PyTorch makes of it."""

import sys
from functools import cache, partial
from importlib import import_module, util

import numpy as np
import pytest
from support import ROOT, missing

import lrcore

pytestmark = pytest.mark.frameworks

STEPS = 60
SHAPES = [(17, 9), (130,), (3, 4, 5)]


@pytest.fixture(scope="module")
def torch():
    try:
        torch = import_module("torch")
    except ImportError:
        missing("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)


def draw(seed, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype(dtype) for s in SHAPES]


def tensors(torch, arrays):
    return [torch.tensor(a, requires_grad=True) for a in arrays]


def assert_close(ours, theirs, tolerance=1e-12):
    """Relative to the size of the parameters: some element is always near 0."""
    for a, b in zip(ours, theirs, strict=True):
        b = b.detach().numpy() if hasattr(b, "detach") else b
        assert np.abs(a - b).max() <= tolerance * np.abs(a).max()


# ----------------------------------------------------------------------------- networks


@pytest.fixture(scope="module")
def accuracy(torch):
    """bench/accuracy.py, and its tasks made short."""
    for name in ("sklearn", "ml_dtypes"):
        if util.find_spec(name) is None:
            missing(name)
    spec = util.spec_from_file_location("accuracy", ROOT / "bench" / "accuracy.py")
    module = sys.modules["accuracy"] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tasks = {
        "digits network": module.Task("digits network", module.Digits, 1000, 3e-3),
        "convolution": module.Task("convolution", module.Convolution, 500, 3e-3),
        "transformer": module.Task("transformer", partial(module.Transformer, width=32), 500, 1e-2),
    }
    choices = {choice.name: choice for choice in module.CHOICES}

    @cache
    def loss(task, choice, seed):
        return module.train(tasks[task], choices[choice], seed).loss

    yield loss
    del sys.modules["accuracy"]


@pytest.mark.parametrize("task", ["digits network", "convolution", "transformer"])
@pytest.mark.parametrize(
    "choice", ["state bfloat16, nearest", "state int8, nearest", "state int8, stochastic"]
)
def test_narrow_state_ends_within_1_percent_of_float32(task, choice, accuracy):
    ratios = [accuracy(task, choice, s) / accuracy(task, "float32", s) for s in range(3)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.01)


def test_bfloat16_parameters_train_a_network_stochastically_and_not_to_nearest(accuracy):
    full, nearest, stochastic = (
        accuracy("digits network", choice, 0)
        for choice in (
            "float32",
            "parameters bfloat16, nearest",
            "parameters bfloat16, stochastic",
        )
    )
    assert nearest > 1.05 * full
    assert stochastic < 1.01 * full


def test_a_bfloat16_parameter_of_torch_is_stepped_through_a_view(torch):
    """As docs/memory.md does it."""
    try:
        bfloat16 = import_module("ml_dtypes").bfloat16
    except ImportError:
        missing("ml_dtypes")

    def view(tensor):
        return tensor.detach().view(torch.uint16).numpy().view(bfloat16)

    p = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    opt = lrcore.SGD(view(p), lr=0.5, master="split")
    (p * p).sum().backward()
    opt.step(view(p.grad))
    assert p.tolist() == [0, 0, 0]


# ----------------------------------------------------------------------------- averages


def averaged_by_torch(torch, params, average, options, when):
    """Torch's average of the parameters along its own AdamW, updated at k = 0 and where `when`."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.all = torch.nn.ParameterList(tensors(torch, params))

    module = Module()
    model = torch.optim.swa_utils.AveragedModel(module, **average)
    opt = torch.optim.AdamW(module.parameters(), **options)
    if when(0):
        model.update_parameters(module)
    for k in range(1, STEPS + 1):
        for p, g in zip(module.parameters(), draw(k, params[0].dtype), strict=True):
            p.grad = torch.tensor(g)
        opt.step()
        if when(k):
            model.update_parameters(module)
    return list(model.module.parameters())


def stepped(params, make, **options):
    """Our optimizer after as many steps on the same gradients."""
    opt = make(params, **options)
    for k in range(1, STEPS + 1):
        opt.step(draw(k, params[0].dtype))
    return opt


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
def test_ema_is_that_of_averaged_model(dtype, tolerance, torch):
    average = {"multi_avg_fn": torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)}
    theirs = averaged_by_torch(torch, draw(0, dtype), average, {"lr": 0.01}, lambda k: True)
    opt = stepped(draw(0, dtype), lrcore.AdamW, lr=0.01, ema=0.9)
    assert_close(opt.averages(), theirs, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
@pytest.mark.parametrize(("start", "every"), [(1, 1), (20, 1), (20, 7)])
def test_swa_is_that_of_averaged_model(start, every, dtype, tolerance, torch):
    theirs = averaged_by_torch(
        torch, draw(0, dtype), {}, {"lr": 0.01}, lambda k: k >= start and (k - start) % every == 0
    )
    opt = stepped(draw(0, dtype), lrcore.AdamW, lr=0.01, swa=lrcore.SWA(start, every))
    assert_close(opt.averages(), theirs, tolerance)


def test_lookahead_is_a_loop_around_adamw_of_torch(torch):
    theirs = tensors(torch, draw(0))
    slow = [p.detach().clone() for p in theirs]
    fast = torch.optim.AdamW(theirs, lr=0.01)
    for k in range(1, STEPS + 1):
        for p, g in zip(theirs, draw(k), strict=True):
            p.grad = torch.tensor(g)
        fast.step()
        if k % 6 == 0:
            with torch.no_grad():
                for p, q in zip(theirs, slow, strict=True):
                    q += 0.8 * (p - q)
                    p.copy_(q)
    ours = draw(0)
    opt = stepped(ours, lrcore.AdamW, lr=0.01, lookahead=lrcore.Lookahead(6, 0.8))
    assert_close(ours, theirs)
    assert_close(opt.averages("slow"), slow)


# --------------------------------------------------------------- which elements are moved


def adam(torch, g, s, k):
    """The direction of Adam, Kingma & Ba 2015, algorithm 1."""
    m = s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
    v = s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * g * g
    return (m / (1 - 0.9**k)) / ((v / (1 - 0.999**k)).sqrt() + 1e-8)


def lion(torch, g, s, k):
    """The direction of Lion, Chen et al. 2023, algorithm 2."""
    m = s.get("m", torch.zeros_like(g))
    s["m"] = 0.99 * m + 0.01 * g
    return torch.sign(0.9 * m + 0.1 * g)


def cautious(torch, u, g):
    """Liang et al. 2024, https://arxiv.org/abs/2411.16085, algorithm 1 with the mean of section 2."""
    mask = (u * g > 0).to(u.dtype)
    return u * mask / mask.mean().clamp(min=1e-3)


def grams(torch, u, g):
    """Cao, Li & Song 2024, https://arxiv.org/abs/2412.17107, algorithm 2."""
    return torch.sign(g) * u.abs()


@pytest.mark.parametrize("option", [cautious, grams], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("make", "direction", "weight_decay"),
    [
        (lrcore.Adam, adam, 0.0),
        (lrcore.AdamW, adam, 0.1),
        (lrcore.Lion, lion, 0.0),
        (lrcore.Lion, lion, 0.1),
    ],
)
def test_cautious_and_grams_are_the_published_formulas(
    make, direction, weight_decay, option, torch
):
    """A fourth parameter comes to a step that one of its 2000 elements agrees with."""
    lr = 0.01
    ours = [*draw(0), np.ones(2000)]
    theirs, states = [torch.tensor(p) for p in ours], [{} for _ in ours]
    opt = make(ours, lr=lr, weight_decay=weight_decay, **{option.__name__: True})
    for k in range(1, STEPS + 1):
        grads = [*draw(k), np.ones(2000)]
        if k == STEPS:
            grads[-1][1:] = -0.01
        opt.step(grads)
        for p, g, s in zip(theirs, map(torch.tensor, grads), states, strict=True):
            u = option(torch, direction(torch, g, s, k), g)
            p.mul_(1 - lr * weight_decay).sub_(lr * u)
    assert_close(ours, theirs, 1e-9)


# -------------------------------------------------------------------- what is done to gradients


@pytest.mark.parametrize("axis", [0, -1])
def test_agc_is_that_of_nfnets_unit_by_unit(axis, torch):
    """Brock et al. 2021, equation 3, a unit at a time; torch's layers have their units first."""
    clip, eps = 0.02, 1e-3
    theirs = tensors(torch, draw(0))
    with torch.no_grad():
        theirs[0][:, 3] = 0  # units that begin at zero still move
        theirs[2][1] = 0
    ours = [p.detach().numpy().copy() for p in theirs]
    b = torch.optim.SGD(theirs, lr=0.1, momentum=0.9)
    a = lrcore.SGD(ours, lr=0.1, momentum=0.9, agc=lrcore.AGC(clip, eps, axis))
    clipped = 0
    for k in range(1, STEPS + 1):
        grads = [g * 10.0 ** (k % 5 - 3) for g in draw(k)]
        a.step(grads)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
            units = [(p.data, p.grad)]
            if p.ndim > 1:
                count = p.shape[axis]
                units = [(p.data.select(axis, i), p.grad.select(axis, i)) for i in range(count)]
            for unit, slope in units:
                most = clip * max(float(unit.norm()), eps)
                if float(slope.norm()) > most:
                    slope *= most / float(slope.norm())
                    clipped += 1
        b.step()
    assert 100 < clipped < STEPS * sum(s[axis] if len(s) > 1 else 1 for s in SHAPES) - 100
    assert_close(ours, theirs)


def network(torch, seed):
    torch.manual_seed(seed)
    nn = torch.nn
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1)).double()


def views(torch, module):
    return [p.detach().numpy() for p in module.parameters()]


def test_accumulation_is_that_of_backward_on_parts_of_the_loss(torch):
    """Our gradients are views of torch's, which zero_grads empties in place of opt.zero_grad()."""
    ours, theirs = network(torch, 0), network(torch, 0)
    x, y = torch.randn(STEPS, 4, 8, 6).double(), torch.randn(STEPS, 4, 8, 1).double()
    params = views(torch, ours)
    a = lrcore.SGD(params, lr=0.1, momentum=0.9, clip_norm=0.5, zero_grads=True)
    b = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    square = torch.nn.functional.mse_loss
    for some_x, some_y in zip(x, y, strict=True):
        b.zero_grad()
        for one_x, one_y in zip(some_x, some_y, strict=True):
            square(ours(one_x), one_y).backward()
            a.accumulate([p.grad.numpy() for p in ours.parameters()])
            (square(theirs(one_x), one_y) / 4).backward()
        a.step()
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        b.step()
        assert a.grad_norm == pytest.approx(float(norm), rel=1e-9)
    assert a.t == STEPS
    assert_close(params, list(theirs.parameters()), 1e-9)


def test_loss_scaler_is_grad_scaler_with_clipping_between_unscale_and_step(torch):
    ours, theirs = network(torch, 0).float(), network(torch, 0).float()
    params = views(torch, ours)
    scaler = lrcore.LossScaler(init=2.0**10, growth=4.0, backoff=0.25, every=5)
    options = {"loss_scale": scaler, "nonfinite": "skip", "zero_grads": True}
    a = lrcore.SGD(params, lr=0.1, momentum=0.9, clip_norm=0.5, **options)
    b = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    s = torch.amp.GradScaler(
        "cpu", init_scale=2.0**10, growth_factor=4.0, backoff_factor=0.25, growth_interval=5
    )
    made, scales = 0, set()
    for k in range(STEPS):
        torch.manual_seed(k)
        x, y = torch.randn(8, 6), torch.randn(8, 1)
        if k % 13 == 7:
            x[0, 0] = float("inf")
        losses = [((m(x) - y) ** 2).mean() for m in (ours, theirs)]
        (losses[0] * a.loss_scale).backward()
        made += a.step([p.grad.numpy() for p in ours.parameters()])
        b.zero_grad()
        s.scale(losses[1]).backward()
        s.unscale_(b)
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        s.step(b)
        s.update()
        assert a.loss_scale == s.get_scale()
        assert all(not p.grad.any() for p in ours.parameters())
        if k % 13 != 7:
            assert a.grad_norm == pytest.approx(float(norm), rel=1e-5)
        scales.add(a.loss_scale)
    assert made == a.t == STEPS - 5
    assert len(scales) > 2
    assert_close(params, list(theirs.parameters()), 1e-5)
