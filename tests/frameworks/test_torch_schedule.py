"""schedule: the values of a schedule, through torch's LRScheduler, in any optimizer."""

import copy
import io
import pickle

import pytest
from oracles.harness import framework
from support import message_of

import lrcore
from lrcore import schedules

pytestmark = pytest.mark.frameworks
torch = framework("torch")
lt = framework("lrcore.torch")

PLANS = [
    schedules.Cosine(0.3, steps=20, warmup=5),
    schedules.Step(0.3, 7, 0.5),
    schedules.OneCycle(0.3, steps=25),
    schedules.Lambda(lambda t: 0.3 / (t + 1)),
    schedules.join([schedules.Linear(0.1, steps=5), schedules.Exponential(0.2, 0.9)], [5]),
]
OPTIMIZERS = [
    lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9),
    lambda p: torch.optim.AdamW(p, lr=torch.tensor(1.0)),
    lambda p: lt.AdamW(p, lr=1.0),
    lambda p: lt.AdamW(p, lr=torch.tensor(1.0)),
]


def parameters(n=1):
    return [torch.nn.Parameter(torch.ones(3)) for _ in range(n)]


def run(opt, scheduler, steps):
    rates = []
    for _ in range(steps):
        for group in opt.param_groups:
            for p in group["params"]:
                p.grad = torch.ones_like(p)
        rates.append(float(opt.param_groups[0]["lr"]))
        assert float(scheduler.get_last_lr()[0]) == rates[-1]
        opt.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("s", PLANS, ids=lambda s: type(s).__name__)
def test_exact_values_in_any_optimizer(s, make):
    opt = make(parameters())
    given = opt.param_groups[0]["lr"]
    scheduler = lt.schedule(opt, s)
    assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
    exact = [
        torch.tensor(s(t)).item() if isinstance(given, torch.Tensor) else s(t) for t in range(30)
    ]
    assert run(opt, scheduler, 30) == exact
    assert opt.param_groups[0]["lr"] is given or not isinstance(given, torch.Tensor)


def test_the_steps_are_those_of_the_schedule_as_the_rate():
    a, b, s = parameters(), parameters(), schedules.Cosine(0.3, steps=20, warmup=5)
    one, other = lt.Adam(a, lr=0.5), lt.Adam(b, lr=s)
    scheduler = lt.schedule(one, s)
    for _ in range(25):
        a[0].grad = b[0].grad = torch.tensor([1.0, -2.0, 0.5])
        one.step()
        scheduler.step()
        other.step()
    assert torch.equal(a[0], b[0])


def test_one_schedule_a_group():
    plans = [schedules.Linear(0.5, steps=10), schedules.Constant(0.1)]
    p = parameters(3)
    opt = torch.optim.SGD([{"params": [x]} for x in p[:2]], lr=1.0)
    scheduler = lt.schedule(opt, plans)
    run(opt, scheduler, 4)
    assert scheduler.get_last_lr() == [plans[0](4), 0.1]
    opt.add_param_group({"params": [p[2]]})
    with pytest.raises(ValueError, match="param_groups must be as many as the schedules, 2, got 3"):
        scheduler.step()
    opt = torch.optim.SGD([{"params": [x]} for x in p[:2]], lr=1.0)
    scheduler = lt.schedule(opt, plans[0])
    opt.add_param_group({"params": [p[2]]})
    run(opt, scheduler, 3)
    assert [group["lr"] for group in opt.param_groups] == [plans[0](3)] * 3


def test_a_rate_under_another_name():
    p = parameters()
    opt = lt.PolyakSGD(p, max_lr=1.0)
    scheduler = lt.schedule(opt, schedules.Linear(0.4, steps=4))
    for t in range(5):
        rate = 0.4 * (1 - t / 4)
        assert opt.param_groups[0]["max_lr"] == pytest.approx(rate)
        assert opt.lrcore.lr == pytest.approx(rate)
        p[0].grad = torch.ones(3)
        before = p[0].detach().clone()
        opt.step(loss=100.0)
        torch.testing.assert_close(before - p[0], torch.full((3,), rate))
        scheduler.step()
    resumed = torch.optim.lr_scheduler.SequentialLR(
        opt, [lt.schedule(opt, schedules.Constant(c)) for c in (0.5, 0.25)], [2]
    )
    seen = []
    for _ in range(4):
        seen.append(opt.param_groups[0]["max_lr"])
        opt.step(loss=1.0)
        resumed.step()
    assert seen == [0.5, 0.5, 0.25, 0.25]


# ------------------------------------------------------------------------------ going on


