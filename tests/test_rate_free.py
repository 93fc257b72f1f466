"""The rules that find the rate: what they estimate, for whom, and that it says something."""

import numpy as np
import pytest

import lrcore

NAMES = ["DAdaptSGD", "DAdaptAdam", "Prodigy", "DoG", "LDoG", "DoWG"]
BACKENDS = pytest.mark.parametrize("backend", ["c", "numpy"])
RULES = pytest.mark.parametrize("name", NAMES)
SHAPES = [(40, 30), (700,), (3,)]


def draw(seed, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def slopes(params, t, far=3.0):
    """Of a bowl whose bottom is `far` away, with noise."""
    bottom, noise = draw(99), draw(100 + t)
    return [(p - far * b + 0.1 * n).astype(p.dtype)
            for p, b, n in zip(params, bottom, noise, strict=True)]  # fmt: skip


def assert_equal(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


@RULES
@BACKENDS
def test_groups_of_different_rates_are_optimizers_of_their_own(name, backend):
    """The authors' packages refuse them."""
    make = getattr(lrcore, name)
    together, apart = draw(0), draw(0)
    groups = [{"params": together[:2], "lr": 0.5}, {"params": together[2:], "lr": 2.0}]
    one = make(groups, backend=backend)
    two = [make(apart[:2], lr=0.5, backend=backend), make(apart[2:], lr=2.0, backend=backend)]
    for t in range(30):
        g = slopes(together, t)
        one.step([g[:2], g[2:]])
        two[0].step(g[:2])
        two[1].step(g[2:])
    assert_equal(together, apart)
    if name != "LDoG":
        assert one.estimates == two[0].estimates + two[1].estimates
        assert one.estimates[0] != one.estimates[1]


@RULES
def test_a_group_without_gradients_keeps_its_estimate(name):
    params = draw(0)
    opt = getattr(lrcore, name)([{"params": params[:2]}, {"params": params[2:]}])
    opt.step([slopes(params, 0)[:2], [None]])
    before, rest = str(opt.estimates), params[2].copy()
    opt.step([[None, None], [None]])
    assert str(opt.estimates) == before
    assert_equal([params[2]], [rest])


@pytest.mark.parametrize("name", ["DAdaptSGD", "DAdaptAdam", "Prodigy"])
def test_the_estimate_grows_to_the_size_of_the_distance_and_never_faster_than_allowed(name):
    for growth_rate in (float("inf"), 1.2):
        params, seen = draw(0), [1e-6]
        away = np.sqrt(sum(((3 * b - p) ** 2).sum() for b, p in zip(draw(99), params, strict=True)))
        opt = getattr(lrcore, name)(params, growth_rate=growth_rate)
        for t in range(120):
            opt.step(slopes(params, t))
            seen.append(opt.estimates[0]["d"])
        ratios = np.array(seen[1:]) / seen[:-1]
        assert ratios.min() >= 1
        first = int(np.argmax(ratios > 1)) + 1 if name == "Prodigy" else 0  # its first is free
        assert ratios[first:].max() <= growth_rate * (1 + 1e-12)
        assert ratios.max() > 1.19
        elements = 1 if name == "DAdaptSGD" else np.sqrt(sum(p.size for p in params))
        assert 0.05 < seen[-1] / (away / elements) < 5  # Adam's d is a distance an element


@RULES
def test_one_group_may_hold_parameters_of_both_precisions(name):
    """Sums are in float64 whatever the precision of a part of them."""
    mixed, full = draw(0), draw(0)
    mixed[1] = mixed[1].astype(np.float32)
    full[1] = full[1].astype(np.float32).astype(np.float64)
    # Steps of 1e-6 would be a few last places of float32, and the estimate made of their rounding.
    first = {"DoG": "init_eta", "LDoG": "init_eta", "DoWG": "init_estim_sq_dist"}
    options = {first.get(name, "d0"): 1e-2}
    a, b = (getattr(lrcore, name)(p, **options) for p in (mixed, full))
    for t in range(20):
        g = slopes(full, t)
        g[1] = g[1].astype(np.float32)
        a.step(g)
        b.step(g)
    for p, q in zip(mixed, full, strict=True):
        np.testing.assert_allclose(p, q, rtol=0, atol=1e-3)
    assert mixed[1].dtype == np.float32


@RULES
@BACKENDS
def test_at_a_rate_of_zero_nothing_moves(name, backend):
    params, ramp = draw(0), lrcore.schedules.Linear(1.0, steps=9, warmup=3)
    opt = getattr(lrcore, name)(params, lr=ramp, backend=backend)
    opt.step(slopes(params, 0))
    assert_equal(params, draw(0))
    for t in range(1, 6):
        opt.step(slopes(params, t))
    assert all(np.isfinite(p).all() for p in params)
    assert not np.array_equal(params[0], draw(0)[0])


@RULES
@BACKENDS
def test_gradients_of_zero_change_nothing(name, backend):
    params = draw(0)
    opt = getattr(lrcore, name)(params, backend=backend)
    for _ in range(3):
        opt.step([np.zeros_like(p) for p in params])
    assert_equal(params, draw(0))
    opt.step(slopes(params, 0))
    assert all(np.isfinite(p).all() for p in params)
    assert not np.array_equal(params[0], draw(0)[0])


@pytest.mark.parametrize(
    ("name", "power", "options"),
    [
        ("DAdaptSGD", 0.5, {"momentum": 0.5}),
        ("DAdaptAdam", 1, {"eps": 1e-60}),
        ("Prodigy", 1, {"eps": 1e-60}),
        ("Prodigy", 1, {"eps": 1e-60, "use_bias_correction": True}),
    ],
)
def test_a_rate_of_its_own_is_another_unit_of_the_parameter(name, power, options):
    """Where p = u q, q is stepped as p is with a rate of u^2 (Adam, whose step has no unit: u)."""
    scales = [1.0, 0.25, 4.0]
    units = [r**power for r in scales]
    ours, same = draw(0), [p / u for p, u in zip(draw(0), units, strict=True)]
    make = getattr(lrcore, name)
    a, b = (
        make(ours, lr_scale=scales, lr=0.5, d0=1e-2, **options),
        make(same, lr=0.5, d0=1e-2, **options),
    )
    for t in range(60):
        g = slopes(ours, t)
        a.step(g)
        b.step([u * x for u, x in zip(units, g, strict=True)])
    for p, q, u in zip(ours, same, units, strict=True):
        np.testing.assert_allclose(p, u * q, rtol=1e-9, atol=1e-9)
    assert a.estimates[0]["d"] == pytest.approx(b.estimates[0]["d"], rel=1e-9)
    assert a.estimates[0]["d"] > 0.1


def test_ldog_is_dog_for_each_array():
    together, apart = draw(0), draw(0)
    a, b = lrcore.LDoG(together), [lrcore.DoG(p) for p in apart]
    for t in range(40):
        for opt, p, g in zip(b, apart, slopes(apart, t), strict=True):
            assert opt.step(g)
            assert p.size
        a.step(slopes(together, t))
    assert_equal(together, apart)


def test_beta3_is_the_root_of_beta2_unless_given():
    ours, same, other = draw(0), draw(0), draw(0)
    opts = [lrcore.Prodigy(ours, betas=(0.9, 0.81)),
            lrcore.Prodigy(same, betas=(0.9, 0.81), beta3=0.9),
            lrcore.Prodigy(other, betas=(0.9, 0.81), beta3=0.5)]  # fmt: skip
    for t in range(30):
        for opt, params in zip(opts, (ours, same, other), strict=True):
            opt.step(slopes(params, t))
    assert_equal(ours, same)
    assert not np.array_equal(ours[0], other[0])
    opts[2].load_state_dict(opts[0].state_dict())
    assert opts[2].param_groups[0]["beta3"] is None
    opts[2].param_groups[0]["beta3"] = 0.9
    assert opts[2].param_groups[0]["beta3"] == 0.9


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("DAdaptSGD", {"momentum": 1.0}, r"DAdaptSGD: momentum must be in \[0, 1\), got 1.0"),
        ("DAdaptSGD", {"d0": 0.0}, r"DAdaptSGD: d0 must be in \(0, inf\), got 0.0"),
        ("DAdaptAdam", {"eps": 0.0}, r"DAdaptAdam: eps must be in \(0, inf\), got 0.0"),
        ("DAdaptAdam", {"growth_rate": 0.9}, r"growth_rate must be in \[1, inf\], got 0.9"),
        ("Prodigy", {"eps": 0.0}, r"Prodigy: eps must be in \(0, inf\), got 0.0"),
        ("Prodigy", {"beta3": 1.0}, r"Prodigy: beta3 must be None or in \[0, 1\), got 1.0"),
        ("Prodigy", {"betas": (0.9, 0.99, 0.9)}, r"betas must be a tuple of 2 numbers, got"),
        ("DoG", {"init_eta": 0.0}, r"DoG: init_eta must be None or in \(0, inf\), got 0.0"),
        ("LDoG", {"reps_rel": -1.0}, r"LDoG: reps_rel must be in \(0, inf\), got -1.0"),
        ("DoWG", {"eps": 0.0}, r"DoWG: init_estim_sq_dist must be a number where eps is 0"),
        ("DoWG", {"lr": None}, r"DoWG: lr must be a number in \[0, inf\), got None"),
        ("Prodigy", {"beta3": "no"}, r"beta3 must be None or a number in \[0, 1\), got 'no'"),
        ("Prodigy", {"state_dtype": "bfloat16"}, r"cannot hold the state 'p0' of prodigy"),
    ],
)
def test_bad_input_is_named(name, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(lrcore, name)(np.zeros(3, np.float32), **options)
