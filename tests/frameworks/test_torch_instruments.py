"""The instruments around a model and a loader of torch: right answers, and nothing left changed."""

import copy
import random

import numpy as np
import pytest
from oracles.harness import framework
from support import message_of

import lrcore
from lrcore import schedules
from lrcore.instruments.finder import family
from lrcore.instruments.restore import Restored

pytestmark = pytest.mark.frameworks
torch = framework("torch")
lt = framework("lrcore.torch")
F = torch.nn.functional


def data(n=640):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(n, 10, generator=g)
    return x, (x @ torch.randn(10, generator=g) > 0).long()


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(10, 32),
        torch.nn.BatchNorm1d(32),
        torch.nn.Dropout(0.2),
        torch.nn.Tanh(),
        torch.nn.Linear(32, 2),
    )


def loader(generator=None):
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*data()), batch_size=32, shuffle=True, generator=generator
    )


def train(model, opt, batches, epochs=1):
    losses = []
    for _ in range(epochs):
        for x, y in batches:
            opt.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
            losses.append(loss.item())
    return losses


def numbers(model, opt):
    """All that may not change."""
    out = [x.clone() for x in model.state_dict().values()]
    out += [p.grad.clone() for p in model.parameters() if p.grad is not None]
    out += [v.clone() for e in opt.state.values() for v in e.values()]
    return out


MADE = {
    "SGD": lambda p: lt.SGD(p, lr=0.1, momentum=0.9),
    "AdamW": lambda p: lt.AdamW(p, lr=schedules.Cosine(0.01, steps=100), ema=0.9),
    "named": lambda p: lt.Adam([(f"w{i}", x) for i, x in enumerate(p)]),
    "groups": lambda p: lt.Lion([{"params": list(p)[:2], "lr": 0.1}, {"params": list(p)[2:]}]),
    "ScheduleFreeAdamW": lambda p: lt.ScheduleFreeAdamW(p, lr=torch.tensor(0.01)),
    "Muon": lambda p: lt.Muon(p),
    "PolyakSGD": lambda p: lt.PolyakSGD(p, max_lr=0.1),
}
USES = {
    "lr_find": lambda opt, f, batches: lrcore.lr_find(opt, f, batches, steps=20),
    "loss_only": lambda opt, f, batches: lrcore.lr_find(
        opt, f, batches, steps=20, loss_only=f.loss
    ),
    "lr_range_test": lambda opt, f, batches: lrcore.lr_range_test(opt, f, batches, steps=12),
    "probe_lr": lambda opt, f, batches: lrcore.probe_lr(opt, f, batches, steps=4, repeats=2),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_everything_is_put_back(make, use):
    batches = loader(torch.Generator().manual_seed(3))
    model = network()
    opt = make([*model.parameters()])
    f = lt.loss_and_grads(model, F.cross_entropy, opt)
    use(opt, f, batches)  # before the first step
    x, y = next(iter(batches))
    F.cross_entropy(model(x), y).backward()
    opt.step(loss=1.0)
    model[0].weight.data = model[0].weight.data.clone()  # it is followed
    twin, other, same_order = copy.deepcopy((model, opt, batches))
    before = numbers(model, opt)
    states = random.getstate(), torch.get_rng_state()
    use(opt, f, batches)
    for a, b in zip(numbers(model, opt), before, strict=True):
        assert torch.equal(a, b)
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    if "max_lr" in opt.defaults:
        return
    one = train(model, opt, batches)
    torch.set_rng_state(states[1])
    assert train(twin, other, same_order) == one


def test_the_mode_is_put_back():
    model = network()
    opt = lt.SGD(model.parameters(), lr=0.1)
    model[2].eval()

    def loss_fn(model, batch):
        model.train()
        model[1].eval()
        return F.cross_entropy(model(batch["x"]), batch["y"])

    batches = [dict(zip("xy", pair, strict=True)) for pair in loader()]
    lrcore.lr_find(opt, lt.loss_and_grads(model, loss_fn, opt), batches, steps=10)
    assert [m.training for m in model] == [True, True, False, True, True]


@pytest.mark.parametrize(("name", "low", "high"), [("SGD", 0.05, 2.0), ("Adam", 0.003, 0.3)])
def test_a_rate_is_found(name, low, high):
    model = network()
    opt = getattr(lt, name)(model.parameters())
    found = lrcore.lr_find(opt, lt.loss_and_grads(model, F.cross_entropy, opt), loader())
    assert found.reliable
    assert low < found.suggested < high


def test_what_it_finds_is_what_arrays_find():
    torch.manual_seed(0)
    x, y = torch.randn(320, 6, dtype=torch.float64), torch.randn(320, 1, dtype=torch.float64)
    model = torch.nn.Linear(6, 1).double()
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 320, 32)]
    opt = lt.Adam(model.parameters())
    found = lrcore.lr_find(opt, lt.loss_and_grads(model, F.mse_loss, opt), batches)
    w, b = (p.detach().numpy().copy() for p in model.parameters())

    def by_hand(batch):
        rows, wanted = (t.numpy() for t in batch)
        error = rows @ w.T + b - wanted
        return (error**2).mean(), [2 * error.T @ rows / len(rows), 2 * error.mean(axis=0)]

    expected = lrcore.lr_find(lrcore.Adam([w, b]), by_hand, batches)
    assert found.suggested == pytest.approx(expected.suggested, rel=1e-6)
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-9)


def test_a_probe_says_where_a_better_rate_is():
    model = network()
    opt = lt.SGD(model.parameters(), lr=1e-3)
    found = lrcore.probe_lr(opt, lt.loss_and_grads(model, F.cross_entropy, opt), loader(), steps=20)
    assert found.best == 3.0
    assert found.decided


