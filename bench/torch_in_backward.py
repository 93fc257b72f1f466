"""``lrcore.torch.in_backward`` against ``step()`` after ``backward()``: time and memory.

    OMP_WAIT_POLICY=passive python bench/torch_in_backward.py [--quick] [WORD ...]

Whole training steps (forward, backward, update, freeing the gradients) of models with AdamW in
float32 and two threads; words choose those whose names have one of them. Times are taken in turns
in one process; the ratio is that of a turn. The peak is of a process of its own for each way, above
what that had before the model was made, where freed memory goes back to the system at once: by
default glibc keeps blocks below 32 MiB for later, and the process stays larger. Threads of OpenMP
that spin between torch's operations make all times useless where the cores have other work.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import torch

import lrcore
import lrcore.torch

THREADS, ROUNDS, STEPS = 2, 15, 3


class Perceptron(torch.nn.Module):
    """28 million parameters in 12 tensors."""

    rows = 32

    def __init__(self, width=2560):
        super().__init__()
        sizes = [784, *[width] * 5, 10]
        layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x):
        """Logits of a batch of images."""
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)

    @classmethod
    def batch(cls):
        """Noise instead of images: the time is the same."""
        return torch.randn(cls.rows, 784), torch.randint(0, 10, (cls.rows,))


class Block(torch.nn.Module):
    """A block of GPT-2."""

    def __init__(self, width):
        super().__init__()
        self.norms = torch.nn.ModuleList([torch.nn.LayerNorm(width) for _ in range(2)])
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x):
        """Attention to what came before, then a network of each word."""
        n, t, c = x.shape
        q, k, v = self.qkv(self.norms[0](x)).view(n, t, 3, 12, c // 12).permute(2, 0, 3, 1, 4)
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(n, t, c))
        return x + self.down(torch.nn.functional.gelu(self.up(self.norms[1](x))))


class Language(torch.nn.Module):
    """The shapes of GPT-2 small: 124 million parameters, the table of words used twice."""

    words, length = 50257, 64

    def __init__(self, width=768, depth=12):
        super().__init__()
        self.table = torch.nn.Embedding(self.words, width)
        self.places = torch.nn.Parameter(torch.randn(1024, width) * 0.01)
        self.blocks = torch.nn.Sequential(*[Block(width) for _ in range(depth)])
        self.norm = torch.nn.LayerNorm(width)

    def forward(self, x):
        """Logits of the next words."""
        x = self.norm(self.blocks(self.table(x) + self.places[: x.shape[1]]))
        return (x @ self.table.weight.T).flatten(0, 1)

    @classmethod
    def batch(cls):
        """Words by chance."""
        words = torch.randint(0, cls.words, (cls.length + 1,))
        return words[None, :-1], words[1:]


def plain(model):
    """An optimizer of `lrcore.torch`."""
    return lrcore.torch.AdamW(model.parameters(), lr=1e-4)


def in_backward(model):
    """The same inside of backward."""
    return lrcore.torch.in_backward(model, lrcore.torch.AdamW, lr=1e-4)


def fused(model):
    """That of torch."""
    return torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)


WAYS = {"in_backward": in_backward, "step()": plain, "torch fused step()": fused}


def models(quick):
    """Name: what makes the model, and its class."""
    if quick:
        return {"perceptron": lambda: Perceptron(64)}
    return {"perceptron, 28 M": Perceptron, "GPT-2 small, 124 M": Language}


def made(make, way):
    """A training step of a model, and the model."""
    torch.manual_seed(0)
    model = make()
    opt = WAYS[way](model)

    def train(batch):
        loss = torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        if way != "in_backward":
            opt.step()
            opt.zero_grad()

    return train, model, opt


def set_threads():
    """The same for both."""
    torch.set_num_threads(THREADS)
    lrcore.set_num_threads(THREADS)


def times(make, rounds):
    """Seconds of a step of each way, in turns; those that compute the same must agree."""
    ways = {way: made(make, way) for way in WAYS}
    out = {way: [] for way in WAYS}
    batch = type(ways["step()"][1]).batch()
    for i in range(rounds + 2):
        for way, (train, _, _) in sorted(ways.items(), reverse=bool(i % 2)):
            begun = time.perf_counter()
            train(batch)
            out[way].append(time.perf_counter() - begun)
    pairs = zip(*(ways[w][1].parameters() for w in ("in_backward", "step()")), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)
    return {way: seen[2:] for way, seen in out.items()}


def most():
    """The most memory this process has had, in MiB; of Linux."""
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def memory_of(name, way, quick):
    """Print the memory of some steps, in MiB."""
    before = most()
    train, model, _ = made(models(quick)[name], way)
    for _ in range(STEPS):
        train(model.batch())
    print(most() - before)


def memory(name, way, quick):
    """The same, of a process of its own."""
    command = [sys.executable, __file__, "--memory", name, way, *["--quick"] * quick]
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return float(done.stdout)


def main(words):
    """Print the table."""
    quick = "--quick" in words
    set_threads()
    if words[:1] == ["--memory"]:
        memory_of(words[1], words[2], quick)
        return
    print("| model | way | a training step | `step()` takes (quartiles) | peak memory |")
    print("|---|---|---|---|---|")
    words = [w for w in words if not w.startswith("--")]
    for name, make in models(quick).items():
        if words and not any(w in name for w in words):
            continue
        seen = times(make, 3 if quick else ROUNDS)
        for way in WAYS:
            ratios = [a / b for a, b in zip(seen["step()"], seen[way], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(
                f"| {name} | {way} | {statistics.median(seen[way]) * 1e3:.3g} ms | {middle:.2f} "
                f"({low:.2f}-{high:.2f}) | {memory(name, way, quick):.0f} MiB |",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
