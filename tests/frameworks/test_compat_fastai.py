"""compat.fastai against the functions in fastai's own file.

To import fastai takes spacy, torchvision and a hundred other packages, for ten functions of a few
lines; so these are run as they stand in the installed package, with little else.
"""

import ast
import math
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from peers import draws, peer, rate, same
from support import missing

from lrcore.schedules.compat import fastai as compat

pytestmark = pytest.mark.frameworks
WANTED = {"_Annealer", "sched_lin", "sched_cos", "sched_no", "sched_exp", *compat.__all__}


@pytest.fixture(scope="module")
def fastai():
    """fastai with its shares of a run in float64."""
    return functions(peer("torch")[0].float64)


def functions(dtype):
    """fastai's functions, with shares of a run of that dtype."""
    (torch,) = peer("torch")
    spec = find_spec("fastai")
    if spec is None:
        missing("fastai")
    path = Path(spec.submodule_search_locations[0], "callback", "schedule.py")
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if getattr(node, "name", None) in WANTED]
    assert {node.name for node in tree.body} == WANTED - {"one_cycle_momentum"}
    for node in tree.body:
        node.decorator_list = []

    def store_attr(self, attributes):
        caller = sys._getframe(1).f_locals
        for name in attributes.split(","):
            setattr(self, name, caller[name])

    names = {
        "torch": torch,
        "np": np,
        "math": math,
        "tensor": partial(torch.tensor, dtype=dtype),
        "L": lambda x=None: list(x or []),
        "Learner": object,
        "ParamScheduler": lambda scheds: [scheds],
    }
    source = ast.unparse(tree).replace("store_attr('", "store_attr(self, '")
    names["store_attr"] = store_attr
    exec(compile(source, str(path), "exec"), names)
    return SimpleNamespace(**names)


def values(function, steps):
    """What ParamScheduler sets before each batch."""
    return [float(np.squeeze(function(t / steps))) for t in range(steps)]


CASES = {
    "SchedCos": lambda r: (rate(r), rate(r)),
    "SchedExp": lambda r: (rate(r), rate(r)),
    "SchedLin": lambda r: (rate(r), rate(r)),
    "SchedNo": lambda r: (rate(r), rate(r)),
    "SchedPoly": lambda r: (rate(r), rate(r), r.choice([2.0, r.uniform(0.3, 4)])),
}


@pytest.mark.parametrize("name", CASES)
def test_one_piece(fastai, name):
    for r in draws(name):
        args, steps = CASES[name](r), r.randint(1, 130)
        theirs = values(getattr(fastai, name)(*args), steps)
        same(getattr(compat, name)(*args, steps), theirs, atol=1e-13)


def test_combinations(fastai):
    for r in draws("combine_scheds"):
        n = r.randint(1, 4)
        shares = [k / 64 for k in np.diff([0, *sorted(r.sample(range(1, 64), n - 1)), 64]).tolist()]
        pieces = [(name := r.choice(list(CASES)), CASES[name](r)) for _ in range(n)]
        steps = r.choice([64, 128, r.randint(1, 130)])
        theirs = fastai.combine_scheds(shares, [getattr(fastai, k)(*a) for k, a in pieces])
        ours = compat.combine_scheds(shares, [getattr(compat, k)(*a) for k, a in pieces], steps)
        same(ours, values(theirs, steps), atol=1e-13)


def test_combined_cos(fastai):
    for r in draws("combined_cos"):
        args, steps = (
            (r.choice([0.25, 0.5, r.random()]), rate(r), rate(r), rate(r)),
            r.randint(1, 130),
        )
        theirs = fastai.combined_cos(*args)
        same(compat.combined_cos(*args, steps), values(theirs, steps), atol=1e-13)


class Learner:
    """A learner that only takes note of what it was to fit with."""

    def __init__(self, lr):
        self.lr, self.moms = lr, (0.95, 0.85, 0.95)
        self.opt = SimpleNamespace(set_hyper=lambda name, value: None, hypers=[{"lr": lr}])

    def fit(self, n_epoch, cbs, **others):
        self.n_epoch, (self.scheds,) = n_epoch, cbs


def test_fit_one_cycle(fastai):
    for r in draws("fit_one_cycle"):
        lr, epochs, per_epoch = rate(r), r.randint(1, 5), r.randint(1, 25)
        options = r.choice(
            [{}, {"div": r.uniform(1, 50), "div_final": 1e4, "pct_start": r.random()}]
        )
        learner = Learner(lr)
        fastai.fit_one_cycle(learner, epochs, lr, **options)
        steps = epochs * per_epoch
        ours = compat.fit_one_cycle(epochs, lr, **options, steps_per_epoch=per_epoch)
        same(ours, values(learner.scheds["lr"], steps), atol=1e-13)
        share = {k: v for k, v in options.items() if k == "pct_start"}
        ours = compat.one_cycle_momentum(epochs, **share, steps_per_epoch=per_epoch)
        same(ours, values(learner.scheds["mom"], steps), atol=1e-13)


def test_fit_flat_cos(fastai):
    for r in draws("fit_flat_cos"):
        lr, epochs, per_epoch = rate(r), r.randint(1, 5), r.randint(1, 25)
        options = r.choice([{}, {"div_final": 1e3, "pct_start": r.random()}])
        learner = Learner(lr)
        fastai.fit_flat_cos(learner, epochs, lr, **options)
        ours = compat.fit_flat_cos(epochs, lr, **options, steps_per_epoch=per_epoch)
        same(ours, values(learner.scheds["lr"], epochs * per_epoch), atol=1e-13)


def test_fit_sgdr(fastai):
    compared = 0
    for r in draws("fit_sgdr"):
        lr, args, per_epoch = rate(r), (r.randint(1, 3), r.randint(1, 3)), r.randint(1, 9)
        mult = r.choice([{}, {"cycle_mult": 3}])
        learner = Learner(lr)
        try:
            fastai.fit_sgdr(learner, *args, lr, **mult)
        except AssertionError:  # fastai's, where its shares do not add up to 1 to the last bit
            continue
        ours = compat.fit_sgdr(*args, lr, **mult, steps_per_epoch=per_epoch)
        steps, cycle = learner.n_epoch * per_epoch, args[1] * per_epoch
        starts = [sum(cycle * mult.get("cycle_mult", 2) ** k for k in range(i)) for i in range(3)]
        theirs = values(learner.scheds["lr"], steps)
        same(ours, theirs, atol=1e-13, starts=starts, low=0.0)
        compared += 1
    assert compared >= 50


def test_in_float32_as_fastai_is():
    (torch,) = peer("torch")
    fastai = functions(torch.float32)
    learner = Learner(0.1)
    fastai.fit_one_cycle(learner, 5, 0.1)
    ours = compat.fit_one_cycle(5, 0.1, steps_per_epoch=25)
    same(ours, values(learner.scheds["lr"], 125), rtol=1e-6, atol=1e-6)


def test_every_name_is_compared():
    tested = {"combine_scheds", "combined_cos", "fit_one_cycle", "one_cycle_momentum"}
    assert {*CASES, *tested, "fit_flat_cos", "fit_sgdr"} == set(compat.__all__)
