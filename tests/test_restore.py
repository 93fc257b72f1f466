"""What `Restored` leaves behind: nothing. The training that follows is that of a run without it."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest

import lrcore
from lrcore import schedules
from lrcore.instruments.restore import Batches, Restored

STEPS = 10

MAKERS = {
    "AdamW": lambda p: lrcore.AdamW(p, lr=schedules.Cosine(0.05, steps=30, warmup=5)),
    "SGD momentum": lambda p: lrcore.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Plateau": lambda p: lrcore.SGD(p, lr=schedules.Plateau(0.1, patience=1, factor=0.5)),
    "schedule-free": lambda p: lrcore.ScheduleFreeAdamW(p, lr=0.05),
    "Prodigy": lambda p: lrcore.Prodigy(p, lr=1.0),
    "Muon": lambda p: lrcore.Muon(p, lr=0.02),
    "Shampoo": lambda p: lrcore.Shampoo(p, lr=0.02),
    "SOAP": lambda p: lrcore.SOAP(p, lr=0.02),
    "averages": lambda p: lrcore.Adam(p, lr=0.05, ema=0.9, swa=3, lookahead=4),
    "scaler": lambda p: lrcore.Adam(p, loss_scale=lrcore.LossScaler(init=8.0, every=3)),
    "int8": lambda p: lrcore.AdamW(p, lr=0.05, state_dtype="int8", stats=True, clip_norm=1.0),
    "reference": lambda p: lrcore.Lion(p, lr=0.01, backend="numpy"),
    "groups": lambda p: lrcore.SGD([{"params": {"w": p["w"]}}, {"params": p["b"], "lr": 0.01}]),
    "Polyak": lambda p: lrcore.PolyakSGD(p),
}


class Loader:
    """Shuffles its order in place, and counts its passes."""

    def __init__(self, x, y):
        self.x, self.y, self.epoch = x, y, 0
        self.order = list(range(len(y)))
        self.rng = np.random.default_rng(3)

    def __iter__(self):
        self.epoch += 1
        self.rng.shuffle(self.order)
        spawned = np.random.default_rng(self.rng.bit_generator.seed_seq.spawn(1)[0])
        for at in range(0, len(self.order), 16):
            rows = self.order[at : at + 16]
            yield self.x[rows] + 0.01 * self.epoch * spawned.normal(), self.y[rows]


class Run:
    """A small regression with dropout and a running mean, in any floating format."""

    def __init__(self, make, dtype=np.float32):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(64, 5))
        self.loader = Loader(x, x @ rng.normal(size=(5, 3)))
        self.params = {"w": np.zeros((5, 3), dtype), "b": np.zeros(3, dtype)}
        self.opt = make(self.params)
        self.rng = np.random.default_rng(7)
        self.norm = {"mean": np.zeros(5)}

    def loss_and_grads(self, batch):
        x, y = batch
        self.norm["mean"] = 0.9 * self.norm["mean"] + 0.1 * x.mean(axis=0)
        kept = self.rng.random(x.shape) < 0.8
        x = (x - self.norm["mean"]) * kept + random.random() + np.random.random()  # noqa: NPY002
        w, b = (self.params[k].astype(np.float64) for k in "wb")
        error = x @ w + b - y
        out = {"w": x.T @ error / len(y), "b": error.mean(axis=0)}
        scale = self.opt.loss_scale
        grads = {k: (g * scale).astype(self.params[k].dtype) for k, g in out.items()}
        return float((error**2).mean()) / 2, grads

    def step(self, batch):
        loss, grads = self.loss_and_grads(batch)
        if len(self.opt.param_groups) == 2:
            grads = [{"w": grads["w"]}, grads["b"]]
        self.opt.step(grads, loss=loss)
        plateau = self.opt.param_groups[0][self.opt.rate_name]
        if isinstance(plateau, schedules.Plateau):
            plateau.update(loss)
        return loss

    def train(self, steps):
        batches = Batches("test", self.loader)
        losses = [self.step(next(batches)) for _ in range(steps)]
        batches.close()
        return losses

    def restored(self, **options):
        return Restored(self.opt, self.loss_and_grads, self.loader, **options)

    def bits(self):
        return {k: p.tobytes() for k, p in self.params.items()}


def twins(make, dtype=np.float32):
    """Two runs alike, a few steps old: with a state that is worth restoring."""
    out = []
    for _ in range(2):
        shared()
        run = Run(make, dtype)
        run.train(5)
        out.append(run)
    return out


def after(run):
    """The losses of the steps that come next."""
    return run.train(STEPS)


def shared(seed=5):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002


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