@pytest.mark.parametrize("s", PLANS, ids=lambda s: type(s).__name__)
def test_saved_and_resumed(s):
    opt = torch.optim.SGD(parameters(), lr=1.0)
    scheduler = lt.schedule(opt, s)
    run(opt, scheduler, 7)
    file = io.BytesIO()
    torch.save(scheduler.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    other = torch.optim.SGD(parameters(), lr=1.0)
    there = s if isinstance(s, schedules.Lambda) else schedules.Constant(0.7)
    resumed = lt.schedule(other, there)
    resumed.load_state_dict(state)
    other.load_state_dict(opt.state_dict())
    assert resumed.last_epoch == 7
    assert run(other, resumed, 5) == run(opt, scheduler, 5) == [s(t) for t in range(7, 12)]


def test_begun_in_the_middle():
    s = schedules.Linear(1.0, steps=10)
    opt = torch.optim.SGD(parameters(), lr=1.0)
    scheduler = lt.schedule(opt, s, last_epoch=3)
    assert scheduler.get_last_lr() == [s(4)]
    opt.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [s(5)]


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(how):
    opt = torch.optim.SGD(parameters(), lr=1.0)
    scheduler = lt.schedule(opt, PLANS[0])
    run(opt, scheduler, 3)
    other, copied = how((opt, scheduler))
    assert copied.optimizer is other
    assert run(other, copied, 4) == run(opt, scheduler, 4)


def test_plateau_is_told_its_metric_by_its_owner():
    plateau = schedules.Plateau(1.0, factor=0.5, patience=0)
    opt = torch.optim.SGD(parameters(), lr=0.3)
    scheduler = lt.schedule(opt, plateau)
    for metric, rate in ((3.0, 1.0), (3.0, 0.5), (3.0, 0.25), (1.0, 0.25)):
        opt.step()
        plateau.update(metric)
        scheduler.step()
        assert opt.param_groups[0]["lr"] == rate
    again = schedules.Plateau(1.0, factor=0.5, patience=0)
    other = torch.optim.SGD(parameters(), lr=0.3)
    resumed = lt.schedule(other, again)
    resumed.load_state_dict(scheduler.state_dict())
    assert again == plateau
    assert resumed.get_last_lr() == [0.25]


def test_in_a_sequence_each_begins_at_zero():
    a, b = schedules.Linear(0.1, steps=5), schedules.Exponential(0.2, 0.9)
    opt = lt.AdamW(parameters(), lr=1.0)
    made = [lt.schedule(opt, s) for s in (a, b)]
    sequence = torch.optim.lr_scheduler.SequentialLR(opt, made, [5])
    joined = schedules.join([a, b], [5])
    assert run(opt, sequence, 12) == [joined(t) for t in range(12)]


def test_among_schedulers_of_torch():
    opt = torch.optim.SGD(parameters(), lr=1.0)
    ours = lt.schedule(opt, schedules.Linear(1.0, steps=4))
    theirs = torch.optim.lr_scheduler.ConstantLR(opt, 0.5, 100)
    sequence = torch.optim.lr_scheduler.SequentialLR(opt, [ours, theirs], [3])
    assert run(opt, sequence, 5) == [1.0, 0.75, 0.5, 0.5, 0.5]


# ------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda o: lt.schedule(lrcore.SGD(parameters()[0].detach().numpy()), PLANS[0]),
            "optimizer",
        ),
        (lambda o: lt.schedule(o, 0.1), "s must be a schedule of lrcore, got 0.1"),
        (lambda o: lt.schedule(o, [PLANS[0], 0.1]), r"s\[1\] must be a schedule"),
        (lambda o: lt.schedule(o, PLANS[:2]), "a schedule for each of 1 groups, got 2"),
        (lambda o: lt.schedule(o, PLANS[0], last_epoch=-2), "last_epoch must be an integer >= -1"),
        (lambda o: lt.schedule(lt.SGD(parameters(), lr=PLANS[0]), PLANS[0]), "lr of param_groups"),
        (
            lambda o: lt.schedule(o, PLANS[0]).load_state_dict({}),
            "the state must be of such a scheduler",
        ),
        (
            lambda o: lt.schedule(o, PLANS[0]).load_state_dict(
                lt.schedule(o, [PLANS[0]]).state_dict()
            ),
            "_common must be True, got False",
        ),
        (
            lambda o: lt.schedule(o, [PLANS[0]]).load_state_dict(
                lt.schedule(o, [PLANS[0]]).state_dict() | {"_given": []}
            ),
            "the state must have 1 schedules, got 0",
        ),
    ],
)
def test_refused(call, text):
    opt = torch.optim.SGD(parameters(), lr=0.7)
    with pytest.raises((TypeError, ValueError), match=text) as error:
        call(opt)
    message_of(error)
