"""schedules.compat: where libraries differ, number by number, and what is refused.

The live comparison is in tests/frameworks; these numbers were read off the libraries once.
"""

import json
import pickle
from functools import partial

import pytest

import lrcore
from lrcore import schedules
from lrcore.schedules import Cosine, Schedule, compat

keras, optax, timm, torch, fastai = (
    compat.keras,
    compat.optax,
    compat.timm,
    compat.torch,
    compat.fastai,
)
hf = compat.transformers


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        # a milestone
        (torch.MultiStepLR(1, [3]), [1, 1, 1, 0.1, 0.1, 0.1]),
        (optax.piecewise_constant_schedule(1, {3: 0.1}), [1, 1, 1, 0.1, 0.1, 0.1]),
        (timm.MultiStepLRScheduler(1, [3], 0.1), [1, 1, 0.1, 0.1, 0.1, 0.1]),
        (keras.PiecewiseConstantDecay([3], [1, 0.1]), [1, 1, 1, 1, 0.1, 0.1]),
        # a warm-up
        (hf.get_constant_schedule_with_warmup(1, 4), [0, 0.25, 0.5, 0.75, 1, 1]),
        (optax.warmup_constant_schedule(0, 1, 4), [0, 0.25, 0.5, 0.75, 1, 1]),
        (torch.LinearLR(1, total_iters=4), [1 / 3, 0.5, 2 / 3, 5 / 6, 1, 1]),
        (timm.CosineLRScheduler(1, 10, warmup_t=4), [0, 0.25, 0.5, 0.75, 0.6545085]),
        # a warm-up and a cosine
        (
            hf.get_cosine_schedule_with_warmup(1, 2, 10),
            [0, 0.5, 1, 0.9619398, 0.8535534, 0.6913417, 0.5, 0.3086583, 0.1464466, 0.0380602, 0],
        ),
        (
            optax.warmup_cosine_decay_schedule(0, 1, 2, 10),
            [0, 0.5, 1, 0.9619398, 0.8535534, 0.6913417, 0.5, 0.3086583, 0.1464466, 0.0380602, 0],
        ),
        (
            keras.CosineDecay(0, 10, warmup_target=1, warmup_steps=2),
            [0, 0.5, 1, 0.9755283, 0.9045085, 0.7938926, 0.6545085, 0.5, 0.3454915, 0.2061074]
            + [0.0954915, 0.0244717, 0],
        ),
        # past the end of a cosine
        (torch.CosineAnnealingLR(1, 10).shift(10), [0, 0.0244717]),
        (optax.cosine_decay_schedule(1, 10).shift(10), [0, 0]),
        (keras.CosineDecay(1, 10).shift(10), [0, 0]),
        (timm.CosineLRScheduler(1, 10).shift(10), [0, 0]),
        # one cycle
        (
            torch.OneCycleLR(1, 10),
            [0.04, 0.52, 1, 0.9504846, 0.8117457, 0.611262, 0.388738, 0.1882583, 0.0495194, 4e-6],
        ),
        (
            optax.cosine_onecycle_schedule(10, 1),
            [0.04, 0.28, 0.76, 1, 0.9504846, 0.8117457, 0.611262, 0.388738, 0.1882583, 0.0495194]
            + [4e-6],
        ),
        (
            fastai.fit_one_cycle(1, 1, steps_per_epoch=10),
            [0.04, 0.371672, 0.908328, 0.9890738, 0.9045089, 0.7500025, 0.5522686, 0.3454980]
            + [0.1654418, 0.0432368],
        ),
        # a polynomial
        (torch.PolynomialLR(1, 4), [1, 0.75, 0.5, 0.25, 0]),
        (keras.PolynomialDecay(1, 4), [1, 0.750025, 0.50005, 0.250075, 1e-4]),
        (hf.get_polynomial_decay_schedule_with_warmup(1, 0, 4), [1, 0.75, 0.5, 0.25, 1e-7]),
        (timm.PolyLRScheduler(1, 4), [1, 0.8660254, 0.7071068, 0.5, 0]),
        # an exponential
        (torch.ExponentialLR(1, 0.9), [1, 0.9, 0.81]),
        (keras.ExponentialDecay(1, 2, 0.9), [1, 0.9486833, 0.9]),
        (keras.ExponentialDecay(1, 2, 0.9, staircase=True), [1, 1, 0.9]),
        # restarts
        (torch.CosineAnnealingWarmRestarts(1, 2), [1, 0.5, 1, 0.5, 1]),
        (keras.CosineDecayRestarts(1, 2), [1, 0.5, 1, 0.8535534, 0.5, 0.1464466, 1]),
    ],
    ids=repr,
)
def test_where_libraries_differ(schedule, values):
    assert schedule(range(len(values))) == pytest.approx(values, abs=5e-5)


