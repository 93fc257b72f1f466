"""What `Restored` leaves behind: nothing. The training that follows is that of a run without it."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
from small_run import MAKERS, after, shared, twins

import lrcore
from lrcore.instruments.restore import Batches, Restored


@pytest.mark.parametrize("name", MAKERS)
def test_training_goes_on_as_if_nothing_had_been(name):
    plain, run = twins(MAKERS[name])
    shared()
    with run.restored(generators=[np.random.default_rng(0)]):
        run.train(3)
        for group in run.opt.param_groups:
            group[run.opt.rate_name] = 0.3
        run.train(5)
        run.opt.eval()
    losses = after(run)
    shared()
    assert losses == after(plain)
    assert run.bits() == plain.bits()
    assert run.opt.t == plain.opt.t
    assert run.loader.epoch == plain.loader.epoch


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_masters_are_put_back(dtype):
    master = "float32" if dtype == np.float16 else None
    plain, run = twins(lambda p: lrcore.Adam(p, lr=0.05, master=master), dtype)
    shared()
    with run.restored():
        run.train(4)
    losses = after(run)
    shared()
    assert losses == after(plain)


def test_one_restored_in_another():
    plain, run = twins(MAKERS["AdamW"])
    shared()
    with run.restored():
        run.train(2)
        with run.restored() as inner:
            first = run.train(3)
            inner.put_back()
            assert run.train(3) == first
            inner.put_back_model()
            assert run.opt.t == plain.opt.t + 2
    losses = after(run)
    shared()
    assert losses == after(plain)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_exception_too(error):
    plain, run = twins(MAKERS["AdamW"])
    shared()

    def fail():
        with run.restored():
            run.train(3)
            raise error

    with pytest.raises(error):
        fail()
    losses = after(run)
    shared()
    assert losses == after(plain)


def test_accumulated_gradients_wait_as_before():
    weights = [np.zeros(3), np.zeros(3)]
    opts = [lrcore.Adam(w, lr=0.1) for w in weights]
    for opt in opts:
        opt.accumulate(np.arange(3.0))
    with Restored(opts[0]):
        opts[0].accumulate(np.ones(3))
        opts[0].step()
    for opt in opts:
        opt.accumulate(np.ones(3))
        opt.step()
    assert weights[0].tobytes() == weights[1].tobytes()


def test_ctrl_c_while_it_puts_back(monkeypatch):
    _, run = twins(MAKERS["AdamW"])
    bits, calls = run.bits(), []
    restored = run.restored()
    real = restored.put_back

    def interrupted():
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real()

    monkeypatch.setattr(restored, "put_back", interrupted)
    with pytest.raises(KeyboardInterrupt), restored:
        run.train(2)
    assert run.bits() == bits


# ------------------------------------------------------------------------ what is found


RNG = np.random.default_rng(11)
EPOCH = 0


def _global_batches():
    global EPOCH
    EPOCH += 1
    yield RNG.normal() + EPOCH


def test_a_generator_among_the_globals():
    before = RNG.bit_generator.state
    with Restored(None, (), _global_batches):
        list(_global_batches())
    assert RNG.bit_generator.state == before
    assert EPOCH == 0


def _reached():
    """Functions that draw from a random generator, which each holds in a way of its own."""
    zero = np.random.default_rng(1)
    yield lambda b, rng=zero: rng.random()
    one = np.random.RandomState(1)
    yield lambda b: one.random()
    two = random.Random(1)
    yield lambda b: two.random()
    three = [np.random.default_rng(1)]
    yield lambda b: three[0].random()
    four = SimpleNamespace(model=SimpleNamespace(rngs={"dropout": np.random.default_rng(1)}))
    yield lambda b: four.model.rngs["dropout"].random()

    class Slotted:
        __slots__ = ("empty", "rng")

        def __init__(self):
            self.rng = np.random.default_rng(1)

        def loss(self, b):
            return self.rng.random()

    five = Slotted()
    yield five.loss
    from functools import partial, wraps

    six = np.random.default_rng(1)
    yield partial(lambda rng, b: rng.random(), six)

    @wraps(five.loss)
    def seven(b):
        return six.random()

    yield lambda b: seven(b)


@pytest.mark.parametrize("way", range(8))
def test_generators_are_found(way):
    draw = list(_reached())[way]
    with Restored(None, draw):
        first = [draw(0) for _ in range(3)]
    assert [draw(0) for _ in range(3)] == first
    with Restored(None, (), draw):
        second = draw(0)
    assert draw(0) == second
    assert second not in first


def test_generators_that_are_named():
    hidden = [np.random.default_rng(1), np.random.PCG64(2), random.Random(3)]
    with Restored(None, generators=hidden):
        first = hidden[0].random(), hidden[1].random_raw(), hidden[2].random()
    assert (hidden[0].random(), hidden[1].random_raw(), hidden[2].random()) == first


def test_children_of_a_seed():
    rng = np.random.default_rng(1)
    with Restored(None, generators=[rng]):
        first = rng.spawn(1)[0].random()
    assert rng.spawn(1)[0].random() == first


def test_a_log_in_the_loss_stays_and_the_order_of_the_data_does_not():
    log, order = [], [3, 1, 2]

    def loss(b):
        log.append(b)

    def batches():
        order.reverse()
        return iter(order)

    with Restored(None, loss, batches):
        for batch in batches():
            loss(batch)
    assert (log, order) == ([2, 1, 3], [3, 1, 2])


def _counting():
    """Batches that count their passes in a variable, and set another that was not there."""
    epoch = 0

    def batches():
        nonlocal epoch, later
        epoch, later = epoch + 1, 2
        return iter([epoch])

    def read():
        return epoch, later

    if epoch:
        later = 0
    return batches, read


def test_variables_of_the_data():
    batches, read = _counting()
    with Restored(None, (), batches):
        batches()
        assert read() == (1, 2)
    with pytest.raises(NameError):
        read()
    batches()
    assert read() == (1, 2)


def test_also():
    inner, outer = np.zeros(2), {"a": [np.ones(2)], "n": 3}
    with Restored(None, also=[inner, outer]):
        inner += 1
        outer["a"][0] += 1
        outer["a"].append(4)
        outer["n"], outer["new"] = 4, 5
    assert inner.tolist() == [0, 0]
    assert list(outer) == ["a", "n"]
    assert outer["n"] == 3
    assert [x.tolist() for x in outer["a"]] == [[1, 1]]


def test_what_cannot_be_put_back_is_refused():
    with pytest.raises(TypeError, match=r"Restored: also\[1\]\['x'\] must be an array, a tensor"):
        Restored(None, also=[1.0, {"x": object()}])
    with pytest.raises(ValueError, match=r"also\[0\] must be writable"):
        Restored(None, also=[np.broadcast_to(0.0, 3)])
    with pytest.raises(TypeError, match=r"Restored: generators\[0\] must be a generator"):
        Restored(None, generators=[3])
    for alone in (np.zeros(3), {"x": np.zeros(3)}, "x", 3):
        with pytest.raises(TypeError, match=f"also must be a list, got {type(alone).__name__}"):
            Restored(None, also=alone)
    with pytest.raises(TypeError, match="Restored: generators must be a list, got Generator"):
        Restored(None, generators=np.random.default_rng(0))
    with pytest.raises(TypeError, match="Restored: opt must be an optimizer or None, got dict"):
        Restored({})
    opt = lrcore.SGD(np.zeros(2), lr=1.0, ema=0.5)
    with opt.averaged(), pytest.raises(RuntimeError, match="averaged"), Restored(opt):
        pass


# ---------------------------------------------------------------------------- batches


def test_batches_begin_again():
    batches = Batches("lr_find", [1, 2, 3])
    assert [next(batches) for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]
    assert (batches.count, batches.passes) == (7, 3)
    batches = Batches("lr_find", lambda: (x for x in (1, 2)))
    assert [next(batches) for _ in range(3)] == [1, 2, 1]
    rows = Batches("lr_find", np.arange(4).reshape(2, 2))
    assert next(rows).tolist() == [0, 1]


def test_batches_that_end_are_closed():
    closed = []

    def batches():
        try:
            yield from range(3)
        finally:
            closed.append(True)

    stream = Batches("lr_find", batches)
    next(stream)
    stream.close()
    assert closed == [True]


ONCE = iter([1, 2])


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        (iter([1]), TypeError, "got list_iterator, which can be gone through only once"),
        (lambda: ONCE, TypeError, "must be a function that returns a new iterator each time"),
        (lambda: 3, TypeError, "got one that returns int"),
        ("abc", TypeError, "must be a list, a loader, or a function .*, got str"),
        (7, TypeError, "got int"),
        ({"x": 1}, TypeError, "got dict"),
        ([], ValueError, "must give at least one batch, got none"),
    ],
)
def test_batches_that_are_none(given, kind, text):
    with pytest.raises(kind, match=f"lr_find: batches {text}" if "must" in text else text):
        next(Batches("lr_find", given))
