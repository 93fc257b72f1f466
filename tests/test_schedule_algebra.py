"""Schedules made of schedules, and of functions: values, laws, errors."""

import math
import pickle
import random
from functools import partial

import numpy as np
import pytest
from schedule_cases import CASES, sawtooth, some

import lrcore
from lrcore import schedules
from lrcore.schedules import (
    Constant,
    Cosine,
    Every,
    Lambda,
    Linear,
    PiecewiseConstant,
    Plateau,
    Product,
    Shift,
    Step,
    Sum,
    from_epochs,
    join,
    maximum,
    minimum,
)

T = np.arange(3000)


def pairs(n=60):
    r = random.Random(8)
    return [(some(r, 2), some(r, 2)) for _ in range(n)]


def test_values_are_those_of_the_parts():
    for a, b in pairs():
        x, y = a(T), b(T)
        assert (a + b)(T).tolist() == (x + y).tolist() == (b + a)(T).tolist()
        assert (a * b)(T).tolist() == (x * y).tolist()
        assert minimum(a, b)(T).tolist() == np.minimum(x, y).tolist()
        assert maximum(a, b)(T).tolist() == np.maximum(x, y).tolist()
        assert a.clip(0.1, 0.5)(T).tolist() == np.clip(x, 0.1, 0.5).tolist()
        assert a.shift(5)(T[:-5]).tolist() == x[5:].tolist()
        assert a.shift(-5)(T).tolist() == [x[0]] * 5 + x[:-5].tolist()
        assert a.every(7)(T).tolist() == x[T // 7].tolist()
        assert a.repeat(70)(T).tolist() == x[T % 70].tolist()
        late = a.with_warmup(8, start=0.3, shape="cosine")
        assert late(T)[8:].tolist() == x[:-8].tolist()
        assert late(0) == 0.3


def test_numbers_stand_for_constants():
    s = Linear(1.0, steps=4)
    assert s + 1 == 1 + s == Sum(s, Constant(1.0))
    assert s + np.float32(1) == s + 1
    assert minimum(s, 0.5) == schedules.Minimum(s, Constant(0.5))
    assert maximum(0.5, s)(range(5)).tolist() == [1, 0.75, 0.5, 0.5, 0.5]
    assert s * s == Product(s, s)
    assert sum([s, s], start=Constant(0.0))(1) == 1.5


@pytest.mark.parametrize("first", [1.0, math.nan])
@pytest.mark.parametrize("second", [2.0, math.nan])
def test_nan_is_passed_on(first, second):
    a, b = Lambda(lambda t: first), Lambda(lambda t: second)
    for s in (minimum(a, b), maximum(a, b), a + b, a * b):
        assert math.isnan(s(0)) == math.isnan(s.reference(0)) == math.isnan(first + second)
    assert math.isnan(b.clip(0, 1)(0)) == math.isnan(second)


def test_far_ahead_and_far_behind():
    s = Step(1.0, step_size=2**52, gamma=0.5)
    assert s.shift(2**53)(2**53) == 1 / 16
    assert s.shift(-(2**53))(2**53) == 1.0
    assert s.every(2**53)(2**53) == s.repeat(2**53)(2**53) == 1.0


def test_warmups_of_the_inside_and_of_the_outside():
    s = Linear(1.0, steps=6, warmup=2)
    assert s.repeat(4)(range(6)).tolist() == [0, 0.5, 1, 0.75, 0, 0.5]
    assert s.every(2)(range(6)).tolist() == [0, 0, 0.5, 0.5, 1, 1]
    assert schedules.Repeat(s, 4, warmup=2)(range(4)).tolist() == [0, 0.5, 1, 0.75]
    before = PiecewiseConstant([1], [1.0, 0.5]).with_warmup(2, 0.5)
    assert before(range(5)).tolist() == [0.5, 0.75, 1, 0.5, 0.5]
    assert Plateau(Cosine(1.0, 9)).with_warmup(3)(range(12))[3:].tolist() == (
        Cosine(1.0, 9)(range(9)).tolist()
    )


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda s: s + "1", TypeError, "unsupported operand"),
        (lambda s: s + True, TypeError, "unsupported operand"),
        (lambda s: s + -1, ValueError, "Constant: lr must be in [0, inf), got -1"),
        (lambda s: s * None, TypeError, "unsupported operand"),
        (lambda s: minimum(s, "1"), TypeError, "Minimum: second must be a schedule, got '1'"),
        (lambda s: maximum(None, s), TypeError, "Maximum: first must be a schedule, got None"),
        (lambda s: s.clip(1, 0.5), ValueError, "Clip: low must be at most high (0.5), got 1.0"),
        (lambda s: s.clip(math.nan, 1), ValueError, "Clip: low must be in (-inf, inf), got nan"),
        (lambda s: s.shift(0.5), ValueError, "Shift: by must be an integer in ["),
        (lambda s: s.shift(2**54), ValueError, "Shift: by must be an integer in ["),
        (lambda s: s.every(0), ValueError, "Every: updates must be an integer in [1, 2**53]"),
        (lambda s: s.repeat(0), ValueError, "Repeat: period must be an integer in [1, 2**53]"),
        (lambda s: s.with_warmup(-1), ValueError, "Cosine.with_warmup: warmup must be an integer"),
        (lambda s: s.with_warmup(2, math.inf), ValueError, "Shift: warmup_start must be in"),
        (lambda s: s.with_warmup(2, shape="up"), ValueError, 'warmup_shape must be "linear", "cos'),
    ],
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error) as caught:
        make(Cosine(1.0, 9))
    assert text in str(caught.value)


