"""Meaning: every rule that torch.optim has, under all its options, against the live optimizer."""

from inspect import Parameter, signature
from itertools import product

import pytest
from torch_tools import RULES, Run, ours, scalars_in_float64, shapes_for, unrounded

import lrcore

pytestmark = pytest.mark.frameworks

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
EACH = pytest.mark.parametrize("rule", RULES)
FLAGS = ("foreach", "fused", "capturable", "differentiable")
#: Relative to the largest element, after 50 updates by the same gradients.
WITHIN = {"float32": 1e-6, "float64": 1e-12}
#: torch rounds p twice an update, at each of two addcdiv; measured 1.03e-6. See the test of NAdam.
WIDER = {("NAdam", "float32"): 2e-6}

#: Values beside the default, for an argument of this name; a pair where the default is one.
OTHER = {
    "lr": [0.01],
    "momentum": [0.9],
    "dampening": [0.3],
    "weight_decay": [0.1],
    "betas": [(0.7, 0.9)],
    "eps": [1e-3, (0.1, 0.5)],
    "lr_decay": [0.1],
    "initial_accumulator_value": [0.5],
    "rho": [0.8],
    "alpha": [0.8],
    "momentum_decay": [0.1],
    "etas": [(0.7, 1.1)],
    "step_sizes": [(1e-3, 0.5)],
    "lambd": [0.1],
    "t0": [20],
    "beta2_decay": [-0.5],
    "d": [1.5],
    "ns_coefficients": [(2.0, -1.5, 0.5)],
    "ns_steps": [3],
    "adjust_lr_fn": ["original", "match_rms_adamw"],
}


def arguments(torch, rule):
    """Of torch's class, without the parameters and the flags for how it computes."""
    found = list(signature(getattr(torch.optim, rule)).parameters.values())[1:]
    return {p.name: p for p in found if p.name not in FLAGS}


def values(argument):
    """What an argument is given, its default first."""
    default = argument.default
    if isinstance(default, bool):
        return [default, not default]
    alike = [v for v in OTHER[argument.name] if isinstance(v, tuple) is isinstance(default, tuple)]
    assert alike
    return [default, *alike]


def combinations(torch, rule):
    """All of what is off by default, on and off, each with all other numbers at either value."""
    given = {name: values(argument) for name, argument in arguments(torch, rule).items()}
    switches = {name: some for name, some in given.items() if not some[0]}
    numbers = {name: some for name, some in given.items() if some[0]}
    for at in range(2):
        for chosen in product(*switches.values()):
            yield {k: v[at] for k, v in numbers.items()} | dict(zip(switches, chosen, strict=True))


def pair(torch, rule):
    return getattr(torch.optim, rule), ours(rule)


def test_these_are_the_rules_that_torch_has_too(torch):
    optim = torch.optim
    theirs = {k for k, v in vars(optim).items() if isinstance(v, type)} - {"Optimizer"}
    assert theirs - set(RULES) == {"LBFGS", "SparseAdam"}
    assert set(RULES) == theirs & set(lrcore.optimizers.__all__)


