"""No kind of schedule is without an oracle: a peer, live, or a formula written down a second time."""

import test_compat_keras
import test_compat_optax
import test_compat_timm
import test_compat_torch
import test_compat_transformers
import test_schedule_kinds
import test_schedules_optax
import test_schedules_torch
from peers import draws

from lrcore import _core
from lrcore.schedules import Schedule, compat

#: Of no peer here; test_schedule_kinds and test_schedule_algebra have their formulas in plain Python.
BY_FORMULA = {"chebyshev", "hyperbolic", "knee", "noam", "rex"}
OF_OTHERS = {"clip", "repeat"}
#: As the peers have them, but made of other kinds in compat: test_compat compares the two.
BY_ANOTHER_KIND = {"one_cycle", "piecewise_cosine", "piecewise_linear", "tanh_decay", "wsd"}


def kinds(schedule):
    """The kinds of a schedule and of all it is made of."""
    found = {schedule.kind}
    for value in vars(schedule).values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Schedule):
                found |= kinds(part)
    return found


def drawn():
    """What the live comparisons compare."""
    for module in (test_compat_keras, test_compat_optax):
        for name, case in module.CASES.items():
            yield from (getattr(module.compat, name)(**case(r)) for r in draws(name))
    for name, case in test_compat_timm.CASES.items():
        yield from (getattr(compat.timm, name)(0.1, **case(r)) for r in draws(name))
    for name, case in test_compat_transformers.CASES.items():
        yield from (getattr(compat.transformers, name)(0.1, **case(r, 0.1)) for r in draws(name))
    for name, case in test_compat_torch.CASES.items():
        for r in draws(name):
            args, kwargs = case(r)
            yield getattr(compat.torch, name)(*args, **kwargs)
    yield compat.torch.CyclicLR(0.1, 1.0, 5)
    yield compat.torch.ReduceLROnPlateau(0.1)
    yield compat.torch.ChainedScheduler(1.0, [compat.torch.StepLR(1.0, 5)] * 2)
    yield compat.fastai.SchedExp(0.1, 1.0, 9)
    for rows in (*test_schedules_torch.PAIRS.values(), *test_schedules_optax.PAIRS.values()):
        yield from (row[0] for row in rows)


def test_every_schedule_has_an_oracle():
    compared = set().union(*map(kinds, drawn()))
    without = set(_core.schedules()) - compared
    assert without == BY_FORMULA | OF_OTHERS | BY_ANOTHER_KIND
    assert {case.kind for case in formulas()} >= BY_FORMULA


def formulas():
    """The schedules that test_schedule_kinds compares with a formula."""
    marks = test_schedule_kinds.test_formula.pytestmark
    rows = next(mark.args[1] for mark in marks if mark.name == "parametrize")
    return [row[0] for row in rows]