@pytest.mark.parametrize("kind", sorted(set(CASES) - {"lambda"}))
def test_a_function_inside_runs_in_the_callers_thread(kind):
    """Long arrays are shared out to threads; not where Python code would be called."""
    import threading

    inside, seen = Lambda(lambda t: seen.add(threading.get_ident()) or sawtooth(t)), set()
    cls = schedules.Schedule._kinds[kind]
    names = [n for n, d in cls.domains.items() if d is lrcore._schedule.SCHEDULE]
    r = random.Random(kind)
    if kind == "join":
        s = join([Constant(1.0), inside], [3])
    elif names:
        s = cls(**{**CASES[kind](r)._arguments, names[-1]: inside})
    else:
        return
    before = lrcore.get_num_threads()
    try:
        lrcore.set_num_threads(3)
        values = s(np.arange(100_000))
    finally:
        lrcore.set_num_threads(before)
    assert seen == {threading.get_ident()}
    assert values[:50].tolist() == [s.reference(t) for t in range(50)]


# ----------------------------------------------------------------------------------- epochs


def halve(epoch, lr):
    return lr if epoch == 0 else lr * 0.5


def test_a_function_of_epoch_and_rate():
    s = from_epochs(halve, 0.8, steps_per_epoch=3)
    assert isinstance(s, Every)
    assert s(range(9)).tolist() == [0.8] * 3 + [0.4] * 3 + [0.2] * 3
    assert s(3000) == 0.8 * 0.5**1000
    assert s(0) == 0.8
    assert s.reference(4) == 0.4


def test_epochs_are_asked_for_once_and_in_order():
    seen = []
    s = from_epochs(lambda epoch, lr: seen.append((epoch, lr)) or lr + 1, 0.0)
    assert s([2, 0, 1]).tolist() == [3.0, 1.0, 2.0]
    assert s(2) == 3.0
    assert seen == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert [type(x) for x in seen[1]] == [int, float]


def test_an_epoch_that_failed_is_asked_for_again():
    answers = [0.5, LookupError("no"), 0.25]

    def function(epoch, lr):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    s = from_epochs(function, 1.0)
    with pytest.raises(LookupError, match="no"):
        s(1)
    assert s(range(2)).tolist() == [0.5, 0.25]


def test_epochs_compare_and_pickle_by_function_and_rate():
    s = from_epochs(halve, 0.8, 2)
    s(100)
    other = pickle.loads(pickle.dumps(s))
    assert other == s == from_epochs(halve, 0.8, 2)
    assert hash(other) == hash(s)
    assert other(7) == s(7)
    assert s != from_epochs(halve, 0.4, 2)
    assert "lr=0.8" in repr(s)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (partial(from_epochs, 0.1, 0.1), TypeError, "from_epochs: function must be callable, got"),
        (partial(from_epochs, halve, -1), ValueError, "from_epochs: lr must be in [0, inf), got"),
        (partial(from_epochs, halve, 1.0, 0), ValueError, "Every: updates must be an integer"),
        (
            lambda: from_epochs(lambda epoch, lr: None, 0.5)(1),
            TypeError,
            "from_epochs: function(0, 0.5) must return a number, got None",
        ),
    ],
)
def test_bad_epochs(make, error, text):
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


def test_a_shift_is_what_puts_a_warmup_before_anything():
    s = Cosine(1.0, 9)
    assert s.with_warmup(4) == Shift(s, -4, warmup=4)
    assert s.with_warmup(0)(range(9)).tolist() == s(range(9)).tolist()
