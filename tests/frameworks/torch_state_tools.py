"""What tests of the state of lrcore.torch share: parameters, updates, checkpoints, bits."""

import io
from contextlib import contextmanager
from importlib import import_module

import pytest


def ours(name):
    return getattr(import_module("lrcore.torch"), name)


def parameters(torch, name, dtype):
    """Of every layout; the last never gets a gradient."""
    torch.manual_seed(1)
    kind = getattr(torch, dtype)
    if name in ("Muon", "Shampoo", "SOAP"):
        shapes = [(4, 3), (5, 5), (2, 5)]
    elif name in ("Adafactor", "RowwiseAdagrad"):  # torch's divides by the number of elements
        shapes = [(4, 3), (5,), (), (2, 3, 4), (3,)]
    else:
        shapes = [(4, 3), (5,), (), (0, 3), (2, 3, 4, 4), (6, 4), (3,)]
    made = [torch.randn(shape).to(kind) for shape in shapes]
    if len(made) == 7:
        made[4], made[5] = made[4].to(memory_format=torch.channels_last), made[5].t()
    return [torch.nn.Parameter(p) for p in made]


def grouped(params):
    return [{"params": params[:2]}, {"params": params[2:], "lr": 0.01}]


def train(opt, params, first, last):
    """Updates with gradients that follow from their number; a closure gives the loss."""
    torch = import_module("torch")
    for i in range(first, last):
        drawn = torch.Generator().manual_seed(i)
        for p in params[:-1]:
            p.grad = torch.randn(p.shape, generator=drawn).to(p.dtype)
        opt.step(lambda i=i: torch.tensor(1.0 + 1 / (i + 1)))


def stored(torch, opt):
    """The checkpoint, through a file that may hold plain data alone."""
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def clones(torch, params):
    return [torch.nn.Parameter(p.detach().clone()) for p in params]


def distance(some, others):
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(some, others, strict=True)]
    far = [(a - b).abs().max() / (b.abs().max() or 1) for a, b in pairs if a.numel()]
    assert all(x.isfinite() for x in far)
    return float(max(far))


def bits(torch, x):
    """Something to compare, of tensors in any structure."""
    if isinstance(x, torch.Tensor):
        return (
            x.dtype,
            tuple(x.shape),
            x.detach().contiguous().reshape(-1).view(torch.uint8).tolist(),
        )
    if isinstance(x, dict):
        return {k: bits(torch, v) for k, v in x.items() if k != "params"}
    return [bits(torch, v) for v in x] if isinstance(x, (list, tuple)) else x


def assert_same(torch, some, others):
    assert [bits(torch, p) for p in some] == [bits(torch, p) for p in others]


# ---------------------------------------------------------------------------- errors


def two_steps(torch):
    """Parameters and an optimizer that has made two steps, and gradients for another."""
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(4, 3)), torch.nn.Parameter(torch.randn(5))]
    opt = ours("AdamW")(params, lr=0.1)
    for _ in range(2):
        gradients(torch, params)
        opt.step()
    gradients(torch, params)
    return params, opt


def gradients(torch, params):
    for p in params:
        p.grad = torch.randn(p.shape, dtype=p.dtype)


def seen(torch, opt):
    """All of an optimizer that an error must not change."""
    there = [p for g in opt.param_groups for p in g["params"]]
    params = [
        bits(torch, p) for p in there if p.device.type == "cpu" and p.untyped_storage().nbytes()
    ]
    state = {k: dict(v) for k, v in opt.state_dict()["state"].items()}
    groups = [{k: bits(torch, v) for k, v in g.items() if k != "params"} for g in opt.param_groups]
    return params, bits(torch, state), groups, list(map(id, there)), opt._parts[0].opt.t, opt.made


@contextmanager
def refused(torch, opt, error, match):
    """An error that names what is wrong, in one line, and changes nothing."""
    before = seen(torch, opt)
    with pytest.raises(error, match=match) as raised:
        yield
    assert "\n" not in str(raised.value)
    assert seen(torch, opt) == before
