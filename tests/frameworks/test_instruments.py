"""The instruments around a loop of torch: nothing of it is left changed."""

from __future__ import annotations

import pytest
from oracles.harness import framework

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
