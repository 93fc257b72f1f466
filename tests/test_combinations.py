"""Promise 1 in any combination of stages and formats, drawn from seeds; and laws that hold in each.

A combination that fails is repeated by ``_verify.drawn(seed)``.
"""

from __future__ import annotations

import pickle
import sys
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from support import missing

import lrcore
from lrcore import _verify
from lrcore._cases import SWITCHED, named, rules
from lrcore._combinations import FLOATS, LAYOUTS, MASTERS, Combination, Group
from lrcore._optimizer.slots import TRACED_WHOLE
from lrcore.options import LossScaler

DEFAULT = range(6 * len(rules()))
SAID = "made, t, grad_norm, loss_scale after step {}"
FURTHER = range(1000, 4000)


def everywhere(case, threads=(1, 2, 3)):
    """What differs from the reference, on any instruction set with any number of threads."""
    expected = _verify.reference(case)
    return [
        f"{isa}, {n} threads: {found}\n{case}"
        for isa in lrcore.isas()
        for n in threads
        if (found := _verify.compare(case, expected, isa, n))
    ]


@pytest.mark.parametrize("seed", DEFAULT)
def test_drawn_combinations_have_the_bits_of_the_reference(seed):
    assert everywhere(_verify.drawn(seed)) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", FURTHER[::100])
def test_many_more(first):
    assert [x for seed in range(first, first + 100) for x in everywhere(_verify.drawn(seed))] == []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.rule)
def test_every_format_with_all_stages_on(rule):
    found = [case for case in _verify.formats() if case.rule is rule]
    assert len(found) == (11 if _verify.has_bfloat16() else 4)
    assert [x for case in found for x in everywhere(case, threads=(1, 3))] == []


def test_bfloat16_is_among_the_formats():
    if not _verify.has_bfloat16():
        missing("ml_dtypes")


# ------------------------------------------------------------------- what has been compared


def traits(case, group):
    """What is switched on for a group of a combination."""
    o, whole = group.options, case.options
    yield "parameters", group.dtype
    yield "gradients", group.gradients
    yield "layout", group.layout
    yield "state", o["state_dtype"]
    yield "rounding", o["rounding"]
    yield "master", o["master"]
    yield "numbers", case.kind
    yield "nonfinite", whole["nonfinite"]
    yield from (("micro", n) for n in set(case.micro))
    yield from (("group", name) for name in o)
    yield from (("whole", name) for name in whole)


def pairs(case, group):
    """Traits that matter together."""
    o, whole = group.options, case.options
    yield "parameters", group.dtype, o["master"]
    yield "state", o["state_dtype"], o["rounding"]
    yield "order", group.order, group.form
    yield "nonfinite", whole["nonfinite"], case.poisoned >= 0
    yield "skip", whole["nonfinite"], isinstance(whole.get("loss_scale"), LossScaler)
    yield "zero", "zero_grads" in whole, group.layout, max(case.micro) > 0
    yield "agc", "agc" in o and o["agc"].axis, group.order, group.form
    yield "groups", len(case.groups), case.gaps


def here(*names):
    return [name for name in names if name != "bfloat16" or _verify.has_bfloat16()]


def wanted_traits():
    floats = here(*FLOATS)
    yield from product(["parameters", "gradients"], floats)
    yield from product(["layout"], LAYOUTS)
    yield from product(["state"], here(None, "float32", "bfloat16", "int8"))
    yield from product(["rounding"], ["nearest", "stochastic"])
    yield from product(["master"], [None, "float32", *["split"] * _verify.has_bfloat16()])
    yield from product(["numbers"], ["tame", "odd", "wild"])
    yield from product(["nonfinite"], ["raise", "skip", "ignore"])
    yield from product(["micro"], range(4))
    of_groups = "maximize clip_value clip_norm agc cautious grams weight_decay"
    yield from product(["group"], of_groups.split())
    of_all = "clip_norm ema swa lookahead zero_grads loss_scale stats decay_mask lr_scale"
    yield from product(["whole"], of_all.split())


def wanted_pairs():
    both = (False, True)
    for x in here(*FLOATS):
        yield from product(["parameters"], [x], [None, *MASTERS.get(x, ())])
    states = here(None, "float32", "float64", "bfloat16", "int8")
    yield from product(["state"], states, ["nearest", "stochastic"])
    yield from product(["order"], "CF", ["row", "wide", "tall"])
    yield from product(["nonfinite"], ["raise", "skip"], both)
    yield from product(["skip"], ["skip"], both)
    yield from product(["zero"], both, LAYOUTS, both)
    yield from product(["agc"], [-1, 0], "CF", ["wide", "tall"])
    yield from product(["groups"], [1, 2, 3], both)


