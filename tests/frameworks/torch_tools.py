"""Rules of torch.optim and of lrcore.torch side by side: parameters, gradients, distance."""

from contextlib import contextmanager
from importlib import import_module

import numpy as np

#: The rules that torch has, too.
RULES = (
    "ASGD", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Muon", "NAdam",
    "RAdam", "RMSprop", "Rprop",
)  # fmt: skip
#: The numbers of torch's that are tensors are of the default dtype, whatever the parameters'.
STEPS = 50
SHAPES = [(17, 9), (130,), (), (3, 4, 5), (0,), (0, 3), (1,), (7001,), (30, 50)]


def ours(rule):
    return getattr(import_module("lrcore.torch"), rule)


def shapes_for(rule):
    """Muon of torch takes matrices only, and its Adafactor divides by the number of elements."""
    if rule == "Muon":
        return [s for s in SHAPES if len(s) == 2]
    return [s for s in SHAPES if 0 not in s] if rule == "Adafactor" else SHAPES


class Run:
    """Parameters and the gradients of `steps` updates; at times, and of one always, there is none.

    Gradients of an update have elements of sizes four decades apart.
    """

    def __init__(self, torch, dtype, shapes, steps=STEPS):
        rng = np.random.default_rng(5)
        self.torch, self.dtype = torch, getattr(torch, dtype)
        self.params = [self.tensor(rng.standard_normal(s)) for s in (*shapes, (4, 2))]
        self.grads = [self._drawn(rng, t, shapes) for t in range(steps)]

    def tensor(self, a):
        return self.torch.tensor(a).to(self.dtype)

    def _drawn(self, rng, t, shapes):
        drawn = [rng.standard_normal(s) * 10.0 ** rng.uniform(-3, 1, s) for s in shapes]
        gone = [(t + i) % 7 == 3 for i in range(len(shapes))]
        return [None if no else self.tensor(g) for g, no in zip(drawn, gone, strict=True)] + [None]

    def tensors(self):
        """Fresh parameters."""
        return [p.clone().requires_grad_() for p in self.params]

    def made(self, make, after=None):
        """Where ``make(params)`` takes the parameters; ``after(optimizer)`` follows every step."""
        params = self.tensors()
        opt = make(params)
        for grads in self.grads:
            for p, g in zip(params, grads, strict=True):
                p.grad = g
            opt.step()
            if after is not None:
                after(opt)
        return [p.detach() for p in params]

    def distance(self, some, others):
        """The largest difference of two results, relative to the largest element of a parameter.

        Of those that it had at the start, too: a parameter of one element may come near 0.
        """
        far = [0.0]
        for a, b, p in zip(some, others, self.params, strict=True):
            if a.numel():
                assert a.isfinite().all()
                a, b, p = a.double(), b.double(), p.double()
                far.append(float((a - b).abs().max() / max(a.abs().max(), p.abs().max())))
        return max(far)


@contextmanager
def scalars_in_float64(torch):
    """Let torch keep the numbers that it has in tensors in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def unrounded(torch):
    """bfloat16() copies, and rounds nothing: Muon of torch iterates in the precision it is given."""
    kept = torch.Tensor.bfloat16
    torch.Tensor.bfloat16 = torch.Tensor.clone
    try:
        yield
    finally:
        torch.Tensor.bfloat16 = kept
