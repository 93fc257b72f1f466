"""lrcore.torch under a torch.amp.GradScaler: the same steps and the same skips as torch's own."""

from copy import deepcopy

import numpy as np
import pytest
from oracles.harness import framework

import lrcore

pytestmark = pytest.mark.frameworks
torch = framework("torch")
framework("lrcore.torch")

RULES = {
    "AdamW": {"lr": 1e-2},
    "SGD": {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    "RMSprop": {"lr": 1e-3},
    "Adagrad": {"lr": 1e-2},
}
#: Steps whose loss overflows: the first, one after another, and one alone.
OVERFLOWS = (0, 1, 9)
STEPS = 20
#: Overflows halve, four good steps double; no power of two, so that to divide rounds.
SCALER = {"init_scale": 1000.0, "growth_interval": 4}


def model():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))


def train(make, *, clip=None, unscale=False, dtype=None, enabled=True, each=None):
    """Train; returns the parameters and the scale after each step."""
    net = model()
    opt = make(net.parameters())
    scaler = torch.amp.GradScaler("cpu", **SCALER, enabled=enabled)
    data = torch.Generator().manual_seed(4)
    scales = []
    for step in range(STEPS):
        x, y = torch.randn(32, 8, generator=data), torch.randn(32, 2, generator=data)
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            loss = torch.nn.functional.mse_loss(net(x), y)
        if enabled and step in OVERFLOWS:
            loss = loss * float("inf")
        opt.zero_grad()
        scaler.scale(loss).backward()
        if unscale:
            scaler.unscale_(opt)
        if clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        before = deepcopy((list(net.parameters()), opt.state_dict())) if each else None
        scaler.step(opt)
        scaler.update()
        scales.append(scaler.get_scale())
        if each:
            each(step, before, net, opt)
    return [p.detach().numpy() for p in net.parameters()], scales


def close(ours, theirs):
    """To 1e-6 of the largest element, and not by standing still."""
    for a, b, start in zip(ours, theirs, model().parameters(), strict=True):
        assert np.abs(a - b).max() <= 1e-6 * np.abs(b).max()
        assert np.abs(a - start.detach().numpy()).max() > 1e-3


@pytest.mark.parametrize("how", [{}, {"unscale": True}, {"unscale": True, "clip": 0.5}])
@pytest.mark.parametrize("rule", RULES)
def test_the_steps_are_torchs(rule, how):
    ours, scales = train(lambda p: getattr(lrcore.torch, rule)(p, **RULES[rule]), **how)
    theirs, wanted = train(lambda p: getattr(torch.optim, rule)(p, **RULES[rule]), **how)
    close(ours, theirs)
    assert scales == wanted
    assert min(scales) < scales[-1]


def test_the_steps_are_those_of_the_fused_form_that_divides_inside():
    ours, scales = train(lambda p: lrcore.torch.AdamW(p, lr=1e-2))
    theirs, wanted = train(lambda p: torch.optim.AdamW(p, lr=1e-2, fused=True))
    close(ours, theirs)
    assert scales == wanted


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_autocast(dtype):
    # The gradients have rounding errors of autocast's format, alike in both: the weights that the
    # forward pass rounds differ by less than its last bit, and rarely fall to another side.
    ours, scales = train(lambda p: lrcore.torch.SGD(p, lr=0.05, momentum=0.9), dtype=dtype)
    theirs, wanted = train(lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), dtype=dtype)
    close(ours, theirs)
    assert scales == wanted


def test_the_rules_own_clipping_is_of_divided_gradients():
    ours, scales = train(lambda p: lrcore.torch.AdamW(p, lr=1e-2, clip_norm=0.5))
    theirs, wanted = train(lambda p: torch.optim.AdamW(p, lr=1e-2), unscale=True, clip=0.5)
    close(ours, theirs)
    assert scales == wanted


def test_a_scaler_that_is_off_changes_no_bit():
    ours, _ = train(lambda p: lrcore.torch.AdamW(p), enabled=False)
    net = model()
    opt = lrcore.torch.AdamW(net.parameters())
    data = torch.Generator().manual_seed(4)
    for _ in range(STEPS):
        x, y = torch.randn(32, 8, generator=data), torch.randn(32, 2, generator=data)
        opt.zero_grad()
        torch.nn.functional.mse_loss(net(x), y).backward()
        opt.step()
    for a, p in zip(ours, net.parameters(), strict=True):
        assert np.array_equal(a, p.detach().numpy())


def bits(x):
    """All that is in nested containers, tensors as the bytes of their numbers."""
    if isinstance(x, dict):
        return {k: bits(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [bits(v) for v in x]
    return x.detach().numpy().tobytes() if isinstance(x, torch.Tensor) else x


@pytest.mark.parametrize("unscale", [False, True])
def test_a_skipped_step_changes_nothing(unscale):
    made = []

    def look(step, before, net, opt):
        now = (list(net.parameters()), opt.state_dict())
        same = bits(before) == bits(now)
        assert same is (step in OVERFLOWS)
        assert opt.made is not same
        made.append(opt.made)

    train(lambda p: lrcore.torch.AdamW(p), unscale=unscale, each=look)
    assert made.count(False) == len(OVERFLOWS)


@pytest.mark.parametrize("rule", lrcore.optimizers.__all__)
def test_every_rule_divides_as_it_is_told(rule):
    """By a power of two, which rounds nothing: the bits of gradients that were not multiplied."""
    made = []
    for scale in (1.0, 2.0**7):
        p = torch.nn.Parameter(torch.linspace(-1, 1, 24).reshape(6, 4))
        opt = getattr(lrcore.torch, rule)([p])
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        for step in range(4):
            loss = (p * p * torch.linspace(0.5, 2, 24).reshape(6, 4)).sum() * (step + 1)
            opt.zero_grad()
            scaler.scale(loss).backward()
            more = {"loss": float(loss.detach())} if opt.lrcore.needs_loss else {}
            scaler.step(opt, **more)
            scaler.update()
        made.append(p.detach().clone())
    assert torch.equal(*made)
    assert not torch.equal(made[0], torch.linspace(-1, 1, 24).reshape(6, 4))


def test_a_step_without_the_scaler_is_not_divided():
    p = torch.nn.Parameter(torch.zeros(3))
    opt = lrcore.torch.SGD([p], lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(p.sum()).backward()
    scaler.step(opt)
    assert torch.equal(p.detach(), torch.full((3,), -1.0))
    opt.step()  # with what the scaler left, 8 times the gradient
    assert torch.equal(p.detach(), torch.full((3,), -9.0))


def test_two_scalers_are_refused():
    p = torch.nn.Parameter(torch.ones(3))
    opt = lrcore.torch.AdamW([p], loss_scale=lrcore.LossScaler(), nonfinite="skip")
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(p.sum()).backward()
    with pytest.raises(
        ValueError, match=r"AdamW: loss_scale must be None with a torch.amp.GradScal"
    ):
        scaler.step(opt)
    assert torch.equal(p.detach(), torch.ones(3))
    assert len(opt.state) == 0


def test_the_scaler_of_shards_does_not_leave_it_to_the_optimizer():
    p = torch.nn.Parameter(torch.ones(3))
    assert lrcore.torch.AdamW([p])._step_supports_amp_scaling
    p._fsdp_flattened = True  # as FullyShardedDataParallel marks them
    assert not lrcore.torch.AdamW([p])._step_supports_amp_scaling