@EACH
def test_arguments_have_the_order_and_defaults_of_torch(rule, torch):
    theirs, mine = arguments(torch, rule), signature(ours(rule)).parameters
    ordered = [k for k, p in theirs.items() if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    assert [k for k in list(mine)[1:] if k in ordered] == [k for k in ordered if k in mine]
    at = [k for k in ordered if k in mine]
    assert at == list(mine)[1 : 1 + len(at)]
    assert {k: theirs[k].default for k in at} == {k: mine[k].default for k in at}
    defaults = ours(rule)([torch.zeros(1, 1)]).defaults
    for name, value in getattr(torch.optim, rule)([torch.zeros(1, 1)]).defaults.items():
        assert defaults[name] == value


@DTYPES
@EACH
def test_every_combination_of_options(rule, dtype, torch):
    run, (theirs, mine) = Run(torch, dtype, shapes_for(rule)), pair(torch, rule)
    kept = [[None if g is None else g.clone() for g in grads] for grads in run.grads]
    within, seen = WIDER.get((rule, dtype), WITHIN[dtype]), 0
    for options in combinations(torch, rule):
        try:
            with scalars_in_float64(torch), unrounded(torch):
                expected = run.made(lambda p, options=options: theirs(p, **options))
        except ValueError:
            with pytest.raises(ValueError, match=rule):
                mine(run.tensors(), **options)
            continue
        got = run.made(lambda p, options=options: mine(p, **options))
        assert run.distance(expected, got) <= within, options
        assert torch.equal(got[-1], run.params[-1]), "it never had a gradient"
        seen += 1
    assert seen >= 4
    for grads, before in zip(run.grads, kept, strict=True):
        assert all(g is None or torch.equal(g, b) for g, b in zip(grads, before, strict=True))


@EACH
def test_groups_with_options_of_their_own(rule, torch):
    run, (theirs, mine) = Run(torch, "float32", shapes_for(rule)), pair(torch, rule)
    # decoupled_weight_decay is one for all groups here; torch takes the other from the constructor
    alike = ("decoupled_weight_decay", "initial_accumulator_value")
    names = [name for name in arguments(torch, rule) if name not in alike]

    def groups(params):
        for k, name in enumerate(names):
            value = True if name == "nesterov" else values(arguments(torch, rule)[name])[-1]
            extra = {"momentum": 0.5} if name == "nesterov" else {}
            yield {"params": params[k :: len(names)], name: value, **extra}

    def made(kind):
        return run.made(lambda p: kind([g for g in groups(p) if g["params"]]))

    with scalars_in_float64(torch), unrounded(torch):
        expected = made(theirs)
    assert run.distance(expected, made(mine)) <= WIDER.get((rule, "float32"), WITHIN["float32"])


@EACH
def test_flags_for_how_torch_computes(rule, torch):
    run, (theirs, mine) = Run(torch, "float64", shapes_for(rule)), pair(torch, rule)
    known = signature(theirs).parameters
    got = run.made(mine)
    for flag in {"foreach", "fused"} & set(known):
        with scalars_in_float64(torch):
            expected = run.made(lambda p, flag=flag: theirs(p, **{flag: True}))
        assert run.distance(expected, got) <= WITHIN["float64"]
    for flag in ("foreach", "fused"):
        for value in (None, False, True):
            same = run.made(lambda p, flag=flag, value=value: mine(p, **{flag: value}))
            assert all(map(torch.equal, got, same))


# ---------------------------------------------------------------------- numbers in tensors


def in_tensors(torch, rule, dtype):
    """The arguments that torch takes as tensors, as such, each tensor on its own."""
    for name, argument in arguments(torch, rule).items():
        if "Tensor" in str(argument.annotation):
            value = values(argument)[-1]
            if isinstance(value, tuple):
                yield name, tuple(torch.tensor(v, dtype=dtype) for v in value)
            else:
                yield name, torch.tensor(value, dtype=dtype)


@DTYPES
@EACH
def test_numbers_in_tensors(rule, dtype, torch):
    run, (theirs, mine) = Run(torch, dtype, shapes_for(rule)), pair(torch, rule)
    options = dict(in_tensors(torch, rule, run.dtype))
    assert options or rule == "Muon"
    with scalars_in_float64(torch), unrounded(torch):
        expected = run.made(lambda p: theirs(p, **options))
    got = run.made(lambda p: mine(p, **options))
    assert run.distance(expected, got) <= WIDER.get((rule, dtype), WITHIN[dtype])
    plain = {k: v.item() if hasattr(v, "item") else tuple(x.item() for x in v)
             for k, v in options.items()}  # fmt: skip
    assert all(map(torch.equal, got, run.made(lambda p: mine(p, **plain))))


@EACH
def test_a_rate_in_a_tensor_is_read_at_every_step(rule, torch):
    run, (theirs, mine) = Run(torch, "float32", shapes_for(rule)), pair(torch, rule)

    def made(kind, lr):
        def lower(opt):
            if isinstance(opt.param_groups[0]["lr"], torch.Tensor):
                opt.param_groups[0]["lr"].mul_(0.9)
            else:
                opt.param_groups[0]["lr"] *= 0.9

        return run.made(lambda p: kind(p, lr=lr), lower)

    got = made(mine, torch.tensor(0.02, dtype=torch.float64))
    assert all(map(torch.equal, got, made(mine, 0.02)))
    with scalars_in_float64(torch), unrounded(torch):
        lr = 0.02 if rule == "Muon" else torch.tensor(0.02, dtype=torch.float64)
        expected = made(theirs, lr)
    assert run.distance(expected, got) <= WIDER.get((rule, "float32"), WITHIN["float32"])


# --------------------------------------------------------------- where torch rounds more coarsely


def test_nadam_is_as_near_to_the_truth_as_torch_is(torch):
    """float32: torch's two roundings of p an update are 1e-6 from ours and no nearer to float64.

    A network that is trained on its own outputs makes more of any rounding, torch's or ours: this
    is why all runs here have fixed gradients.
    """
    run, exact = (Run(torch, dtype, shapes_for("NAdam")) for dtype in ("float32", "float64"))
    exact.params = [p.double() for p in run.params]
    exact.grads = [[None if g is None else g.double() for g in grads] for grads in run.grads]
    options = {"lr": 0.02, "weight_decay": 0.1, "momentum_decay": 0.1}
    theirs, mine = pair(torch, "NAdam")
    with scalars_in_float64(torch):
        truth = exact.made(lambda p: theirs(p, **options))
    far = exact.distance(truth, run.made(lambda p: theirs(p, **options)))
    near = exact.distance(truth, run.made(lambda p: mine(p, **options)))
    assert near <= far
    assert far >= WITHIN["float32"] / 4


@pytest.mark.parametrize(("rule", "bound"), [("NAdam", 2e-8), ("ASGD", 5e-8)])
def test_torch_keeps_numbers_of_a_rule_in_float32(rule, bound, torch):
    """mu_product of NAdam and eta of ASGD, unless float64 is the default dtype. Ours are float64."""
    run, (theirs, mine) = Run(torch, "float64", shapes_for(rule)), pair(torch, rule)
    options = {"lr": 0.02, "weight_decay": 0.1}
    got = run.made(lambda p: mine(p, **options))
    assert 1e-11 <= run.distance(run.made(lambda p: theirs(p, **options)), got) <= bound


def test_muon_of_torch_iterates_in_bfloat16(torch):
    """So that its directions are coarse; ours are those of float32, see `unrounded`."""
    run, (theirs, mine) = Run(torch, "float32", [(17, 9), (30, 50)], 1), pair(torch, "Muon")
    got, rough = run.made(mine), run.made(theirs)
    far = max(float((a - b).norm() / (a - p).norm())
              for a, b, p in zip(got[:2], rough[:2], run.params, strict=False))  # fmt: skip
    assert 1e-3 <= far <= 0.1


def test_muon_has_groups_without_a_matrix(torch):
    w, b, e = (torch.nn.Parameter(torch.ones(s)) for s in ((3, 3), (3,), (5, 3)))
    ours("Muon")([{"params": [w]}, {"params": [b]}, {"params": [e], "adamw": True}])
    with pytest.raises(ValueError, match="momentum must go with a matrix"):
        ours("Muon")([{"params": [w]}, {"params": [b], "momentum": 0.5}])
