"""Meaning: every rule against independent implementations, over 200 steps."""

import numpy as np
import pytest
from oracles import CASES
from oracles.harness import STEPS, draw, framework, gradients

import lrcore


def test_every_rule_is_compared_with_someone():
    assert {case.rule for case in CASES} == set(lrcore.optimizers.__all__)


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("case", "dtype"), [(c, d) for c in CASES for d in c.dtypes], ids=lambda value: str(value)
)
def test_the_steps_are_those_of_a_peer(case, dtype):
    ours, peer = draw(0, dtype, case.shapes), case.peer
    opt = getattr(lrcore, case.rule)(ours, **case.options)
    peer.start(draw(0, dtype, case.shapes))
    for t in range(STEPS):
        grads, loss = gradients(case, t, ours, dtype)
        opt.step(grads, loss=loss)
        peer.step(grads, loss)
    for a, b in zip(ours, peer.arrays(), strict=True):
        assert np.abs(a - b).max() <= case.within(dtype) * np.abs(a).max()
    moved = [np.abs(a - b).max() for a, b in zip(ours, draw(0, dtype, case.shapes), strict=True)]
    assert min(moved) > 0


@pytest.mark.frameworks
@pytest.mark.parametrize(("dtype", "within"), [("float32", 1e-6), ("float64", 1e-12)])
def test_torch_clip_grad_norm(dtype, within):
    torch = framework("torch")
    ours = draw(0, dtype)
    theirs = [torch.tensor(p, requires_grad=True) for p in draw(0, dtype)]
    a = lrcore.AdamW(ours, clip_norm=3.0)
    b = torch.optim.AdamW(theirs)
    for t in range(STEPS):
        grads = draw(t + 1, dtype)
        a.step(grads)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        norm = torch.nn.utils.clip_grad_norm_(theirs, 3.0)
        b.step()
        assert a.grad_norm == pytest.approx(float(norm), rel=within)
    for p, q in zip(ours, theirs, strict=True):
        assert np.abs(p - q.detach().numpy()).max() <= within * np.abs(p).max()
