"""What schedule-free rules evaluate: the authors' x."""

import numpy as np
import pytest
from oracles.harness import STEPS, draw
from oracles.schedulefree import CASES

import lrcore


@pytest.mark.frameworks
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_average_is_that_of_the_authors(case, dtype):
    ours, peer = draw(0, dtype), case.peer
    opt = getattr(lrcore, case.rule)(ours, **case.options)
    peer.start(draw(0, dtype))
    for t in range(STEPS):
        grads = draw(t + 1, dtype)
        opt.step(grads)
        peer.step(grads, 0.0)
    trained = [p.copy() for p in ours]
    opt.eval()
    peer.opt.eval()
    for a, b, y in zip(ours, peer.arrays(), trained, strict=True):
        assert np.abs(a - b).max() <= case.within(dtype) * np.abs(a).max()
        assert np.abs(a - y).max() > 100 * case.within(dtype) * np.abs(a).max()
