"""The instruments around a loop of torch: nothing of it is left changed."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.harness import framework

import lrcore
from lrcore import LRFinder
from lrcore.instruments.finder import family
from lrcore.instruments.restore import Batches, Restored

STEPS = 10


@pytest.mark.frameworks
def test_a_loop_of_torch():
    torch = framework("torch")
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    opt = torch.optim.AdamW(model.parameters(), lr=0.01)
    data = torch.utils.data.TensorDataset(torch.randn(64, 4), torch.randn(64, 1))
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)

    def train(steps):
        losses, batches = [], Batches("test", loader)
        for _ in range(steps):
            x, y = next(batches)
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            opt.step()
            opt.zero_grad()
            losses.append(loss.item())
        return losses

    train(3)
    with Restored(opt, model.forward, loader):
        first = train(STEPS)
        model(torch.randn(3, 4)).sum().backward()
    with Restored(opt, batches=loader, also=[model]):
        assert train(STEPS) == first
    assert train(STEPS) == first


@pytest.mark.frameworks
@pytest.mark.parametrize("depth", [1, 4])
def test_what_nested_modules_keep(depth):
    torch = framework("torch")
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    for _ in range(depth):
        model = torch.nn.Sequential(model, torch.nn.Linear(4, 4))
    params = {name: p.detach().numpy() for name, p in model.named_parameters()}

    def loss_and_grads(batch):
        model.zero_grad()
        loss = (model(batch) ** 2).mean()
        loss.backward()
        return loss.item(), {name: p.grad.numpy() for name, p in model.named_parameters()}

    kept = {name: x.clone() for name, x in model.state_dict().items()}
    lrcore.lr_find(lrcore.SGD(params, lr=0.1), loss_and_grads, [torch.randn(8, 4)] * 3, steps=10)
    for name, x in model.state_dict().items():
        assert torch.equal(x, kept[name]), name


@pytest.mark.frameworks
@pytest.mark.parametrize(("rule", "low", "high"), [("SGD", 0.05, 2.0), ("Adam", 0.003, 0.3)])
def test_the_finder_in_a_loop_of_torch(rule, low, high):
    torch = framework("torch")
    torch.manual_seed(0)
    x = torch.randn(640, 10)
    y = (x @ torch.randn(10) > 0).long()
    model = torch.nn.Sequential(torch.nn.Linear(10, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2))
    opt = getattr(torch.optim, rule)(model.parameters(), lr=0.1)
    data = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)

    def loss_of(batch):
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])

    def train(steps):
        batches, losses = Batches("test", loader), []
        for _ in range(steps):
            opt.zero_grad()
            loss = loss_of(next(batches))
            loss.backward()
            opt.step()
            losses.append(loss.item())
        return losses

    finder = LRFinder(steps=50, short=150, rule=opt)
    with Restored(opt, batches=loader, also=[model]) as kept:
        expected = train(STEPS)
        while not finder.done:
            if finder.begins:
                kept.put_back()
                batches = Batches("test", loader)
            opt.param_groups[0]["lr"] = finder.ask()
            opt.zero_grad()
            batch = next(batches)
            loss = loss_of(batch)
            loss.backward()
            before = [p.detach().clone() for p in model.parameters()]
            opt.step()
            with torch.no_grad():
                moved = zip(model.parameters(), before, strict=True)
                slope = sum(float((p.grad * (p - q)).sum()) for p, q in moved)
                finder.tell(loss.item(), slope=slope, loss_after=loss_of(batch).item())
    found = finder.result()
    assert low < found.suggested < high
    assert found.reliable
    assert 30 <= found.horizon <= 50
    assert train(STEPS) == expected
    assert opt.param_groups[0]["lr"] == 0.1


@pytest.mark.frameworks
def test_an_optimizer_of_torch_has_the_family_of_ours():
    torch = framework("torch")
    p = torch.nn.Parameter(torch.zeros(3))
    pairs = [
        (torch.optim.SGD([p], lr=0.1, momentum=0.9), lrcore.SGD(np.zeros(3), momentum=0.9)),
        (torch.optim.Adam([p]), lrcore.Adam(np.zeros(3))),
        (torch.optim.Adagrad([p]), lrcore.Adagrad(np.zeros(3))),
    ]
    for theirs, ours in pairs:
        assert family.named("x", theirs) == pytest.approx(family.of(ours), abs=1e-6)