def test_gradients_of_all_kinds():
    class Mixed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.table = torch.nn.Embedding(30, 4, sparse=True)
            self.image = torch.nn.Conv2d(4, 2, 1).to(memory_format=torch.channels_last)
            self.unused = torch.nn.Linear(3, 3)
            self.frozen = torch.nn.Linear(2, 2).requires_grad_(False)

        def forward(self, words):
            seen = self.table(words).T.reshape(1, 4, 2, 3)
            return self.frozen(self.image(seen).mean(dim=(2, 3)))

    model = Mixed()
    opt = lt.Adagrad(model.parameters())
    f = lt.loss_and_grads(model, F.cross_entropy, opt)
    batch = torch.tensor([1, 2, 2, 5, 7, 8]), torch.tensor([1])
    loss, (grads,) = f(batch)
    assert all(p.grad is None for p in model.parameters())
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    assert loss == f.loss(batch)
    assert isinstance(grads[0], lrcore.RowGrad)
    dense = np.zeros((30, 4), np.float32)
    np.add.at(dense, grads[0].indices, grads[0].values)
    assert (dense == model.table.weight.grad.to_dense().numpy()).all()
    assert (grads[1] == model.image.weight.grad.numpy()).all()
    assert grads[3:] == [None] * 4
    kept = copy.deepcopy(model.state_dict())
    lrcore.lr_find(opt, f, [batch] * 3, steps=10)
    for name, x in model.state_dict().items():
        assert torch.equal(x, kept[name])


def test_a_monitor_says_what_it_says_of_arrays():
    torch.manual_seed(0)
    curvature = torch.logspace(-1, 0, 50)
    w = torch.nn.Parameter(torch.randn(50))
    array = w.detach().numpy().copy()
    opt, twin = lt.SGD([w], lr=1e-3), lrcore.SGD([array], lr=1e-3)
    with lrcore.Monitor(opt, every=1) as monitor, lrcore.Monitor(twin, every=1) as other:
        for i in range(1000):
            opt.zero_grad()
            loss = 0.5 * (curvature * w**2).sum()
            loss.backward()
            w.grad += 0.01 * torch.randn(50)
            if i == 500:
                w.data = w.data.clone()
            twin.step([w.grad.numpy()])
            opt.step()
            monitor.update(loss)
            other.update(loss.item())
        assert monitor.measured
        report = monitor.report()
    assert report.rate == "too_low"
    assert report.to_dict() == other.report().to_dict()


def test_a_run_of_torch_is_judged_by_its_losses():
    torch.manual_seed(0)
    w = torch.nn.Parameter(torch.ones(20))
    opt = torch.optim.SGD([w], lr=2.1)
    with pytest.raises(TypeError, match=r"of lrcore, got SGD; diagnose\(losses\)"):
        lrcore.Monitor(opt)
    losses = []
    for _ in range(300):
        opt.zero_grad()
        loss = 0.5 * (w**2).sum()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    assert lrcore.diagnose(losses).verdict == "diverged"


def test_the_family_is_that_of_the_rule():
    p = torch.nn.Parameter(torch.zeros(3))
    assert family.named("x", lt.PolyakSGD([p])) == family.of(lrcore.PolyakSGD(np.zeros(3)))
    assert family.named("x", lt.SGD([p], momentum=0.9)) == family.of(
        lrcore.SGD(np.zeros(3), momentum=0.9)
    )


@pytest.mark.parametrize("name", ["SGD", "AdamW", "ScheduleFreeAdamW", "Prodigy"])
def test_restored_takes_an_optimizer_of_torch(name):
    model = network()
    opt = getattr(lt, name)(model.parameters())
    batches = list(loader())
    for _ in range(2):
        with Restored(opt, also=[model]):
            first = train(model, opt, batches)
        with Restored(opt, also=[model]):
            assert train(model, opt, batches) == first
        train(model, opt, batches[:3])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m, o: lt.loss_and_grads(3, F.cross_entropy, o), "model must be a torch.nn.Module"),
        (lambda m, o: lt.loss_and_grads(m, 3, o), "loss_fn must be callable, got 3"),
        (
            lambda m, o: lt.loss_and_grads(m, F.l1_loss, torch.optim.SGD(m.parameters())),
            "optimizer must be one of lrcore.torch, got SGD",
        ),
        (
            lambda m, o: lt.loss_and_grads(m, F.l1_loss, _removed(lt.in_backward(m, lt.SGD))),
            "one of this library for each parameter",
        ),
        (
            lambda m, o: lt.loss_and_grads(m, lambda m, b: m(b), o)(torch.ones(2, 10)),
            r"loss_fn must return a tensor of one number, got \(2, 2\)",
        ),
        (
            lambda m, o: lt.loss_and_grads(m, lambda m, b: 3.0, o)(torch.ones(2, 10)),
            "loss_fn must return a tensor of one number, got float",
        ),
        (lambda m, o: lrcore.lr_find(torch.optim.SGD(m.parameters()), id, [1]), "an optimizer of"),
    ],
)
def test_refused(call, text):
    model = network()
    opt = lt.SGD(model.parameters())
    with pytest.raises((TypeError, ValueError), match=text) as error:
        call(model, opt)
    message_of(error)


def _removed(opt):
    opt.remove()
    return opt


def test_an_optimizer_that_is_gone():
    model = network()
    f = lt.loss_and_grads(model, F.cross_entropy, lt.SGD(model.parameters()))
    with pytest.raises(RuntimeError, match="the optimizer must be kept"):
        f(next(iter(loader())))
