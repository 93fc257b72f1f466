"""Meaning: whatever the memory of parameters and gradients, the bits are those of contiguous ones."""

from functools import cache
from importlib import import_module

import numpy as np
import pytest
from support import message_of, missing
from torch_tools import ours

import lrcore
from lrcore._hyper import RULES

pytestmark = pytest.mark.frameworks

EACH = pytest.mark.parametrize("rule", lrcore.optimizers.__all__)
SHAPES = [
    (),
    (7,),
    (30, 50),
    (6, 4, 5, 3),
    (4, 2, 3, 2, 5),
    (5, 1, 4, 1),
    (1, 6),
    (0, 4),
    (3, 0, 2, 2),
]
#: More than a chunk of the core; matrices of it would take seconds.
LARGE = [(20, 5, 10, 12), (90, 100)]
STEPS = 3


def channels_last(torch, x):
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.clone(memory_format=formats.get(x.ndim, torch.contiguous_format))


def transposed(torch, x):
    back = list(reversed(range(x.ndim)))
    return x.permute(back).contiguous().permute(back)


def permuted(torch, x):
    """The axes in an order that is neither C's nor Fortran's."""
    order = [*range(1, x.ndim), 0][: x.ndim]
    return x.permute(order).contiguous().permute([order.index(d) for d in range(x.ndim)])


def sliced(torch, x):
    """From a flat buffer, one element off."""
    view = torch.empty(x.numel() + 1, dtype=x.dtype)[1:].view(x.shape)
    return view.copy_(x)


def gaps(torch, x):
    wide = torch.empty([2 * n for n in x.shape], dtype=x.dtype)
    return wide[tuple(slice(None, None, 2) for _ in x.shape)].copy_(x)


def contiguous(torch, x):
    return x.clone(memory_format=torch.contiguous_format)


DENSE = (contiguous, sliced, transposed, channels_last, permuted)
#: Parameters in these forms are refused, for the order of their axes has a meaning.
REFUSED = {
    "row": (transposed, channels_last, permuted),
    "factored": (transposed, channels_last, permuted),
    "matrix": (channels_last, permuted),
}


def row_of(rule):
    return RULES[getattr(lrcore, rule).rule]


def shapes_for(rule):
    return SHAPES if row_of(rule).scope == "matrix" else SHAPES + LARGE


@cache
def drawn(dtype, shapes):
    """Parameters, and gradients of elements of sizes three decades apart for each step."""
    rng = np.random.default_rng(3)

    def numbers(k):
        some = [rng.standard_normal(s) * 10.0 ** rng.uniform(-k, 0, s) for s in shapes]
        return [np.asarray(a, dtype) for a in some]

    return numbers(0), [numbers(3) for _ in range(STEPS)]


def stepped(torch, rule, form, of_gradient, dtype="float32", **options):
    """The parameters, contiguous, after steps where they and their gradients have these forms."""
    params, steps = drawn(dtype, tuple(shapes_for(rule)))
    params = [form(torch, torch.tensor(a)).requires_grad_() for a in params]
    opt = ours(rule)(params, **options)
    for grads in steps:
        for p, g in zip(params, grads, strict=True):
            p.grad = of_gradient(torch, torch.tensor(g))
        opt.step(loss=1.0)
    return [contiguous(torch, p.detach()) for p in params]


def assert_equal(torch, some, others, within=0.0):
    for a, b in zip(some, others, strict=True):
        far = float((a - b).abs().max()) if a.numel() else 0.0
        assert torch.equal(a, b) or 0 < far <= within * float(a.abs().max())


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_any_form(rule, dtype, torch):
    expected = stepped(torch, rule, contiguous, contiguous, dtype)
    assert not torch.equal(expected[2], torch.tensor(drawn(dtype, tuple(shapes_for(rule)))[0][2]))
    for of_gradient in (*DENSE[1:], gaps):
        got = stepped(torch, rule, contiguous, of_gradient, dtype)
        assert_equal(torch, expected, got)


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_of_any_form(rule, dtype, torch):
    """Sums over a tensor go along its memory: rules that have such agree but for that."""
    expected = stepped(torch, rule, contiguous, contiguous, dtype)
    row = row_of(rule)
    within = 4 * np.finfo(dtype).eps if row.sums or row.scope != "element" else 0
    for form in DENSE[1:]:
        if form in REFUSED.get(row.scope, ()):
            with pytest.raises(ValueError, match=r"must be (contiguous|in C order)") as error:
                stepped(torch, rule, form, contiguous, dtype)
            assert message_of(error).startswith(f"{rule}: params[0][")
            continue
        for of_gradient in (*DENSE, gaps):
            got = stepped(torch, rule, form, of_gradient, dtype)
            assert_equal(torch, expected, got, within if form is not sliced else 0)


