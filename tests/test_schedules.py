"""Schedules: C against the reference in every bit, conventions, algebra, errors.

CASES (schedule_cases.py) has a row for each schedule; one without fails
test_every_schedule_has_a_case.
"""

import copy
import json
import math
import pickle
import random
from functools import partial

import numpy as np
import pytest
from schedule_cases import CASES, KINDS, bits, sawtooth, updates

import lrcore
from lrcore import _core, schedules
from lrcore._domain import Interval
from lrcore._schedule import (
    FUNCTION,
    KNOTS,
    PLACES,
    POSITIONS,
    SCHEDULE,
    SCHEDULES,
    VALUES,
    Schedule,
)
from lrcore.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    Lambda,
    Linear,
    MultiStep,
    NaturalExponential,
    PiecewiseConstant,
    Polynomial,
    Scale,
    Step,
    join,
)


def refuse(t):
    raise LookupError(f"no value for {t}")


def test_every_schedule_has_a_case():
    assert set(CASES) == set(_core.schedules()) == set(Schedule._kinds)
    for kind, case in CASES.items():
        assert case(random.Random(0)).kind == kind


def test_classes_fit_the_table():
    for kind, (args, lists) in _core.schedules().items():
        cls = Schedule._kinds[kind]
        own = cls.domains
        assert tuple(args) == cls.numbers, kind
        ordered = [n for d in (POSITIONS, PLACES, VALUES, KNOTS) for n, x in own.items() if x is d]
        assert ordered == [n for n in lists if n not in ("parts", "function")], kind
        assert ("parts" in lists) == any(d in (SCHEDULE, SCHEDULES) for d in own.values()), kind
        assert ("function" in lists) == (FUNCTION in own.values()), kind
        assert cls.__name__ in schedules.__all__