@pytest.mark.parametrize(
    ("plateau", "falls"),
    [
        (torch.ReduceLROnPlateau(1, patience=2), [3, 6, 9]),
        (keras.ReduceLROnPlateau(1, patience=2), [2, 4, 6, 8]),
        (optax.reduce_on_plateau(1, patience=2), [2, 4, 6, 8]),
    ],
)
def test_when_a_plateau_falls(plateau, falls):
    assert [i for i in range(10) if plateau.update(1.0)] == falls


def test_what_is_better_is_a_share_in_torch_and_a_difference_in_keras():
    for reduce, expected in ((torch.ReduceLROnPlateau, True), (keras.ReduceLROnPlateau, False)):
        plateau = reduce(1.0, patience=1)
        for loss in (1000.0, 999.95, 999.94):  # lower by less than 1e-4 of it, by more than 1e-4
            reduced = plateau.update(loss)
        assert reduced == expected


def test_past_its_end_one_cycle_stays():
    s = torch.OneCycleLR(1, 10)
    assert s([9, 10, 11, 10**9]) == pytest.approx([4e-6] * 4)


def test_what_comes_back_is_an_ordinary_schedule():
    ordinary = [
        torch.OneCycleLR(0.1, 100),
        torch.ChainedScheduler(1, [torch.ConstantLR(1), torch.StepLR(1, 7)]),
        keras.CosineDecayRestarts(0.1, 10, 1.5, 0.9, 0.1),
        optax.sgdr_schedule(
            [{"init_value": 0, "peak_value": 1, "warmup_steps": 3, "decay_steps": 9}]
        ),
        timm.TanhLRScheduler(0.1, 10, cycle_mul=1.5, cycle_limit=3, warmup_t=3),
        hf.get_wsd_schedule(0.1, 10, 20, 100, decay_type="1-sqrt"),
        fastai.fit_one_cycle(3, 0.1, steps_per_epoch=7),
        torch.ReduceLROnPlateau(0.1),
    ]
    for s in ordinary:
        assert isinstance(s, Schedule)
        copies = [pickle.loads(pickle.dumps(s)), eval(repr(s), vars(schedules).copy())]
        copies.append(Schedule.from_dict(json.loads(json.dumps(s.to_dict()))))
        for other in copies:
            assert other == s
            assert other(range(120)).tolist() == s(range(120)).tolist()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            schedules.OneCycle(0.1, 100, pct_start=0.27),
            fastai.fit_one_cycle(1, 0.1, div_final=25e4, pct_start=0.27, steps_per_epoch=100),
        ),
        (
            schedules.OneCycle(0.1, 100).momentum(),
            fastai.one_cycle_momentum(1, pct_start=0.3, steps_per_epoch=100),
        ),
        (
            schedules.PiecewiseLinear([0, 10, 40], [1.0, 0.5, 2.0]),
            optax.piecewise_interpolate_schedule("linear", 1.0, {10: 0.5, 40: 4.0}),
        ),
        (
            schedules.PiecewiseCosine([0, 10, 40], [1.0, 0.5, 2.0]),
            optax.piecewise_interpolate_schedule("cosine", 1.0, {10: 0.5, 40: 4.0}),
        ),
        (
            schedules.TanhDecay(0.1, 50, 0.01, lb=-4, ub=2).shift(1),
            timm.TanhLRScheduler(0.1, 50, lb=-4, ub=2, lr_min=0.01).shift(1),
        ),
        *(
            (
                schedules.WSD(1.0, 100, 30, 0.1, shape=shape, warmup=10, warmup_start=0.1),
                hf.get_wsd_schedule(1.0, 10, 30, 100, decay_type=shape, min_lr_ratio=0.1),
            )
            for shape in ("linear", "cosine", "1-sqrt")
        ),
    ],
    ids=repr,
)
def test_curves_that_lrcore_has_too_are_the_peers(ours, theirs):
    end = 48 if "Tanh" in repr(ours) else 130  # past its end timm's is at lr_min
    assert ours(range(end)) == pytest.approx(theirs(range(end)), rel=1e-12, abs=1e-15)