@pytest.mark.parametrize("options", [{"agc": 0.01}, {"clip_norm": 0.5}, {"cautious": True},
                                     {"state_dtype": "int8"}, {"ema": 0.9}], ids=str)  # fmt: skip
def test_options_and_forms(options, torch):
    expected = stepped(torch, "AdamW", contiguous, contiguous, **options)
    for of_gradient in (*DENSE[1:], gaps):
        assert_equal(torch, expected, stepped(torch, "AdamW", contiguous, of_gradient, **options))
    assert_equal(torch, expected, stepped(torch, "AdamW", sliced, sliced, **options))
    if "agc" in options:
        with pytest.raises(ValueError, match="must be contiguous, since here its rows"):
            stepped(torch, "AdamW", channels_last, contiguous, **options)


def test_parameters_with_gaps_are_refused(torch):
    with pytest.raises(ValueError, match="must fill its memory without gaps") as error:
        stepped(torch, "AdamW", gaps, contiguous)
    assert message_of(error).startswith("AdamW: params[0][1]")


# ------------------------------------------------------------------------ other gradients


def expanded(torch, p):
    """As of a sum."""
    return torch.tensor(0.3).expand(p.shape)


def expanded_row(torch, p):
    return torch.linspace(-1, 1, p.shape[-1]).expand(p.shape) if p.ndim else torch.tensor(0.1)


def own_memory(torch, p):
    return p.detach()


def own_memory_turned(torch, p):
    """Its own transpose, where it is a square."""
    return p.detach().t() if p.ndim == 2 and len(set(p.shape)) == 1 else p.detach()


def own_memory_shifted(torch, p):
    """One element further than the parameter in the memory they are both of."""
    flat = torch.as_strided(p.detach(), (p.numel() + 1,), (1,))
    return flat[1:].view(p.shape)


def with_graph(torch, p):
    return (p.detach().sin() * 2).requires_grad_() * 1.0


def leaf(torch, p):
    return p.detach().cos().requires_grad_()


def negative_bit(torch, p):
    twice = torch.complex(p.detach().sin(), p.detach().cos())
    g = twice.conj().imag
    assert g.is_neg()
    return g


def misaligned(torch, p):
    """At an address that is no multiple of the element's size."""
    room = bytearray(p.numel() * 4 + 8)
    g = torch.frombuffer(room, dtype=torch.float32, count=p.numel(), offset=1).view(p.shape)
    return g.copy_(p.detach().sin())


def misaligned_leaf(torch, p):
    return misaligned(torch, p).requires_grad_()


@EACH
@pytest.mark.parametrize(
    "make",
    [expanded, expanded_row, own_memory, own_memory_turned, own_memory_shifted, with_graph, leaf,
     negative_bit, misaligned, misaligned_leaf],
)  # fmt: skip
def test_gradients_that_are_views_of_something(make, rule, torch):
    shapes = [s for s in [*shapes_for(rule), (9, 9)] if 0 not in s]

    def params():
        torch.manual_seed(0)
        made = [torch.empty(int(np.prod(s)) + 1).normal_()[:-1].view(s) for s in shapes]
        return [p.requires_grad_() for p in made]

    def walked(copied):
        mine = params()
        opt = ours(rule)(mine)
        for _ in range(STEPS):
            grads = [make(torch, p) for p in mine]
            for p, g in zip(mine, grads, strict=True):
                p.grad = contiguous(torch, g.detach().resolve_neg()) if copied else g
            opt.step(loss=1.0)
        return [p.detach() for p in mine]

    assert_equal(torch, walked(copied=True), walked(copied=False))