@pytest.mark.parametrize("least", [9_000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_bits_are_those_of_the_reference(kind, least):
    r = random.Random(f"{kind} {least}")
    points = 0
    while points < least:
        s = CASES[kind](r)
        t = updates(r, s, 80)
        wanted = bits([s.reference(i) for i in t])
        assert bits([s(i) for i in t]) == wanted, s
        assert bits(s(np.array(t))) == wanted, s
        points += len(t)


def test_bits_do_not_depend_on_threads():
    t = np.arange(100_003)
    before = lrcore.get_num_threads()
    try:
        for s in (Cosine(0.1, 90_000, warmup=500), Polynomial(0.1, 90_000, 0.9), Lambda(sawtooth)):
            lrcore.set_num_threads(1)
            one = s(t)
            lrcore.set_num_threads(3)
            assert np.array_equal(one, s(t))
    finally:
        lrcore.set_num_threads(before)


# ------------------------------------------------------------------------------ conventions


def close(s, wanted, rtol=1e-12):
    np.testing.assert_allclose(s(range(len(wanted))), wanted, rtol=rtol, atol=1e-15)


def test_milestone_is_the_first_update_with_the_lower_value():
    close(MultiStep(1.0, [3]), [1, 1, 1, 0.1, 0.1, 0.1])
    close(PiecewiseConstant([3], [1.0, 0.1]), [1, 1, 1, 0.1, 0.1, 0.1])


def test_warmup_rises_from_its_start():
    close(Constant(1.0, warmup=4), [0, 0.25, 0.5, 0.75, 1, 1])
    close(Constant(1.0, warmup=2, warmup_start=0.5), [0.5, 0.75, 1, 1])


def test_steps_include_the_warmup():
    wave = [0, 0.5] + [(1 + math.cos(math.pi * i / 8)) / 2 for i in range(9)] + [0, 0]
    close(Cosine(1.0, steps=10, warmup=2), wave)
    close(Linear(1.0, steps=6, warmup=2), [0, 0.5, 1, 0.75, 0.5, 0.25, 0, 0])


def test_durations_count_from_the_end_of_the_warmup():
    close(Step(1.0, 2, 0.5, warmup=3), [0, 1 / 3, 2 / 3, 1, 1, 0.5, 0.5, 0.25])
    close(Exponential(1.0, 0.5, warmup=1), [0, 1, 0.5, 0.25])
    close(NaturalExponential(1.0, math.log(2), warmup=1), [0, 1, 0.5, 0.25])
    close(InverseTime(1.0, 1.0, 2, warmup=1), [0, 1, 2 / 3, 0.5, 0.4])


def test_positions_count_all_updates():
    close(MultiStep(1.0, [4, 6], 0.5, warmup=2), [0, 0.5, 1, 1, 0.5, 0.5, 0.25])
    close(PiecewiseConstant([4], [1.0, 3.0], warmup=2), [0, 0.5, 1, 1, 3])
    close(join([Constant(1.0), Constant(3.0)], [4], warmup=2), [0, 0.5, 1, 1, 3])
    close(Lambda(lambda t: t, warmup=2, warmup_start=4.0), [4, 3, 2, 3, 4])


@pytest.mark.parametrize("cls", [Linear, Cosine, Polynomial])
def test_start_and_end_are_exact_and_held(cls):
    r = random.Random(4)
    for _ in range(200):
        lr, end, start, warmup = r.random(), r.random(), r.random(), r.randint(1, 9)
        s = cls(lr, steps=warmup + r.randint(1, 99), end=end, warmup=warmup, warmup_start=start)
        assert s(0) == start
        assert s(warmup) == lr
        assert [s(s.steps + i) for i in (0, 1, 10, 2**40)] == [end] * 4


@pytest.mark.parametrize(
    ("s", "formula"),
    [
        (Step(0.3, 7, 0.9), lambda t: 0.3 * 0.9 ** (t // 7)),
        (MultiStep(0.3, [10, 99], 0.2), lambda t: 0.3 * 0.2 ** ((t >= 10) + (t >= 99))),
        (Exponential(0.3, 0.99), lambda t: 0.3 * 0.99**t),
        (NaturalExponential(0.3, 0.02), lambda t: 0.3 * math.exp(-0.02 * t)),
        (InverseTime(0.3, 0.5, 10), lambda t: 0.3 / (1 + 0.5 * t / 10)),
        (Linear(0.3, 200, 0.1), lambda t: 0.3 + (0.1 - 0.3) * t / 200),
        (Polynomial(0.3, 200, 1.7, 0.1), lambda t: 0.1 + 0.2 * (1 - t / 200) ** 1.7),
        (Cosine(0.3, 200), lambda t: 0.3 / 2 * (1 + math.cos(math.pi * t / 200))),
        (Cosine(0.3, 200, 0.1), lambda t: 0.1 + 0.1 * (1 + math.cos(math.pi * t / 200))),
    ],
    ids=repr,
)
def test_formula(s, formula):
    np.testing.assert_allclose(s(range(200)), [formula(t) for t in range(200)], rtol=1e-11)


def test_cosine_keeps_its_accuracy_where_it_is_small():
    s = Cosine(1.0, steps=10**6)
    assert s(10**6 - 1) == pytest.approx((math.pi / 2e6) ** 2, rel=1e-9)


# --------------------------------------------------------------------------------- calling


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u4", "i8", "u8", ">i4"])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 0, 3)])
def test_arrays_of_any_integer_dtype_and_shape(dtype, shape):
    s = Cosine(1.0, steps=10, warmup=2)
    t = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    values = s(t)
    assert isinstance(values, np.ndarray)
    assert values.dtype == np.float64
    assert values.shape == shape
    assert values.ravel().tolist() == [s(i) for i in range(t.size)]


@pytest.mark.parametrize("nothing", [[], (), range(0)])
def test_no_updates_have_no_values(nothing):
    values = Cosine(1.0, steps=10)(nothing)
    assert (values.shape, values.dtype) == ((0,), np.float64)


def test_strided_arrays_lists_and_ranges():
    s = Exponential(1.0, 0.9)
    t = np.arange(24).reshape(4, 6)
    assert s(t.T[::2, ::-1]).tolist() == s(t).T[::2, ::-1].tolist()
    assert s([1, 2]).tolist() == s(range(1, 3)).tolist() == [s(1), s(2)]


def test_an_integer_gives_a_python_float():
    for t in (3, np.int8(3), np.uint64(3)):
        value = Exponential(1.0, 0.9)(t)
        assert type(value) is float
        assert value == 1.0 * lrcore.reference.math.pow(0.9, 3.0)


@pytest.mark.parametrize(
    ("t", "error", "text"),
    [
        (-1, ValueError, "Step: t must be an integer in [0, 2**53], got -1"),
        (2**53 + 1, ValueError, "Step: t must be an integer in [0, 2**53], got 9007199254740993"),
        (10**30, ValueError, "t must be an integer"),
        (1.0, ValueError, "Step: t must be an integer in [0, 2**53], got 1.0"),
        (math.nan, ValueError, "Step: t must be an integer in [0, 2**53], got nan"),
        (True, TypeError, "Step: t must be an integer in [0, 2**53], got True"),
        (np.True_, TypeError, "t must be an integer"),
        ("3", TypeError, "Step: t must be an integer in [0, 2**53], got '3'"),
        (None, TypeError, "t must be an integer"),
        (np.array([1.0]), TypeError, "Step: t must be an array of integers, got one of float64"),
        (np.array([True]), TypeError, "t must be an array of integers, got one of bool"),
        ([1, 2.5], TypeError, "t must be an array of integers"),
        (np.array([3, -2]), ValueError, "Step: t must be an integer in [0, 2**53], got -2"),
        (np.array([3, 2**63], np.uint64), ValueError, "got 9223372036854775808"),
    ],
    ids=repr,
)
def test_bad_t(t, error, text):
    with pytest.raises(error) as caught:
        Step(1.0, 2)(t)
    assert text in str(caught.value)


# ------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            partial(Cosine, 0.1, steps=10, warmup=500),
            ValueError,
            "Cosine: steps must be an integer > warmup (500), got 10",
        ),
        (
            partial(Cosine, 0.1, 0),
            ValueError,
            "Cosine: steps must be an integer in [1, 2**53], got 0",
        ),
        (partial(Linear, 0.1, 10.0), ValueError, "Linear: steps must be an integer"),
        (partial(Linear, 0.1, True), TypeError, "Linear: steps must be an integer"),
        (partial(Linear, 0.1, 2**60), ValueError, "Linear: steps must be an integer in [1, 2**53]"),
        (partial(Linear, math.nan, 10), ValueError, "Linear: lr must be in [0, inf), got nan"),
        (partial(Linear, -0.1, 10), ValueError, "Linear: lr must be in [0, inf), got -0.1"),
        (partial(Linear, math.inf, 10), ValueError, "Linear: lr must be in [0, inf), got inf"),
        (
            partial(Linear, "0.1", 10),
            TypeError,
            "Linear: lr must be a number in [0, inf), got '0.1'",
        ),
        (partial(Linear, 0.1, 10, -1.0), ValueError, "Linear: end must be in [0, inf), got -1.0"),
        (partial(Constant, True), TypeError, "Constant: lr must be a number in [0, inf), got True"),
        (partial(Constant, 1.0, warmup=-1), ValueError, "Constant: warmup must be an integer"),
        (partial(Constant, 1.0, warmup=1.5), ValueError, "Constant: warmup must be an integer"),
        (
            partial(Constant, 1.0, warmup=2, warmup_start=math.nan),
            ValueError,
            "Constant: warmup_start must be in (-inf, inf), got nan",
        ),
        (
            partial(Step, 0.1, 0),
            ValueError,
            "Step: step_size must be an integer in [1, 2**53], got 0",
        ),
        (partial(Step, 0.1, 5, 0.0), ValueError, "Step: gamma must be in (0, inf), got 0.0"),
        (partial(Exponential, 0.1, -0.5), ValueError, "Exponential: gamma must be in (0, inf)"),
        (partial(Polynomial, 0.1, 9, 0.0), ValueError, "Polynomial: power must be in (0, inf)"),
        (partial(NaturalExponential, 0.1, -1), ValueError, "decay must be in [0, inf), got -1"),
        (
            partial(InverseTime, 0.1, -1),
            ValueError,
            "InverseTime: rate must be in [0, inf), got -1",
        ),
        (
            partial(MultiStep, 0.1, [30, 20]),
            ValueError,
            "MultiStep: milestones must be increasing, got [30, 20]",
        ),
        (partial(MultiStep, 0.1, [30, 30]), ValueError, "MultiStep: milestones must be increasing"),
        (partial(MultiStep, 0.1, [-1]), ValueError, "MultiStep: milestones[0] must be an integer"),
        (partial(MultiStep, 0.1, [1.5]), ValueError, "MultiStep: milestones[0] must be an integer"),
        (partial(MultiStep, 0.1, 30), TypeError, "MultiStep: milestones must be a list, got 30"),
        (
            partial(MultiStep, 0.1, "30"),
            TypeError,
            "MultiStep: milestones must be a list, got '30'",
        ),
        (
            partial(PiecewiseConstant, [1, 2], [1.0, 0.1]),
            ValueError,
            "PiecewiseConstant: the number of values must be 3, boundaries and one, got 2",
        ),
        (
            partial(PiecewiseConstant, [1], [1.0, math.nan]),
            ValueError,
            "PiecewiseConstant: values[1] must be in [0, inf), got nan",
        ),
        (partial(Scale, 0.1, 2), TypeError, "Scale: schedule must be a schedule, got 0.1"),
        (
            partial(join, [Constant(1), 2], [5]),
            TypeError,
            "Join: parts[1] must be a schedule, got 2",
        ),
        (partial(join, [], []), ValueError, "Join: the number of parts must be 1"),
        (partial(Lambda, 3), TypeError, "Lambda: function must be callable, got 3"),
        (lambda: Constant(1.0) * math.nan, ValueError, "Scale: factor must be in (-inf, inf)"),
        (lambda: Constant(1.0) * "2", TypeError, "of type 'Constant'"),
        (lambda: Constant(1.0) * True, TypeError, "unsupported operand"),
        (Schedule, TypeError, "Schedule is a base class"),
    ],
    ids=repr,
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error) as caught:
        make()
    message = str(caught.value)
    assert text in message
    assert "\n" not in message


def test_arguments_are_kept_as_plain_values():
    s = MultiStep(np.float32(0.5), np.array([3, 5]), np.float64(0.5), warmup=np.int16(2))
    assert (type(s.lr), type(s.gamma), type(s.warmup)) == (float, float, int)
    assert s.milestones == (3, 5)
    assert [type(x) for x in s.milestones] == [int, int]
    assert type(Constant(1).lr) is float
    s = Polynomial(1.0, 9, cycle=np.True_, warmup=2, warmup_shape=np.str_("cosine"))
    assert (type(s.cycle), type(s.warmup_shape)) == (bool, str)


# --------------------------------------------------------------------------------- algebra


def test_scaling():
    s = Cosine(1.0, steps=10, warmup=2)
    t = np.arange(15)
    for scaled in (s * 0.1, 0.1 * s, np.float64(0.1) * s, s * np.float64(0.1)):
        assert scaled == Scale(s, 0.1)
        assert scaled(t).tolist() == (s(t) * 0.1).tolist()
    assert (2 * s)(3) == s(3) * 2
    assert (s * 0.5 * 0.5)(4) == s(4) * 0.25


def test_an_array_times_a_schedule_is_refused():
    with pytest.raises(TypeError):
        np.ones(3) * Constant(1.0)


def test_join_starts_each_part_anew():
    s = join([Linear(1.0, 4), Constant(5.0, warmup=2), Exponential(1.0, 0.5)], [3, 6])
    assert s(range(9)).tolist() == [1, 0.75, 0.5, 0, 2.5, 5, 1, 0.5, 0.25]
    inner = join([s, s * 2], [8])
    assert inner(range(8, 12)).tolist() == (2 * s(range(4))).tolist()
    assert join([s], [])(5) == s(5)


# --------------------------------------------------------------------------- it is a value


def everything():
    r = random.Random(6)
    return [CASES[kind](r) for kind in KINDS for _ in range(5)]


@pytest.mark.parametrize("s", everything(), ids=repr)
def test_copies_are_equal_and_have_equal_values(s):
    t = range(0, 3000, 7)
    copies = [pickle.loads(pickle.dumps(s, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    copies += [copy.copy(s), copy.deepcopy(s)]
    if "function" not in repr(s):
        copies.append(eval(repr(s), vars(schedules).copy()))
        copies.append(Schedule.from_dict(json.loads(json.dumps(s.to_dict()))))
        copies.append(type(s).from_dict(s.to_dict()))
    for other in copies:
        assert other == s
        assert hash(other) == hash(s)
        assert bits(other(t)) == bits(s(t))


def test_repr_leaves_out_defaults():
    assert repr(Cosine(1e-3, 100, warmup=5)) == "Cosine(lr=0.001, steps=100, warmup=5)"
    assert repr(Step(0.1, 5) * 2) == "Scale(schedule=Step(lr=0.1, step_size=5), factor=2.0)"


def test_different_schedules_are_not_equal():
    kinds = [Linear(1.0, 5), Cosine(1.0, 5), Linear(1.0, 6), Linear(1.0, 5, warmup=1)]
    assert len(set(kinds)) == 4
    assert Linear(1.0, 5) == Linear(1, np.int32(5), 0)
    assert Linear(1.0, 5) != 1.0


def test_schedules_cannot_be_changed():
    s = Linear(1.0, 5)
    for name in ("lr", "steps", "warmup", "anything"):
        with pytest.raises(AttributeError, match="cannot be changed"):
            setattr(s, name, 2)
    with pytest.raises(AttributeError, match="cannot be changed"):
        del s.lr


@pytest.mark.parametrize(
    ("d", "error", "text"),
    [
        ({"kind": "spiral", "lr": 1.0}, ValueError, "Schedule: kind must be one of '"),
        ({"lr": 1.0}, ValueError, "got None"),
        ({"kind": "linear", "lr": 1.0}, ValueError, "Linear: argument 'steps' is missing"),
        ({"kind": "constant", "lr": 1, "x": 2}, ValueError, "Constant: there is no argument 'x'"),
        (
            {"kind": "constant", "lr": -1.0},
            ValueError,
            "Constant: lr must be in [0, inf), got -1.0",
        ),
        ({"kind": ["constant"]}, ValueError, "got ['constant']"),
        (3, TypeError, "Schedule: a schedule must be a dict, got 3"),
    ],
    ids=repr,
)
def test_bad_dicts(d, error, text):
    with pytest.raises(error) as caught:
        Schedule.from_dict(d)
    assert text in str(caught.value)


def test_a_class_reads_its_own_dicts_only():
    with pytest.raises(ValueError, match="Linear: kind must be one of 'linear', got 'constant'"):
        Linear.from_dict(Constant(1.0).to_dict())


# ---------------------------------------------------------------------------------- Lambda


@pytest.mark.parametrize(
    "wrap",
    [
        Lambda,
        lambda f: Lambda(f) * 2,
        lambda f: join([Lambda(f)], []),
        lambda f: Lambda(f) + 1,
        lambda f: Constant(0.0) * Lambda(f),
        lambda f: schedules.minimum(Lambda(f), 1),
        lambda f: schedules.maximum(1, Lambda(f)),
        lambda f: Lambda(f).clip(0, 1),
        lambda f: schedules.Plateau(Lambda(f), min_lr=0.1),
    ],
)
def test_exceptions_of_a_function_reach_the_caller(wrap):
    s = wrap(refuse)
    for _ in range(2):
        with pytest.raises(LookupError, match="no value for 3"):
            s(3)
        with pytest.raises(LookupError, match="no value for 0"):
            s(range(5))


def test_an_exception_ends_the_evaluation_of_an_array():
    calls = []
    with pytest.raises(LookupError):
        Lambda(lambda t: calls.append(t) or refuse(t))(range(100))
    assert calls == [0]


def test_a_call_after_an_exception_is_as_any_other():
    s = Lambda(lambda t: 1 / t)
    with pytest.raises(ZeroDivisionError):
        s(0)
    assert s(2) == 0.5


@pytest.mark.parametrize("value", ["0.1", None, 1j, [1.0]])
def test_a_function_must_return_a_number(value):
    with pytest.raises(TypeError, match=r"Lambda: function\(4\) must return a number, got"):
        Lambda(lambda t: value)(4)


def test_a_function_may_return_any_real_number_and_nan():
    assert Lambda(lambda t: np.float32(0.5))(0) == 0.5
    assert Lambda(lambda t: 3)(0) == 3.0
    assert math.isnan(Lambda(lambda t: math.nan)(0))
    assert np.isnan((Lambda(lambda t: math.nan) * 2)(range(3))).all()


def test_a_function_gets_python_integers():
    seen = []
    Lambda(lambda t: seen.append(t) or 0.0)(np.array([5, 2]))
    assert seen == [5, 2]
    assert [type(t) for t in seen] == [int, int]


def test_a_lambda_has_no_dict_and_pickles_if_its_function_does():
    for s in (Lambda(sawtooth), Lambda(sawtooth) * 2, join([Lambda(sawtooth)], [])):
        with pytest.raises(TypeError, match="a Python function cannot be put in a dict"):
            s.to_dict()
    assert pickle.loads(pickle.dumps(Lambda(sawtooth)))(5) == sawtooth(5)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(Lambda(lambda t: 1.0))


# --------------------------------------------------------------------------------- Interval


def test_interval_text_and_membership():
    half = Interval(0, 1, closed_high=False)
    assert str(half) == "in [0, 1)"
    assert [x in half for x in (0, 0.999, 1, -0.1, math.nan, True, "0")] == [True, True] + [
        False
    ] * 5
    assert str(Interval(1, math.inf, integer=True)) == "an integer >= 1"
    assert str(Interval(2, 5, integer=True)) == "an integer in [2, 5]"
    assert str(Interval(0.5, math.inf, closed_low=False)) == "in (0.5, inf]"
    assert eval(repr(half)) == half
    assert half.check("A", "x", np.float32(0.5)) == 0.5
