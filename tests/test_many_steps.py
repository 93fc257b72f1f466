"""What depends on the number of the step: warm-ups, rectification, bounds, powers of the betas."""

import numpy as np
import pytest

from lrcore import _verify
from lrcore._cases import DTYPES, arrays_of, main_variants, named, rules, switched

STEPS = 40
SIZES = (1, 33, 200)


def after_many(rule, switches, dtype, backend):
    """Parameters, states and estimates; gradients shrink, as they do in a training."""
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(n).astype(dtype) for n in SIZES]
    options = named(rule, {"lr": 0.01, **switched(rule, switches)})
    opt = rule(params, **options, backend=backend)
    for t in range(STEPS):
        grads = [(rng.standard_normal(n) / (1 + t)).astype(dtype) for n in SIZES]
        opt.step(grads, loss=1.0 / (1 + t))
    return arrays_of(params, opt)


ALL = [(rule, switches) for rule in rules() for switches in main_variants(rule)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rule", "switches"), ALL, ids=["-".join([rule.rule, *switches]) for rule, switches in ALL]
)
def test_the_bits_are_the_references_after_many_steps(rule, switches, dtype):
    found, expected = (after_many(rule, switches, dtype, x) for x in ("c", "numpy"))
    assert not _verify.difference(found, expected)
