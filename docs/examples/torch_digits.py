"""Handwritten digits in PyTorch, before and after one line is changed.

    python docs/examples/torch_digits.py

The line is the one that makes the optimizer: ``torch.optim.AdamW`` becomes ``lrcore.torch.AdamW``.
Each is trained in turns, from the same beginning on the same batches. What is printed: that both
reach the same, how long an epoch takes, and how much of that was the optimizer. The images come
with scikit-learn.
"""

import statistics
import time

import torch
from sklearn.datasets import load_digits

import lrcore.torch

BEFORE, FUSED, AFTER = "torch.optim.AdamW", "torch.optim.AdamW, fused=True", "lrcore.torch.AdamW"
OPTIMIZERS = {
    BEFORE: lambda params: torch.optim.AdamW(params, lr=2e-3),
    FUSED: lambda params: torch.optim.AdamW(params, lr=2e-3, fused=True),
    AFTER: lambda params: lrcore.torch.AdamW(params, lr=2e-3),
}
EPOCHS, TURNS, ROWS = 4, 5, 32


def data():
    """Images and digits, 1,437 to learn from and 360 to be asked for."""
    images, digits = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    y = torch.tensor(digits)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order[360:]], y[order[360:]], x[order[:360]], y[order[:360]]


def network():
    """Three layers that look at pixels, two that decide: 16 tensors, 57 thousand numbers."""
    torch.manual_seed(0)
    layers = []
    for inputs, outputs in ((1, 16), (16, 32), (32, 32)):
        layers += [torch.nn.Conv2d(inputs, outputs, 3, padding=1), torch.nn.BatchNorm2d(outputs)]
        layers += [torch.nn.ReLU()]
    layers += [torch.nn.MaxPool2d(2), torch.nn.Flatten()]
    layers += [torch.nn.Linear(512, 80), torch.nn.ReLU(), torch.nn.Linear(80, 10)]
    return torch.nn.Sequential(*layers)


def train(make, x, y):
    """Train; the network, the last loss, seconds of an epoch, and those of the optimizer."""
    model = network()
    opt = make(model.parameters())
    order = torch.Generator().manual_seed(1)
    inside, begun = 0.0, time.perf_counter()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x), generator=order).split(ROWS):
            opt.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            now = time.perf_counter()
            opt.step()
            inside += time.perf_counter() - now
    return model, loss.item(), (time.perf_counter() - begun) / EPOCHS, inside / EPOCHS


def accuracy(model, x, y):
    """The share of images that are read rightly."""
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def main():
    """Train with each in turns, and print what came of it."""
    x, y, unseen, wanted = data()
    torch.set_num_threads(1)  # more do not pay for so small a network
    seen = {name: [] for name in OPTIMIZERS}
    for turn in range(TURNS + 1):
        for name, make in OPTIMIZERS.items():
            model, *rest = train(make, x, y)
            if turn:  # the first warms up
                seen[name].append((accuracy(model, unseen, wanted), *rest))
    print(f"{'':32}  right   loss    an epoch  of it the optimizer")
    for name, runs in seen.items():
        right, loss, epoch, inside = (
            statistics.median(column) for column in zip(*runs, strict=True)
        )
        print(
            f"{name:32}  {right:.1%}  {loss:.4f}  {epoch * 1e3:5.0f} ms  {inside * 1e3:5.1f} ms, "
            f"{inside / epoch:.0%}"
        )
    for name in (BEFORE, FUSED):
        ratios = [a[2] / b[2] for a, b in zip(seen[name], seen[AFTER], strict=True)]
        print(
            f"the epoch is {statistics.median(ratios):.2f} times as fast as with {name} "
            f"(of {TURNS} turns {min(ratios):.2f} to {max(ratios):.2f})"
        )
    return seen


if __name__ == "__main__":
    main()