def test_an_optimizer_takes_one_and_its_momentum():
    import numpy as np

    rate, momentum = torch.OneCycleLR(0.1, 10), torch.one_cycle_momentum(total_steps=10)
    opt = lrcore.SGD(np.zeros(3), lr=rate, momentum=momentum)
    opt.step(np.ones(3))
    assert opt.lr == rate(1)


def test_a_multiplicative_schedule_remembers_its_products():
    calls = []
    s = torch.MultiplicativeLR(1.0, lambda t: calls.append(t) or 0.5)
    assert s(3) == 0.125
    assert s([5, 1]).tolist() == [0.5**5, 0.5]
    assert calls == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (partial(torch.StepLR, 0.1, 0), ValueError, "StepLR: step_size must be an integer in [1,"),
        (partial(torch.StepLR, -0.1, 5), ValueError, "StepLR: lr must be in [0, inf), got -0.1"),
        (partial(torch.ConstantLR, 1, 1.5), ValueError, "ConstantLR: factor must be in [0, 1]"),
        (partial(torch.LinearLR, 1, 0), ValueError, "LinearLR: start_factor must be in (0, 1]"),
        (partial(torch.MultiStepLR, 1, 30), TypeError, "MultiStepLR: milestones must be a list"),
        (partial(torch.CyclicLR, 0, 1, mode="square"), ValueError, "CyclicLR: mode must be one of 'triangular', "),
        (partial(torch.CyclicLR, 0, 1, scale_fn=3), TypeError, "CyclicLR: scale_fn must be callable"),
        (partial(torch.OneCycleLR, 1), ValueError, "OneCycleLR: total_steps, or epochs and steps_per_epoch, must be given"),
        (partial(torch.OneCycleLR, 1, 10, pct_start=2), ValueError, "OneCycleLR: pct_start must be in [0, 1]"),
        (partial(torch.OneCycleLR, 1, 10, anneal_strategy="exp"), ValueError, "anneal_strategy must be one of 'cos', 'linear'"),
        (partial(torch.SequentialLR, [Cosine(1, 5)], [3]), ValueError, "SequentialLR: the number of schedulers must be 2"),
        (partial(torch.SequentialLR, [0.1], []), TypeError, "SequentialLR: schedulers[0] must be a schedule, got 0.1"),
        (partial(torch.ChainedScheduler, 1, []), ValueError, "ChainedScheduler: schedulers must have at least one"),
        (partial(torch.ReduceLROnPlateau, 1, "low"), ValueError, "ReduceLROnPlateau: mode must be one of 'min', 'max'"),
        (partial(torch.ReduceLROnPlateau, 1, factor=1.0), ValueError, "ReduceLROnPlateau: factor must be in (0, 1)"),
        (partial(keras.CosineDecay, 1, 0), ValueError, "CosineDecay: decay_steps must be an integer in [1, 2**53], got 0"),
        (partial(keras.CosineDecayRestarts, 1, 5, 0.5), ValueError, "CosineDecayRestarts: t_mul must be in [1, inf)"),
        (partial(keras.PiecewiseConstantDecay, [3, 2], [1, 1, 1]), ValueError, "PiecewiseConstantDecay: boundaries must be increasing"),
        (partial(keras.LearningRateScheduler, 0.1, 1), TypeError, "LearningRateScheduler: schedule must be callable"),
        (partial(optax.cosine_decay_schedule, 1, 0), ValueError, "cosine_decay_schedule: decay_steps must be an integer"),
        (partial(optax.warmup_cosine_decay_schedule, 0, 1, 10, 5), ValueError, "decay_steps must be an integer in [11, 2**53], got 5"),
        (partial(optax.piecewise_constant_schedule, 1, {3: -1.0}), ValueError, "piecewise_constant_schedule: scales[0] must be in [0, inf)"),
        (partial(optax.piecewise_interpolate_schedule, "step", 1), ValueError, "interpolate_type must be one of 'linear', 'cosine'"),
        (partial(optax.join_schedules, [Cosine(1, 5)], [3]), ValueError, "join_schedules: the number of schedules must be 2"),
        (partial(optax.sgdr_schedule, []), ValueError, "sgdr_schedule: cosine_kwargs must have at least one cycle"),
        (partial(optax.reduce_on_plateau, 1, atol=0.1), ValueError, "reduce_on_plateau: one of rtol and atol must be 0"),
        (partial(optax.reduce_on_plateau, 1, accumulation_size=3), ValueError, "reduce_on_plateau: accumulation_size must be 1, "),
        (partial(optax.reduce_on_plateau, 1, patience=0), ValueError, "reduce_on_plateau: patience must be an integer"),
        (partial(timm.CosineLRScheduler, 1, 10, noise_range_t=5), ValueError, "CosineLRScheduler: noise_range_t must be None"),
        (partial(timm.CosineLRScheduler, 1, 10, warmup=5), TypeError, "CosineLRScheduler: there is no argument 'warmup'"),
        (partial(timm.TanhLRScheduler, 1, 10, lb=3, ub=3), ValueError, "TanhLRScheduler: ub must be in (3, inf), got 3"),
        (partial(timm.PolyLRScheduler, 1, 10, power=0), ValueError, "PolyLRScheduler: power must be in (0, inf)"),
        (partial(timm.WSDLRScheduler, 1, 10, 11), ValueError, "WSDLRScheduler: decay_t must be an integer in [1, 10], got 11"),
        (partial(timm.WSDLRScheduler, 1, 10, 5, stable_fn="rsqrt"), ValueError, "WSDLRScheduler: stable_timescale must be an integer in [1,"),
        (partial(timm.WSDLRScheduler, 1, 10, 5, decay_fn="x"), ValueError, "WSDLRScheduler: decay_fn must be one of 'linear', "),
        (partial(hf.get_linear_schedule_with_warmup, 1, 10, 10), ValueError, "num_training_steps must be an integer in [11, 2**53], got 10"),
        (partial(hf.get_polynomial_decay_schedule_with_warmup, 1, 0, 9, lr_end=2), ValueError, "lr must be in (2, inf), got 1"),
        (partial(hf.get_cosine_with_min_lr_schedule_with_warmup, 1, 0, 9), ValueError, "min_lr or min_lr_rate must be given, and not both"),
        (partial(hf.get_wsd_schedule, 1, 5, 5, 9), ValueError, "get_wsd_schedule: num_training_steps must be an integer in [10,"),
        (partial(hf.get_wsd_schedule, 1, 5, 5, 20, decay_type="x"), ValueError, "get_wsd_schedule: decay_type must be one of"),
        (partial(fastai.combine_scheds, [0.5, 0.4], [fastai.SchedNo(1, 1)] * 2, 9), ValueError, "combine_scheds: the sum of pcts must be 1, got 0.9"),
        (partial(fastai.combine_scheds, [1.0], [], 9), ValueError, "combine_scheds: the number of scheds must be 1, got 0"),
        (partial(fastai.combine_scheds, [1.0], [Cosine(1, 5)], 9), TypeError, "combine_scheds: scheds[0] must be from a Sched function"),
        (partial(fastai.fit_sgdr, 2, 1, 1.0, 1, steps_per_epoch=3), ValueError, "fit_sgdr: cycle_mult must be an integer >= 2"),
        (partial(fastai.SchedExp, 0.0, 1.0), ValueError, "SchedExp: start must be in (0, inf), got 0"),
    ],
    ids=repr,
)  # fmt: skip
def test_bad_arguments(make, error, text):
    with pytest.raises(error) as caught:
        make()
    message = str(caught.value)
    assert text in message
    assert "\n" not in message


def test_nothing_of_a_peer_is_imported():
    from support import python

    code = (
        "import sys, lrcore; from lrcore.schedules import compat\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {*compat.__all__}))"
    )
    assert python(code) == "[]\n"
    assert (
        python("import sys, lrcore; print('lrcore.schedules.compat' in sys.modules)") == "False\n"
    )
