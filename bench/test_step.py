"""Steps and schedules by size, for pytest-benchmark: .venv/bin/pytest bench

Compare two versions with --benchmark-autosave and --benchmark-compare. Ratios against the memory
limit and other libraries, measured turn by turn, are `lrcore bench`.
"""

import numpy as np
import pytest

import lrcore
from lrcore import schedules

SIZES = [10, 1_000, 100_000, 1_000_000]


def arrays(n):
    rng = np.random.default_rng(0)
    return rng.standard_normal(n, np.float32), rng.standard_normal(n, np.float32)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rule", lrcore.optimizers.__all__)
def test_step(benchmark, rule, n):
    p, g = arrays(n)
    opt = getattr(lrcore.optimizers, rule)(p)
    benchmark(opt.step, g, loss=1.0)


@pytest.mark.parametrize("isa", lrcore.isas())
def test_adamw_by_instruction_set(benchmark, isa):
    p, g = arrays(100_000)
    opt = lrcore.AdamW(p)
    before = lrcore.get_isa()
    lrcore.set_isa(isa)
    try:
        benchmark(opt.step, g)
    finally:
        lrcore.set_isa(before)


@pytest.mark.parametrize(
    "options", [{}, {"clip_norm": 1.0}, {"clip_value": 0.1}, {"maximize": True}]
)
def test_adamw_options(benchmark, options):
    p, g = arrays(100_000)
    benchmark(lrcore.AdamW(p, **options).step, g)


def test_adamw_many_small_tensors(benchmark):
    pairs = [arrays(256) for _ in range(1000)]
    opt = lrcore.AdamW([p for p, _ in pairs])
    benchmark(opt.step, [g for _, g in pairs])


@pytest.mark.parametrize(
    "curve",
    [
        schedules.Step(0.1, step_size=1000),
        schedules.Exponential(0.1, gamma=0.999999),
        schedules.Cosine(0.1, steps=1_000_000, warmup=1000),
        schedules.Polynomial(0.1, steps=1_000_000, power=0.9),
    ],
    ids=lambda s: type(s).__name__,
)
def test_schedule(benchmark, curve):
    benchmark(curve, np.arange(1_000_000))
