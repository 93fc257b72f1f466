"""A language model of characters in PyTorch, before and after one line is changed.

    python docs/examples/torch_text.py

The line is the one that makes the optimizer: ``torch.optim.AdamW`` becomes ``lrcore.torch.AdamW``.
Besides, what only the latter has: the whole step inside of ``backward()``. Each is trained in turns
from the same beginning on the same batches. The text is Python's own manual of its keywords, which
comes with Python.
"""

import statistics
import time
from pydoc_data.topics import topics

import torch

import lrcore.torch

BEFORE, AFTER, INSIDE = "torch.optim.AdamW", "lrcore.torch.AdamW", "lrcore.torch.in_backward"
OPTIMIZERS = {
    BEFORE: lambda model: torch.optim.AdamW(model.parameters(), lr=3e-3),
    AFTER: lambda model: lrcore.torch.AdamW(model.parameters(), lr=3e-3),
    INSIDE: lambda model: lrcore.torch.in_backward(model, lrcore.torch.AdamW, lr=3e-3),
}
UPDATES, TURNS, ROWS, LENGTH, WIDTH = 150, 4, 16, 32, 48


def data():
    """The text as numbers: what is learned from, what is asked for, and how many characters."""
    text = "\n".join(topics[name] for name in sorted(topics))
    alphabet = sorted(set(text))
    number = {c: i for i, c in enumerate(alphabet)}
    text = torch.tensor([number[c] for c in text])
    return text[:-20_000], text[-20_000:], len(alphabet)


class Block(torch.nn.Module):
    """Attention to the characters before, then a network of each."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.qkv, self.out = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        """Add what was found to what was there."""
        q, k, v = self.qkv(self.first(x)).unflatten(2, (3, 4, -1)).permute(2, 0, 3, 1, 4)
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.down(self.up(self.second(x)).relu())


class Language(torch.nn.Module):
    """Scores of the next character; the vectors of the characters serve at both ends."""

    def __init__(self, size):
        super().__init__()
        self.table = torch.nn.Embedding(size, WIDTH)
        self.places = torch.nn.Parameter(torch.zeros(LENGTH, WIDTH))
        self.blocks = torch.nn.Sequential(Block(), Block(), Block())
        self.norm = torch.nn.LayerNorm(WIDTH)
        torch.nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, x):
        """Scores of all next characters, one row each."""
        seen = self.norm(self.blocks(self.table(x) + self.places[: x.shape[1]]))
        return (seen @ self.table.weight.T).flatten(0, 1)


def batch(text, chosen):
    """Pieces of the text, and what comes next in each."""
    begin = torch.randint(0, len(text) - LENGTH, (ROWS,), generator=chosen)
    rows = text[begin[:, None] + torch.arange(LENGTH + 1)]
    return rows[:, :-1], rows[:, 1:].flatten()


def train(name, text, size):
    """Train; the model, the seconds of an update, and those of the optimizer in it."""
    torch.manual_seed(0)
    model, chosen = Language(size), torch.Generator().manual_seed(1)
    opt = OPTIMIZERS[name](model)
    inside, begun = 0.0, time.perf_counter()
    for _ in range(UPDATES):
        x, y = batch(text, chosen)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        if name != INSIDE:
            now = time.perf_counter()
            opt.step()
            inside += time.perf_counter() - now
            opt.zero_grad()
    return model, (time.perf_counter() - begun) / UPDATES, inside / UPDATES


def loss_of(model, text):
    """Bits that a character of unseen text takes."""
    rows = text[: len(text) // (LENGTH + 1) * (LENGTH + 1)].reshape(-1, LENGTH + 1)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(model(rows[:, :-1]), rows[:, 1:].flatten())
    return loss.item() / torch.log(torch.tensor(2.0)).item()


def main():
    """Train with each in turns, and print what came of it."""
    text, unseen, size = data()
    torch.set_num_threads(1)  # more do not pay for so small a network
    seen = {name: [] for name in OPTIMIZERS}
    for turn in range(TURNS + 1):
        for name in OPTIMIZERS:
            model, *rest = train(name, text, size)
            if turn:  # the first warms up
                seen[name].append((loss_of(model, unseen), *rest))
    print(f"{len(text):,} characters, {sum(p.numel() for p in model.parameters()):,} parameters")
    print(f"{'':26}  bits a character  an update  of it step()  times as fast (turns)")
    for name, runs in seen.items():
        bits, whole, inside = (statistics.median(column) for column in zip(*runs, strict=True))
        ratios = [a[1] / b[1] for a, b in zip(seen[BEFORE], runs, strict=True)]
        print(
            f"{name:26}  {bits:16.4f}  {whole * 1e3:6.2f} ms  {inside * 1e3:9.2f} ms  "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    return seen


if __name__ == "__main__":
    main()