def as_it_is(torch, p):
    return contiguous(torch, p.detach().sin())


@pytest.mark.parametrize("shapes", [[(3, 3, 3, 3)], [(2, 3, 4, 5), (4, 2, 3, 2, 5)]], ids=str)
@pytest.mark.parametrize(
    "make", [as_it_is, expanded_row, with_graph, negative_bit, misaligned_leaf]
)
def test_such_gradients_of_parameters_with_turned_axes(make, shapes, torch):
    """Where all axes are as long as each other, no shape gives a mistake away."""

    def walked(form):
        torch.manual_seed(0)
        drawn = [torch.randn(s) for s in shapes]
        params = [form(torch, x).requires_grad_() for x in drawn]
        opt = ours("AdamW")(params)
        for _ in range(STEPS):
            for p in params:
                p.grad = make(torch, p)
            opt.step()
        return [contiguous(torch, p.detach()) for p in params]

    for form in (channels_last, permuted, transposed):
        assert_equal(torch, walked(contiguous), walked(form))


# -------------------------------------------------------------------- the adapter adds nothing


def numbers(torch, t):
    """A tensor as an array of its memory, bfloat16 too."""
    if t.dtype != torch.bfloat16:
        return t.numpy()
    try:
        return t.view(torch.uint16).numpy().view(import_module("ml_dtypes").bfloat16)
    except ImportError:
        missing("ml_dtypes")


FORMATS = [
    ("float32", "float32", {}),
    ("float64", "float64", {}),
    ("float16", "float16", {}),
    ("bfloat16", "bfloat16", {}),
    ("bfloat16", "float32", {"rounding": "stochastic"}),
    ("float16", "float32", {"master": "float32"}),
    ("bfloat16", "bfloat16", {"master": "split"}),
    ("float32", "bfloat16", {"state_dtype": "bfloat16"}),
    ("float32", "float32", {"state_dtype": "int8", "clip_norm": 0.1, "clip_value": 2.0}),
    ("float32", "float16", {"ema": 0.9, "lookahead": 2, "maximize": True}),
]


@EACH
@pytest.mark.parametrize(
    ("dtype", "of_gradient", "options"), FORMATS, ids=lambda x: str(x).replace(" ", "")
)
def test_the_bits_are_those_of_the_optimizer_on_arrays(rule, dtype, of_gradient, options, torch):
    torch.manual_seed(0)
    kind, shapes = getattr(torch, dtype), [(), (33, 40), (130,), (0,), (3, 4, 5)]
    params = [torch.randn(s).to(kind).requires_grad_() for s in shapes]
    arrays = [numbers(torch, p.detach().clone()) for p in params]
    try:
        plain = getattr(lrcore, rule)(arrays, nonfinite="ignore", **options)
    except (TypeError, ValueError) as error:
        with pytest.raises(type(error), match=f"^{rule}: "):
            ours(rule)(params, **options)
        return
    opt = ours(rule)(params, **options)
    for t in range(5):
        grads = [torch.randn(s).to(getattr(torch, of_gradient)) for s in shapes]
        grads[t % 5] = None
        for p, g in zip(params, grads, strict=True):
            p.grad = None
            p.grad_dtype = None  # torch lets a gradient be of another dtype than its parameter
            p.grad = g
        opt.step(loss=0.7)
        plain.step([None if g is None else numbers(torch, g) for g in grads], loss=0.7)
    for p, a in zip(params, arrays, strict=True):
        assert numbers(torch, p.detach()).tobytes() == a.tobytes()
    for mine, a in zip(opt.lrcore.state.values(), plain.state.values(), strict=True):
        assert {k: v.tobytes() for k, v in mine.items()} == {k: v.tobytes() for k, v in a.items()}
    assert opt.lrcore.estimates == (
        [*plain.estimates] if isinstance(plain.estimates, list)
        else {f"0.{k}": v for k, v in plain.estimates.items()}
    )  # fmt: skip
