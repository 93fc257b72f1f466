"""Meaning: narrow storage trains, and what it loses is what docs/memory.md says.

Networks in PyTorch are in frameworks/test_narrow.py, the formats by themselves in test_storage.py.
"""

from __future__ import annotations

import doctest
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import ROOT, missing

import lrcore
from lrcore import _cases, schedules
from lrcore.reference import storage

#: Two-sided limit of a standard normal number at a significance of 1e-6.
Z = 4.9

#: State formats that train as float32 does.
NARROW = [
    {"state_dtype": "bfloat16", "rounding": "nearest"},
    {"state_dtype": "bfloat16", "rounding": "stochastic"},
    {"state_dtype": "int8", "rounding": "nearest"},
    {"state_dtype": "int8", "rounding": "stochastic"},
]


def named(options):
    return " ".join(str(v) for v in options.values()) or "as it is"


# ---------------------------------------------------------------------------- a network


@cache
def digits_loss(seed, **options):
    """Mean loss of the last tenth of the batches; 10 epochs of 20, so that it is not 0 yet."""
    from lrcore.tasks import digits, fit

    task = digits.load(seed=seed)
    params = task.init()
    updates = 10 * task.updates_per_epoch
    rate = schedules.Cosine(3e-3, steps=updates, warmup=updates // 20)
    run = fit(task, params, lrcore.AdamW(params, lr=rate, seed=seed, **options), epochs=10)
    assert len(run.losses) == updates
    return np.mean(run.losses[-updates // 10 :])


@pytest.mark.parametrize("options", NARROW, ids=named)
def test_narrow_state_ends_within_1_percent_of_float32_on_the_digits_network(options, bf16):
    if find_spec("sklearn") is None:
        missing("scikit-learn, whose digits are trained on")
    ratios = [digits_loss(seed, **options) / digits_loss(seed) for seed in range(3)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.01)


# ------------------------------------------------------------------------------ the stall


class Fit:
    """64 weights near 1 by 1000 updates that are far smaller than a step of bfloat16.

    That is 1/256 below 1 and 1/128 above; an update of Adam's is at most lr, here 1/1000.
    """

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((256, 64), np.float32)
        self.y = self.x @ (1 + 0.25 * rng.standard_normal(64, np.float32))

    def loss(self, w):
        return float(np.mean((self.x @ w.astype(np.float32) - self.y) ** 2))

    def train(self, w, **options):
        """The loss at last, and the share of updates lost in the last step."""
        opt = lrcore.Adam(w, lr=1e-3, stats=True, **options)
        for _ in range(1000):
            opt.step(self.x.T @ (self.x @ w.astype(np.float32) - self.y) / 256)
        return self.loss(w), opt.stats.total.lost


def test_to_nearest_a_bfloat16_parameter_stalls_and_stochastically_it_trains(bf16):
    fit = Fit()
    at_first = fit.loss(np.ones(64))
    assert fit.train(np.ones(64, np.float32))[0] < 0.01 * at_first

    stalled = np.ones(64, bf16)
    assert fit.train(stalled) == (at_first, 1)
    assert_array_equal(stalled, np.ones(64, bf16))

    for options in ({"rounding": "stochastic"}, {"master": "float32"}, {"master": "split"}):
        assert fit.train(np.ones(64, bf16), **options)[0] < 0.02 * at_first, options


def second_moment(**options):
    """Mean of Adam's v, 50 gradients of 1 and 2000 of 0 after its start."""
    w = np.zeros(256, np.float32)
    opt = lrcore.Adam(w, **options)
    for t in range(2050):
        opt.step(np.full(256, t < 50, np.float32))
    own = opt.state[""]
    return storage.decode(own["v"], own.get("v_scale"), signed=False, real=np.float64).mean()


@pytest.mark.parametrize("options", NARROW, ids=named)
def test_a_narrow_second_moment_decays(options, bf16):
    """An update takes 1/1000 of it; half a step of bfloat16 is 1/512 or more, of 8 bits 1/32."""
    assert second_moment(**options) == pytest.approx(second_moment(), rel=0.1)


# ---------------------------------------------------------------------- stochastic rounding


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_over_many_roundings_an_update_of_a_narrow_parameter_is_made_on_average(kind, bf16):
    n = 1 << 16
    w = np.ones(n, bf16 if kind == "bfloat16" else kind)
    step = 0.3 * (2**-11 if kind == "float16" else 2**-8)
    assert lrcore.SGD(w, lr=1.0, rounding="stochastic").step(np.full(n, step, np.float32))
    assert_is_rounded_on_average(w.astype(np.float64), float(1 - np.float32(step)))


@pytest.mark.parametrize("name", ["m", "v"])
@pytest.mark.parametrize("options", NARROW, ids=named)
def test_over_many_roundings_the_state_of_an_update_is_right_on_average(name, options, bf16):
    """The first of 128 elements fixes the scale of the others."""
    n = 1 << 17
    first = np.arange(n) % 128 == 0
    g = np.where(first, np.float32(1), np.float32(0.7123))
    narrow, wide = (lrcore.Adam(np.zeros(n, np.float32), **o) for o in (options, {}))
    narrow.step(g)
    wide.step(g)
    own, right = narrow.state[""], wide.state[""][name][1]
    values = storage.decode(own[name], own.get(f"{name}_scale"), signed=name == "m", real="f8")
    if options["rounding"] == "nearest" and name == "m":
        assert np.ptp(values[~first]) == 0
    else:
        assert_is_rounded_on_average(values[~first], float(right))


def test_over_many_seeds_an_update_is_made_on_average(bf16):
    ends = []
    for seed in range(4096):
        w = np.ones(1, bf16)
        lrcore.SGD(w, lr=1.0, rounding="stochastic", seed=seed).step(np.full(1, 2**-10, "f4"))
        ends.append(float(w[0]))
    assert_is_rounded_on_average(np.array(ends), 1 - 2**-10)


def assert_is_rounded_on_average(values, right):
    """Each is one of the two neighbours of `right`, as often as keeps the mean."""
    low, high = np.unique(values)
    assert low < right < high
    share = (right - low) / (high - low)
    spread = (high - low) * np.sqrt(share * (1 - share) / values.size)
    assert abs(values.mean() - right) < Z * spread


# ------------------------------------------------------------------------------- masters


@pytest.mark.parametrize("rule", lrcore.optimizers.__all__)
@pytest.mark.parametrize(
    ("kind", "master"), [("bfloat16", "split"), ("bfloat16", "float32"), ("float16", "float32")]
)
def test_with_a_master_all_bits_are_those_of_float32(rule, kind, master, bf16):
    rng = np.random.default_rng(0)
    dtype = bf16 if kind == "bfloat16" else np.dtype(kind)
    narrow = [rng.standard_normal(s).astype(dtype) for s in [(7, 19), (130,)]]
    wide = [w.astype(np.float32) for w in narrow]
    rule = getattr(lrcore, rule)
    options = _cases.named(rule, {"clip_norm": 5.0, "ema": 0.9, "weight_decay": 0.1})
    a, b = rule(narrow, master=master, **options), rule(wide, **options)
    for _ in range(30):
        grads = [rng.standard_normal(w.shape, np.float32) for w in narrow]
        a.step(grads, loss=3.0)
        b.step(grads, loss=3.0)
    for own, p, full, mean in zip(a.state.values(), narrow, wide, b.averages(), strict=True):
        if master == "split":
            joined = storage.join(p.view(np.uint16), own["low"])
        else:
            joined = own["master"]
            assert_array_equal(p, full.astype(dtype))
        assert_array_equal(joined.view(np.uint32), full.view(np.uint32))
        assert_array_equal(own["ema"], mean)


# ---------------------------------------------------------------------------------- the docs


def test_the_examples_of_the_page_on_memory_print_what_it_says(bf16):
    result = doctest.testfile(str(ROOT / "docs" / "memory.md"), module_relative=False)
    assert result.attempted > 20
    assert result.failed == 0