def test_rules_meet_every_stage_and_format():
    met, together, dtypes = Counter(), Counter(), set()
    for case in map(_verify.drawn, DEFAULT):
        dtypes.add((case.rule, case.groups[0].dtype))
        for group in case.groups:
            met.update(traits(case, group))
            together.update(pairs(case, group))
    assert [trait for trait in wanted_traits() if met[trait] < 5] == []
    assert [pair for pair in wanted_pairs() if not together[pair]] == []
    assert dtypes == set(product(rules(), here(*FLOATS)))


def test_formats_meet_each_other():
    met = {
        (group.dtype, group.gradients, group.options["state_dtype"])
        for case in map(_verify.drawn, [*DEFAULT, *FURTHER[:500]])
        for group in case.groups
    }
    states = here(None, "float32", "bfloat16", "int8")
    assert set(product(here(*FLOATS), here(*FLOATS), states)) <= met


def rich_case():
    """One with every kind of result."""
    options = {"state_dtype": "int8", "rounding": "nearest", "master": "float32"}
    stages = {"ema": 0.5, "swa": True, "lookahead": True, "stats": True, "zero_grads": True}
    group = Group("float16", "float32", options=options)
    return Combination(1, lrcore.AdamW, (group,), {**stages, "clip_norm": 1.0})


def test_a_wrong_bit_is_seen_wherever_it_is():
    case = rich_case()
    expected = _verify.reference(case)
    assert everywhere(case) == []
    words = {name.partition("[")[0].partition(" ")[0] for name in expected}
    slots = {"m", "v", "m_scale", "v_scale", "master", "slow", "ema", "swa", "trace"}
    assert words == {"p", "made,", "bytes", "statistics", *slots}
    for name, array in expected.items():
        if array.size:
            row = array.view(np.uint8)
            row[-1] ^= 1  # of the sign and exponent, so that no NaN hides it
            assert name in _verify.compare(case, expected, lrcore.isas()[0], 1)
            row[-1] ^= 1


def test_verify_does_without_bfloat16_and_says_so(monkeypatch, capsys):
    from lrcore import cli

    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    assert not _verify.has_bfloat16()
    for case in [*_verify.formats(), *map(_verify.drawn, range(56))]:
        assert "bfloat16" not in str(case)
    assert cli.main(["verify", "--quick"]) == 0
    assert "bfloat16 was left out, since ml_dtypes is not installed" in capsys.readouterr().out
    monkeypatch.setattr(_verify, "run", lambda progress, quick: [])
    assert cli.main(["verify", "--json"]) == 0
    assert '"left_out": [\n    "bfloat16"\n  ]' in capsys.readouterr().out


# ------------------------------------------------------------------------------------ laws


def changed(case, kind="tame", poisoned=-1, groups=None, **options):
    """The combination with other options, for all groups with those of `groups`."""
    rows = tuple(replace(g, options={**g.options, **(groups or {})}) for g in case.groups)
    options = {**case.options, **options}
    return replace(case, kind=kind, poisoned=poisoned, groups=rows, options=options)


def by_state_dict(run):
    state = run.opt.state_dict()
    run.opt = run.case.optimizer(run.params)
    run.opt.load_state_dict(state)


def by_pickled_state_dict(run):
    state = pickle.loads(pickle.dumps(run.opt.state_dict()))
    run.params = pickle.loads(pickle.dumps(run.params))
    run.opt = run.case.optimizer(run.params)
    run.opt.load_state_dict(state)


def by_pickle(run):
    run.opt, run.params = pickle.loads(pickle.dumps((run.opt, run.params)))


@pytest.mark.parametrize("how", [by_state_dict, by_pickled_state_dict, by_pickle])
@pytest.mark.parametrize("seed", range(2000, 2028))
def test_a_run_that_is_interrupted_goes_on_bit_for_bit(seed, how):
    """Also between the micro-batches and their step."""
    case = _verify.drawn(seed)
    whole, run = _verify.Run(case).finish(), _verify.Run(case)
    cut = seed % len(case.micro)
    for k in range(cut):
        run.step(k)
    run.step(cut, pause=lambda: how(run))
    found = run.finish()
    for k in range(len(case.micro)):
        for log in (found, whole):
            said = log[SAID.format(k)]
            said[2] *= said[0] == 1  # a step that is refused leaves the norm of an earlier one
    assert not _verify.difference(found, whole), str(case)


