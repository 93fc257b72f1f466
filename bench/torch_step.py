"""``lrcore.torch`` against ``torch.optim``: steps of each, in turns, in one process.

    python bench/torch_step.py [--quick] [WORD ...]

Prints the rows of the table in docs/torch.md; words choose the cases whose names have one of them.
Two threads for both, float32, tensors made by torch, gradients as a training step leaves them.
Of torch the best mode a rule has: fused where there is one, or else the faster of foreach and
for-loop.
"""

import gc
import sys
from functools import partial
from math import prod

import torch

import lrcore
import lrcore.torch
from lrcore._bench import Case, measure

THREADS = 2
#: GPT-2 small: 148 tensors.
BLOCK = [(768,)] * 4 + [
    (768, 2304), (2304,), (768, 768), (768,), (768, 3072), (3072,), (3072, 768), (768,),
]  # fmt: skip
GPT2 = [(50257, 768), (1024, 768), *BLOCK * 12, (768,), (768,)]
#: A multilayer perceptron of 20 tensors, 26 thousand parameters.
PERCEPTRON = [(64, 50), (50,), *[(50, 50), (50,)] * 8, (50, 10), (10,)]
UNFUSED = ("RMSprop", "Adadelta", "NAdam", "RAdam", "Adamax")
ROUNDS = 15


def tensors(shapes, seed):
    """Parameters with gradients, the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    made = [torch.nn.Parameter(torch.randn(s, generator=generator)) for s in shapes]
    for p in made:
        p.grad = torch.randn(p.shape, generator=generator)
    return made


def case(name, shapes, rule, modes, aim):
    """One rule on tensors of some shapes, against torch in some of its modes."""
    ours, rivals = tensors(shapes, 0), {}
    step = getattr(lrcore.torch, rule)(ours, lr=1e-3).step
    for mode, how in modes.items():
        theirs = tensors(shapes, 0)
        rivals[mode] = getattr(torch.optim, rule)(theirs, lr=1e-3, **how).step
        check(rule, step if mode == next(iter(modes)) else None, rivals[mode], ours, theirs)
    return Case(name, sum(map(prod, shapes)), step, rivals, dict.fromkeys(rivals, aim))


def check(rule, step, rival, ours, theirs):
    """One step of each must agree before any is timed."""
    if step:
        step()
    rival()
    for p, q in zip(ours, theirs, strict=True):
        if not torch.allclose(p, q, rtol=1e-4, atol=1e-6):
            raise AssertionError(f"{rule}: a step of torch's does not agree with ours")


def cases(quick):
    """Made one after the other, so that the tensors of one are gone before the next."""
    fused = {"fused": {"fused": True}}
    large, middle = (2_000_000, 1_000_000) if quick else (50_000_000, 10_000_000)
    for name, shapes, aim in (
        ("1000 tensors of 256", [(256,)] * 1000, 10),
        ("perceptron, 20 tensors", PERCEPTRON, 5),
        ("1 M", [(1000, 1000)], 1.5),
        (f"{large // 1_000_000} M", [(large,)], 1),
        ("GPT-2 small, 148 tensors", GPT2[2:15] if quick else GPT2, 1),
    ):
        yield partial(case, f"AdamW, {name}", shapes, "AdamW", fused, aim)
    loops = {"foreach": {"foreach": True}, "for-loop": {"foreach": False}}
    for rule in UNFUSED:
        yield partial(case, f"{rule}, {middle // 1_000_000} M", [(1000, middle // 1000)], rule,
                      loops, 4)  # fmt: skip
    yield partial(case, f"Adagrad, {middle // 1_000_000} M", [(1000, middle // 1000)], "Adagrad",
                  fused, 4)  # fmt: skip


def said(seconds):
    """A time in the unit that suits it."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def main(words):
    """Print the table."""
    quick = "--quick" in words
    words = [w for w in words if not w.startswith("--")]
    torch.set_num_threads(THREADS)
    lrcore.set_num_threads(THREADS)
    print("| case | lrcore.torch | torch.optim | takes | ratio (quartiles) | aim |")
    print("|---|---|---|---|---|---|")
    for make in cases(quick):
        if words and not any(w in make.args[0] for w in words):
            continue
        made = make()
        best = min(measure(made, 5 if quick else ROUNDS), key=lambda row: row["ratio"])
        print(
            f"| {best['case']} | {said(best['ours_ns'] * 1e-9)} | {best['rival']} "
            f"| {said(best['rival_ns'] * 1e-9)} | {best['ratio']:.2f} "
            f"({best['ratio_low']:.2f}-{best['ratio_high']:.2f}) | {best['target']} |",
            flush=True,
        )
        del made
        gc.collect()


if __name__ == "__main__":
    main(sys.argv[1:])