@pytest.mark.parametrize("seed", range(3000, 3014))
def test_a_state_file_changes_no_bit(seed, tmp_path):
    case = _verify.drawn(seed)
    in_file = _verify.Run(case, state_file=tmp_path / "state")
    assert not _verify.difference(in_file.finish(), _verify.Run(case).finish()), str(case)


@pytest.mark.parametrize("seed", range(4000, 4028))
def test_a_rate_of_zero_changes_no_parameter(seed):
    case = changed(_verify.drawn(seed), stats=True, groups={"lr": 0.0})
    run = _verify.Run(case)
    before = [p.astype(np.float64) for p in run.params]
    run.finish()
    for p, old in zip(run.params, before, strict=True):
        np.testing.assert_array_equal(p.astype(np.float64), old, err_msg=str(case))
    stats = run.opt.stats.total
    assert stats.step_norm == 0 or np.isnan(stats.step_norm)


@pytest.mark.parametrize("seed", range(6000, 6028))
def test_options_may_be_assigned_after_an_optimizer_is_made(seed):
    case = _verify.drawn(seed)
    fixed = {"state_dtype", "master", *SWITCHED}
    bare = replace(
        case,
        groups=tuple(
            replace(
                g, options={k: v for k, v in g.options.items() if k in fixed or k == "clip_norm"}
            )
            for g in case.groups
        ),
    )
    run = _verify.Run(bare)
    for group, assigned in zip(case.groups, run.opt.param_groups, strict=True):
        later = {k: v for k, v in group.options.items() if k not in fixed}
        assigned.update(named(case.rule, later))
    assert not _verify.difference(run.finish(), _verify.Run(case).finish()), str(case)


@pytest.mark.parametrize("seed", range(7000, 7028))
def test_the_memory_limit_is_measured_without_changing_a_number(seed):
    case = changed(_verify.drawn(seed))
    run = _verify.Run(case)
    run.step(0)
    grads, memory = case.gradients(1)
    rows = [*run.params, *memory, *(a for own in run.opt.state.values() for a in own.values())]
    before = [a.copy() for a in rows]
    age = run.opt.t
    run.opt._plan.roofline(case.given(grads))
    assert run.opt.t == age
    for a, old in zip(rows, before, strict=True):
        np.testing.assert_array_equal(a, old, err_msg=str(case))


@pytest.mark.parametrize("rule", [lrcore.SGD, lrcore.AdamW])
@pytest.mark.parametrize("agreeing", [0, 1, 4, 6, 30, 2500])
def test_cautious_steps_where_few_agree(rule, agreeing):
    """Steps are longer by the inverse of the share, at most a thousand times."""
    options = {"momentum": 0.9} if rule is lrcore.SGD else {"weight_decay": 0.5}
    along, against = np.ones(5000, np.float32), np.full(5000, -0.01, np.float32)
    against[:agreeing] = 0.01

    def train(backend, cautious):
        p = np.linspace(-1, 1, 5000, dtype=np.float32)
        opt = rule(p, lr=1e-3, backend=backend, **options)
        opt.step(along)
        opt.param_groups[0]["cautious"] = cautious
        before = p.copy()
        opt.step(against)
        return p, before * np.float32(1 - 1e-3 * options.get("weight_decay", 0.0))

    expected, _ = train("numpy", True)
    for isa in lrcore.isas():
        lrcore.set_isa(isa)
        p, base = train("c", True)
        np.testing.assert_array_equal(p, expected)
    plain = train("c", False)[0] - base
    longer = 5000 / max(agreeing, 5)
    np.testing.assert_allclose((p - base)[:agreeing], plain[:agreeing] * longer, rtol=2e-2)
    np.testing.assert_allclose(p[agreeing:], base[agreeing:], rtol=1e-6)


def bytes_of(run):
    """All arrays, and the ages."""
    state = run.opt.state_dict()
    ages = [p["t"] for group in state["param_groups"] for p in group["params"].values()]
    arrays = [*run.params, *(a for own in run.opt.state.values() for a in own.values())]
    return [a.tobytes() for a in arrays], ages


@pytest.mark.parametrize("seed", range(5000, 5028))
def test_a_skipped_step_changes_nothing_but_gradients_and_scale(seed):
    drawn = _verify.drawn(seed)
    case = replace(changed(drawn, nonfinite="skip", poisoned=1), gaps=False, micro=(0, 0, 0))
    run, straight = _verify.Run(case), _verify.Run(case)
    run.step(0)
    straight.step(0)
    before, scale = bytes_of(run), run.opt.loss_scale
    run.step(1)
    assert run.log[SAID.format(1)][:2].tolist() == [0, 1]
    assert bytes_of(run) == before, str(case)

    scaler = case.options.get("loss_scale")
    adapts = isinstance(scaler, LossScaler)
    assert run.opt.loss_scale == (max(scale * scaler.backoff, scaler.floor) if adapts else scale)

    grads, memory = case.gradients(1)
    for g in grads if case.options.get("zero_grads") else []:
        g[...] = 0
    expected = b"".join(m.ravel(order="K").tobytes() for m in memory)
    assert run.log["bytes of the gradients after step 1"].tobytes() == expected

    if not adapts:
        run.step(2)
        straight.step(2)
        assert bytes_of(run) == bytes_of(straight), str(case)


@pytest.mark.parametrize("state", [None, "int8", "bfloat16"])
@pytest.mark.parametrize("rule", [lrcore.AdamW, lrcore.Lion, lrcore.SGD])
def test_random_bits_are_those_of_seed_update_tensor_and_element(rule, state):
    """What an element is rounded to depends on nothing else, but for the block it is in."""
    if state == "bfloat16" and not _verify.has_bfloat16():
        missing("ml_dtypes")
    rng = np.random.default_rng(0)
    start = rng.standard_normal(3 * 8192 + 5).astype(np.float16)
    grads = rng.standard_normal((3, start.size)).astype(np.float32)
    part = 70 * 128

    def train(seed=5, n=start.size, place=1, first=0):
        params = [start.copy() for _ in range(place)] + [start[:n].copy()]
        options = {"rounding": "stochastic", "state_dtype": state, "seed": seed}
        opt = rule(params, lr=0.01, **options)
        for g in grads[first:]:
            opt.step([None] * place + [g[:n]])
        own = opt.state[str(place)]
        return [params[-1][:part].tobytes()] + [
            a[: part // (128 if name.endswith("scale") else 1)].tobytes() for name, a in own.items()
        ]

    expected = train()
    assert train(n=part) == expected
    assert train(n=20000) == expected
    assert train(seed=6)[0] != expected[0]
    assert train(seed=5 + 2**32)[0] != expected[0]
    assert train(place=2)[0] != expected[0]

    still = start.copy()  # the same step again and again, but for the age
    opt = lrcore.SGD(still, lr=1e-4, rounding="stochastic")
    moved = []
    for _ in range(2):
        still[...] = start
        opt.step(np.ones(start.size, np.float32))
        moved.append(still.tobytes())
    assert moved[0] != moved[1]

    alike = [start[:64].copy() for _ in range(300)]
    lrcore.SGD(alike, lr=1e-4, rounding="stochastic").step([np.ones(64)] * len(alike))
    assert len({p.tobytes() for p in alike}) == len(alike)


@pytest.mark.parametrize("every", [1, 2])
def test_large_models_keep_a_part_of_the_step(every):
    """More elements than are traced as a whole; chunks beyond those of the drawn cases."""
    rng = np.random.default_rng(0)
    n = TRACED_WHOLE // 2
    sizes = (n, 9, n + 3 * 8192 + 5) if every == 2 else (n, 3 * 8192 + 5)
    start = [rng.standard_normal(n).astype(np.float32) for n in sizes]
    grads = [[rng.standard_normal(n).astype(np.float32) for n in sizes] for _ in range(3)]

    def train(backend):
        params = [p.copy() for p in start]
        opt = lrcore.Lion(params, lr=1e-2, stats=True, backend=backend, rounding="stochastic")
        rows = []
        for g in grads:
            opt.step(g)
            rows.append(opt._layout.stats.copy())
        traces = [own["trace"] for own in opt.state.values()]
        if every == 2:
            assert sum(t.size for t in traces) < sum(sizes)
        else:
            assert [t.size for t in traces] == list(sizes)
        return params + traces + rows

    expected = train("numpy")
    for isa in lrcore.isas():
        lrcore.set_isa(isa)
        for threads in (1, 3):
            lrcore.set_num_threads(threads)
            for a, b in zip(train("c"), expected, strict=True):
                assert _verify.same_bits(a, b).all()
