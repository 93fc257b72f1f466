"""How state is stored: formats, masters, files; saved, converted and resumed."""

import copy
import errno
import os
import pickle
import re
import sys
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrcore
from lrcore import functional
from lrcore._cases import by_rows
from lrcore.reference import storage

ml_dtypes = pytest.importorskip("ml_dtypes")
BF16 = ml_dtypes.bfloat16
RULES = [getattr(lrcore.optimizers, name) for name in lrcore.optimizers.__all__]
BACKENDS = pytest.mark.parametrize("backend", ["c", "numpy"])
DTYPES = ["float16", BF16, "float32", "float64"]
FORMATS = [None, "float32", "bfloat16", "int8"]


def draw(seed=0, dtype="float32", scale=1.0):
    rng = np.random.default_rng(seed)
    shapes = {"w": (33, 20), "t": (7, 30), "b": (5,), "s": (), "e": (0, 3)}
    out = {k: np.array(scale * rng.standard_normal(v), dtype) for k, v in shapes.items()}
    out["t"] = np.asfortranarray(out["t"])
    return out


def same(a, b):
    """Whether two structures hold the same bits, with NaN equal to NaN."""
    if isinstance(a, dict):
        assert list(a) == list(b)
        return all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    return a == b


def message_of(error):
    text = str(error.value)
    assert "\n" not in text
    return text


# ------------------------------------------------------------------------- what there is


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES)
@BACKENDS
def test_every_rule_takes_every_dtype(rule, dtype, backend):
    params = draw(dtype=dtype)
    if by_rows(rule):
        params["t"] = np.ascontiguousarray(params["t"])
    before = copy.deepcopy(params)
    opt = rule(params, 0.1, backend=backend)
    assert opt.step(draw(1, dtype), loss=1.0)
    assert params["w"].dtype == dtype
    assert (params["w"] != before["w"]).mean() > 0.9
    real = np.float64 if dtype == "float64" else np.float32
    assert all(a.dtype == real for own in opt.state.values() for a in own.values())


def test_functional_takes_narrow_parameters():
    p, q = draw(dtype=BF16)["w"], draw(dtype=BF16)["w"]
    state, opt = functional.init("adamw", p), lrcore.AdamW(q)
    assert [a.dtype for a in state] == [np.float32] * 2
    for t in (1, 2):
        functional.adamw(p, draw(t)["w"], state, t=t)
        opt.step(draw(t)["w"])
    assert same(p, q)
    narrow = tuple(a.astype(BF16) for a in state)
    with pytest.raises(ValueError, match="state m must be a float32 array"):
        functional.adamw(p, draw(1)["w"], narrow, t=3)


SLOTS = [
    ("float32", {}, {"m": ("float32", 4), "v": ("float32", 4)}),
    ("float64", {}, {"m": ("float64", 8), "v": ("float64", 8)}),
    ("float64", {"state_dtype": "float32"}, {"m": ("float32", 4), "v": ("float32", 4)}),
    ("float64", {"state_dtype": "float64"}, {"m": ("float64", 8), "v": ("float64", 8)}),
    ("float16", {"state_dtype": "bfloat16"}, {"m": ("bfloat16", 2), "v": ("bfloat16", 2)}),
    (
        "float32",
        {"state_dtype": "int8"},
        {"m": ("uint8", 1), "m_scale": ("uint8", 0), "v": ("uint8", 1), "v_scale": ("uint8", 0)},
    ),
    (BF16, {"master": "split"}, {"m": ("float32", 4), "v": ("float32", 4), "low": ("uint16", 2)}),
    (
        "float16",
        {"master": "float32", "ema": 0.5, "swa": True, "lookahead": True, "stats": True},
        dict.fromkeys(["m", "v", "master", "slow", "ema", "swa", "trace"], ("float32", 4)),
    ),
]


@pytest.mark.parametrize(("dtype", "options", "want"), SLOTS)
def test_slots(dtype, options, want):
    params = draw(dtype=dtype)
    opt = lrcore.AdamW(params, **options)
    n = sum(p.size for p in params.values())
    blocks = sum(-(-p.size // 128) for p in params.values())
    for path, own in opt.state.items():
        assert {k: a.dtype.name for k, a in own.items()} == {k: v for k, (v, _) in want.items()}
        for name, a in own.items():
            flat = name.endswith("_scale") or name == "trace"
            assert a.shape == (
                (-(-params[path].size // (128 if "_" in name else 1)),)
                if flat
                else params[path].shape
            )
            if not flat:
                assert a.flags.c_contiguous == params[path].flags.c_contiguous
    scales = sum(name.endswith("_scale") for name in want)
    assert opt.nbytes == n * sum(size for _, size in want.values()) + scales * blocks
    if "master" in options:
        assert_array_equal(opt.state["w"].get("master", 0), params["w"] if "swa" in options else 0)
    opt.accumulate(draw(1))
    assert opt.state["w"]["sum"].dtype == (np.float64 if dtype == "float64" else np.float32)


@BACKENDS
def test_eight_bits_begin_where_they_are_told(backend):
    opt = lrcore.Adagrad(draw(), initial_accumulator_value=0.3, state_dtype="int8", backend=backend)
    own = opt.state["w"]
    s = storage.decode(own["s"].reshape(-1), own["s_scale"], signed=False, real=np.dtype("f4"))
    np.testing.assert_allclose(s, 0.3, rtol=0.07)
    np.testing.assert_allclose(s.mean(), 0.3, rtol=0.005)  # rounded without bias
    other = lrcore.Adagrad(draw(), initial_accumulator_value=0.3, state_dtype="int8", seed=1)
    assert not same(own, other.state["w"])
    other = lrcore.Adagrad(
        [np.ones(128), np.ones(128)], initial_accumulator_value=0.3, state_dtype="int8"
    )
    assert not same(other.state["0"]["s"], other.state["1"]["s"])


BAD = [
    (lrcore.AdamW, "float32", {"master": "float32"}, 'AdamW: master must be None for params["w"], which is float32 already'),
    (lrcore.AdamW, "float64", {"master": "split"}, 'master must be None for params["w"], which is float64 already'),
    (lrcore.AdamW, "float16", {"master": "split"}, 'AdamW: master "split" must go with bfloat16 parameters; params["w"] is float16'),
    (lrcore.AdamW, BF16, {"state_dtype": "float64"}, 'AdamW: state_dtype "float64" must go with float64 parameters; params["w"] is bfloat16'),
    (lrcore.RMSprop, "float32", {"state_dtype": "int8", "centered": True}, "RMSprop: state_dtype \"int8\" cannot hold the state 'mean' of rmsprop, which centered switches on"),
    (lrcore.Adam, "float64", {"state_dtype": "int8", "amsgrad": True}, "the state 'vmax' of adam, which amsgrad switches on"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "dtype", "options", "text"), BAD)
def test_formats_that_do_not_go(rule, dtype, options, text):
    with pytest.raises(ValueError, match=re.escape(text)) as error:
        rule(draw(dtype=dtype), **options)
    assert message_of(error)


def test_a_state_that_cannot_be_in_eight_bits_cannot_be_switched_on():
    opt = lrcore.Adam(draw(), state_dtype="int8")
    with pytest.raises(ValueError, match="cannot hold the state 'vmax' of adam"):
        opt.param_groups[0]["amsgrad"] = True
    with pytest.raises(ValueError, match="cannot hold the state 'vmax' of adam"):
        opt.add_param_group({"params": np.ones(2), "amsgrad": True})
    state = opt.state_dict()
    state["param_groups"][0]["amsgrad"] = True
    with pytest.raises(ValueError, match="cannot hold the state 'vmax' of adam"):
        opt.load_state_dict(state)
    opt.add_param_group({"params": np.ones(2), "amsgrad": True, "state_dtype": None})
    assert opt.step([draw(1), np.ones(2)])


def test_ml_dtypes_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError) as error:
        lrcore.AdamW(np.ones(3), state_dtype="bfloat16")
    assert 'AdamW: state_dtype "bfloat16" needs the package ml_dtypes' in message_of(error)
    assert "pip install ml_dtypes" in message_of(error)
    assert "lrcore[bfloat16]" in message_of(error)
    assert lrcore.AdamW(np.ones(3), state_dtype="int8").step(np.ones(3))


# ------------------------------------------------------------------------- resumed = uninterrupted

COMBINATIONS = [
    (lrcore.AdamW, "float32", {"state_dtype": "int8", "rounding": "stochastic", "ema": 0.9, "stats": True}),
    (lrcore.AdamW, BF16, {"state_dtype": "bfloat16", "rounding": "stochastic", "master": "split", "swa": True}),
    (lrcore.Lion, "float16", {"state_dtype": "int8", "master": "float32", "lookahead": lrcore.Lookahead(2), "decay_mask": "w"}),
    (lrcore.SGD, BF16, {"momentum": 0.9, "rounding": "stochastic", "seed": 2**63, "lr_scale": {"b": 3.0}, "cautious": True}),
    (lrcore.Adagrad, "float64", {"state_dtype": "float32", "initial_accumulator_value": 0.1, "agc": 0.1, "clip_norm": 1.0}),
    (lrcore.RMSprop, "float64", {"state_dtype": "int8", "momentum": 0.5, "grams": True, "seed": 7,
     "loss_scale": lrcore.LossScaler(every=2), "nonfinite": "skip"}),
    (lrcore.LAMB, "float32", {"state_dtype": "bfloat16", "ema": lrcore.EMA(0.9, warmup=True), "swa": lrcore.SWA(2, 2),
     "lookahead": True, "stats": True, "zero_grads": True}),
]  # fmt: skip


def through_a_dict(opt, params, make):
    other = make(params)
    other.load_state_dict(pickle.loads(pickle.dumps(opt.state_dict())))
    return other, params


INTERRUPTIONS = {
    "state_dict": through_a_dict,
    "deepcopy": lambda opt, params, make: copy.deepcopy((opt, params)),
    "pickle": lambda opt, params, make: pickle.loads(pickle.dumps((opt, params))),
}


@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize(("rule", "dtype", "options"), COMBINATIONS)
@pytest.mark.parametrize("where", ["c", "numpy", "file"])
def test_resumed_is_uninterrupted(rule, dtype, options, how, where, tmp_path):
    """For every way of storing, in memory as in a file, waiting sums included."""
    files = (tmp_path / str(i) for i in range(9))

    def make(params):
        place = {"state_file": next(files)} if where == "file" else {"backend": where}
        return rule(params, lr=0.1, **options, **place)

    straight, resumed = draw(dtype=dtype), draw(dtype=dtype)
    a, b = make(straight), make(resumed)
    for t in range(5):
        if t == 3:
            b, resumed = INTERRUPTIONS[how](b, resumed, make)
        for opt in (a, b):
            if t in (2, 4):
                opt.accumulate(draw(10 + t, "float32", 100.0))
            if t == 2:
                continue  # interrupted while something waits
            grads = draw(t, "float32", 100.0)
            made = opt.step(grads) if t < 2 else opt.accumulate(grads) or opt.step()
            assert made
    assert same(straight, resumed)
    assert same(a.state_dict(), b.state_dict())
    if options.get("stats"):
        assert a.stats.total == b.stats.total


def test_state_dicts_hold_copies_in_plain_data():
    opt = lrcore.AdamW(draw(dtype=BF16), state_dtype="bfloat16", master="split", ema=0.9)
    opt.step(draw(1))
    saved = opt.state_dict()
    assert saved["ema"] == {"decay": 0.9, "warmup": False}
    assert saved["param_groups"][0]["state_dtype"] == "bfloat16"
    entry = saved["param_groups"][0]["params"]["w"]
    assert list(entry) == ["t", "m", "v", "low", "ema"]
    assert (entry["m"].dtype, entry["low"].dtype) == (BF16, np.uint16)
    entry["m"][:] = 7
    assert not (opt.state["w"]["m"] == 7).any()
    assert saved["param_groups"][0]["params"]["t"].keys() == {"t", "m", "v", "low", "ema", "order"}


# ------------------------------------------------------------------------- from one format to another


def numbers(opt, path, name):
    """A state, decoded, in C order."""
    own = opt.state[path]
    like = "C" if own[name].flags.c_contiguous else "F"
    row = storage.decode(
        own[name].reshape(-1, order=like),
        own.get(f"{name}_scale"),
        signed=name == "m",
        real=np.dtype(np.float64),
    )
    return row.reshape(own[name].shape, order=like)


@pytest.mark.parametrize(("theirs", "ours"), [x for x in product(FORMATS, FORMATS) if x[0] != x[1]])
@pytest.mark.parametrize(
    "dtypes", [("float32", "float32"), ("float64", "float32"), ("float16", "float64")]
)
def test_another_format_is_refused_and_can_be_converted(theirs, ours, dtypes):
    source = lrcore.Adam(draw(dtype=dtypes[0]), state_dtype=theirs)
    target = lrcore.Adam(draw(dtype=dtypes[1]), state_dtype=ours)
    for t in range(3):
        source.step(draw(t))
    saved, before = source.state_dict(), target.state_dict()
    kinds = [opt.state["w"]["m"].dtype for opt in (source, target)]
    if kinds[0] == kinds[1]:
        target.load_state_dict(saved)
        assert same(target.state, source.state)
    else:
        with pytest.raises(
            ValueError,
            match=r"Adam\.load_state_dict: .*\['w'\]\['m'\] must be .*; convert=True converts it$",
        ):
            target.load_state_dict(saved)
        assert same(target.state_dict(), before)
    target.load_state_dict(saved, convert=True)
    assert target.param_groups[0]["state_dtype"] == ours
    loose = {"int8": 0.04, "bfloat16": 0.004}.get(ours, 1e-7)
    for path, name in product(["w", "t", "b"], ["m", "v"]):
        x, y = numbers(source, path, name), numbers(target, path, name)
        top = np.abs(x).max()
        assert np.abs(x - y).max() <= loose * top
        assert (
            np.sign(x[np.abs(x) > 0.1 * top]).tolist() == np.sign(y[np.abs(x) > 0.1 * top]).tolist()
        )
    if ours == "int8":  # second moments by stochastic rounding, reproducibly
        other = lrcore.Adam(draw(dtype=dtypes[1]), state_dtype=ours)
        other.load_state_dict(saved, convert=True)
        assert same(other.state, target.state)
        reseeded = {**saved, "seed": 9}
        other.load_state_dict(reseeded, convert=True)
        assert not same(other.state["w"]["v"], target.state["w"]["v"])
        assert same(other.state["w"]["m"], target.state["w"]["m"])
    assert target.step(draw(9))


def test_converting_to_the_same_changes_no_bit():
    for options in ({"state_dtype": "int8"}, {"state_dtype": "bfloat16", "ema": 0.5}):
        source = lrcore.Adam(draw(), rounding="stochastic", **options)
        source.step(draw(1))
        target = lrcore.Adam(draw(), **options)
        target.load_state_dict(source.state_dict(), convert=True)
        assert same(target.state, source.state)


def test_blocks_in_another_memory_order_are_another_format():
    f, c = draw()["t"], np.ascontiguousarray(draw()["t"])
    source = lrcore.Adam(f, state_dtype="int8", stats=True)
    source.step(f * 3.0 ** -np.arange(30))
    target = lrcore.Adam(c, state_dtype="int8", stats=True)
    with pytest.raises(
        ValueError, match="must have 8-bit blocks in C order as here, got 'F'; convert=True"
    ):
        target.load_state_dict(source.state_dict())
    target.load_state_dict(source.state_dict(), convert=True)
    x, y = numbers(source, "", "m"), numbers(target, "", "m")
    assert (np.abs(x - y) <= 0.04 * np.abs(x) + 1e-3 * np.abs(x).max()).all()
    assert not target.state[""]["trace"].any()
    plain = lrcore.Adam(f)
    plain.step(f)
    other = lrcore.Adam(c)
    other.load_state_dict(plain.state_dict())
    assert_array_equal(other.state[""]["m"], plain.state[""]["m"])


@pytest.mark.parametrize(
    ("theirs", "ours"), [x for x in product([None, "float32", "split"], repeat=2) if x[0] != x[1]]
)
def test_masters_convert(theirs, ours):
    params = draw(dtype=BF16)
    source = lrcore.SGD(params, lr=1e-3, master=theirs)
    for t in range(3):
        source.step(draw(t))
    p = {k: a.copy() for k, a in params.items()}
    full = p["w"].astype(np.float32)
    if theirs == "float32":
        full = source.state["w"]["master"].copy()
    elif theirs == "split":
        bits = p["w"].view(np.uint16).astype(np.uint32) << 16 | source.state["w"]["low"]
        full = bits.view(np.float32)
    target = lrcore.SGD(p, lr=1e-3, master=ours)
    with pytest.raises(
        ValueError, match=f"must have the master {ours!r} as here, got {theirs!r}; convert=True"
    ):
        target.load_state_dict(source.state_dict())
    target.load_state_dict(source.state_dict(), convert=True)
    own = target.state["w"]
    if ours == "float32":
        assert_array_equal(own["master"], full)
    elif ours == "split":
        assert_array_equal(
            (p["w"].view(np.uint16).astype(np.uint32) << 16 | own["low"]).view(np.float32), full
        )
    else:
        assert same(p["w"], params["w"])


def test_any_float_converts():
    """What was made elsewhere, in float16 even; a trace that is none is left out."""
    opt = lrcore.Adam({"w": np.ones(300, np.float32)}, stats=True)
    for dtype in ("float16", BF16, "float32", "float64"):
        state = opt.state_dict()
        m = np.linspace(-1, 1, 300).astype(dtype)
        entry = state["param_groups"][0]["params"]["w"]
        entry.update(m=m, v=m**2, trace=np.full(300, "x"))
        opt.load_state_dict(state, convert=True)
        assert_array_equal(opt.state["w"]["m"], m.astype(np.float32))
        assert not opt.state["w"]["trace"].any()


def test_what_cannot_be_converted():
    opt = lrcore.Adam({"w": np.ones(300, np.float32)}, state_dtype="int8")
    opt.step({"w": np.ones(300)})

    def changed(**changes):
        state = opt.state_dict()
        entry = state["param_groups"][0]["params"]["w"]
        entry.update(changes)
        for name in [k for k, v in changes.items() if v is None]:
            del entry[name]
        return state

    before = opt.state_dict()
    for state, text in [
        (changed(m=None), "must be a dict with the keys ['m', 't', 'v']"),
        (changed(x=1), "must be a dict with the keys"),
        (
            changed(m=np.zeros(3, np.uint8)),
            "['m'] must be a uint8 array of shape (300,), got uint8 of shape (3,)",
        ),
        (changed(m_scale=np.zeros(2, np.uint8)), "['m_scale'] must be a uint8 array of shape (3,)"),
        (changed(v_scale=None), "['v'] must be a float16 or bfloat16 or float32 or float64 array"),
        (changed(m="no"), "['m'] must be a uint8 array of shape (300,), got str"),
        (changed(order="A"), "['order'] must be 'C' or 'F', got 'A'"),
        (changed(order=np.zeros(2)), "['order'] must be 'C' or 'F'"),
        (changed(t=None), "must be a dict with the keys ['m', 't', 'v']"),
        (
            changed(summed=1),
            "['sum'] must be a float16 or bfloat16 or float32 or float64 array of shape (300,), got NoneType",
        ),
        (
            changed(summed=1, sum=np.zeros(300, np.float32)),
            "micro must be at least what was summed, 1, got 0",
        ),
    ]:
        for convert in (False, True):
            with pytest.raises(ValueError, match="load_state_dict: ") as error:
                opt.load_state_dict(state, convert=convert)
            assert not convert or text in message_of(error)
            assert same(opt.state_dict(), before)


@pytest.mark.parametrize(
    ("dtype", "master"), [(BF16, "split"), (BF16, "float32"), ("float16", "float32")]
)
@BACKENDS
def test_loaded_weights_are_taken_over(dtype, master, backend):
    """Build the optimizer, then load weights: the steps are those of one that is made after."""

    def steps(opt, params):
        for t in range(3):
            opt.step(draw(t))
        return params, opt.state

    params, fresh = draw(9, dtype), draw(1, dtype)
    options = {"lr": 1e-2, "master": master, "ema": 0.5, "backend": backend}
    opt = lrcore.SGD(params, **options)
    for name, p in params.items():
        p[...] = fresh[name]
    opt.resync()
    assert same(steps(opt, params), steps(lrcore.SGD(fresh, **options), fresh))
    for k, p in params.items():  # and again in the middle of a run
        p[...] = draw(2, dtype)[k]
    opt.resync()
    state = opt.state["w"]
    if master == "split":
        assert not state["low"].any()
    else:
        assert_array_equal(state["master"], params["w"].astype(np.float32))
    assert_array_equal(state["ema"], params["w"].astype(np.float32))


# ------------------------------------------------------------------------- in a file


@pytest.mark.parametrize("dtype", ["float32", BF16])
def test_a_state_file_gives_the_same_bits(dtype, tmp_path):
    a, b = draw(dtype=dtype), draw(dtype=dtype)
    options = {"lr": 0.1, "state_dtype": "int8", "ema": 0.9, "stats": True}
    plain, filed = lrcore.AdamW(a, **options), lrcore.AdamW(b, **options, state_file=tmp_path / "s")
    for t in range(3):
        plain.step(draw(t))
        filed.step(draw(t))
    for opt in (plain, filed):
        opt.accumulate(draw(3))
        opt.step()
        opt.add_param_group({"params": np.ones(1000, np.float32)})
        opt.step([draw(4), np.ones(1000)])
        opt.param_groups[1].update(state_dtype="int8")
    assert same(a, b)
    assert same(plain.state, filed.state)
    assert plain.nbytes == filed.nbytes
    assert type(filed.state["0.w"]["ema"]) is np.ndarray
    raw = (tmp_path / "s").read_bytes()
    assert raw.startswith(b"lrcore state file\n")
    assert filed.state["0.w"]["ema"].tobytes() in raw


def test_slabs_are_appended(tmp_path):
    path = tmp_path / "s"
    opt = lrcore.SGD(np.ones(50_000, np.float32), state_file=str(path))
    assert path.exists()
    sizes = [path.stat().st_size]
    opt.param_groups[0]["momentum"] = 0.9
    sizes.append(path.stat().st_size)
    opt.accumulate(np.ones(50_000))
    sizes.append(path.stat().st_size)
    assert sizes == sorted(set(sizes))
    assert opt.step()


def test_slabs_that_are_given_back_are_used_again(tmp_path):
    path = tmp_path / "s"
    w = np.ones(50_000, np.float32)
    opt = lrcore.AdamW(w, state_file=path)
    for _ in range(3):
        opt.param_groups[0]["amsgrad"] = True
        assert not opt.state[""]["vmax"].any()
        opt.step(np.ones(50_000))
        assert opt.state[""]["vmax"].all()
        m = opt.state[""]["m"].copy()
        size = path.stat().st_size
        opt.param_groups[0]["amsgrad"] = False
    assert path.stat().st_size == size == 3 * 4 * 2**16 + 2**16
    opt.param_groups[0]["amsgrad"] = True
    held = opt.state[""]["vmax"]
    opt.step(np.ones(50_000))
    kept = held.copy()
    opt.param_groups[0]["amsgrad"] = False
    opt.param_groups[0]["amsgrad"] = True  # not where someone still looks
    assert_array_equal(held, kept)
    assert path.stat().st_size == size + 4 * 2**16
    assert m.any()


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_in_memory(how, tmp_path):
    path = tmp_path / "s"
    opt = lrcore.SGD(np.ones(3), momentum=0.9, state_file=path)
    opt.step(np.ones(3))
    before = path.read_bytes()
    other = how(opt)
    other.step(np.ones(3))
    other.accumulate(np.ones(3))
    assert path.read_bytes() == before
    opt.step(np.ones(3))
    assert same(opt.state[""]["buf"], other.state[""]["buf"])
    assert path.read_bytes() != before


def test_an_old_file_is_replaced_and_no_other(tmp_path):
    path = tmp_path / "s"
    one = lrcore.SGD(np.ones(3), momentum=0.9, state_file=path)
    two = lrcore.SGD(np.ones(3), momentum=0.9, state_file=path)  # the first keeps its own bytes
    one.step(np.ones(3))
    assert not two.state[""]["buf"].any()
    one.accumulate(np.ones(3))
    one.step()
    two.step(np.ones(3))
    assert_array_equal(two.state[""]["buf"], 1.0)
    empty = tmp_path / "empty"
    empty.touch()
    assert lrcore.SGD(np.ones(3), momentum=0.9, state_file=empty).step(np.ones(3))
    for text in ("thesis", "lrcore state", "x" * 1000):
        other = tmp_path / "thesis.txt"
        other.write_text(text)
        with pytest.raises(
            FileExistsError,
            match=r"SGD: state_file must be a new file, an empty one or .*thesis\.txt",
        ):
            lrcore.SGD(np.ones(3), state_file=other)
        assert other.read_text() == text


def test_files_that_cannot_be(tmp_path):
    cases = [
        (tmp_path / "no" / "s", FileNotFoundError, "AdamW: state_file must be in a folder that exists, got "),
        (tmp_path, IsADirectoryError, "AdamW: state_file must be the path of a file, got the folder "),
    ]  # fmt: skip
    if os.path.exists("/dev/null"):
        cases.append(("/dev/null", FileExistsError, "must be a new file, an empty one or one that"))
    for path, kind, text in cases:
        with pytest.raises(kind) as error:
            lrcore.AdamW(np.ones(3), state_file=path)
        assert text in message_of(error)
        assert str(path) in message_of(error)


def test_a_bad_option_leaves_no_file(tmp_path):
    path = tmp_path / "s"
    with pytest.raises(ValueError, match="lr must be"):
        lrcore.AdamW(np.ones(3), lr=-1, state_file=path)
    with pytest.raises(ValueError, match="master must be None"):
        lrcore.AdamW(np.ones(3), master="float32", state_file=path)
    assert not path.exists()


def test_a_full_disk_is_an_error_at_construction(tmp_path, monkeypatch):
    path, w = tmp_path / "s", np.ones(100_000)
    opt = lrcore.SGD(w, state_file=path)
    size = path.stat().st_size

    def full(file, at, size):
        os.ftruncate(file, at + size // 2)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    for call in (
        lambda: opt.param_groups[0].update(momentum=0.9),
        lambda: opt.accumulate(w),
        lambda: opt.add_param_group({"params": np.ones(10), "momentum": 0.9}),
    ):
        with pytest.raises(
            OSError, match=r"SGD: state_file '.*s' must have room for \d+ bytes, got: No space"
        ) as error:
            call()
        assert error.value.errno == errno.ENOSPC
        assert path.stat().st_size == size
        assert opt.step(w)
    new = tmp_path / "new"
    with pytest.raises(
        OSError, match=r"AdamW: state_file '.*new' must have room for \d\d\d\d\d\d\d bytes"
    ):
        lrcore.AdamW(w, state_file=new)
    assert not new.exists()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="limits are POSIX's")
def test_a_limit_of_the_system_is_an_error_too(tmp_path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(OSError, match=r"AdamW: state_file .* must have room for"):
            lrcore.AdamW(np.ones(10**6), state_file=tmp_path / "s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("missing", [True, False])
def test_where_nothing_can_be_reserved_zeros_are_written(missing, tmp_path, monkeypatch):
    if missing:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:

        def unsupported(*args):
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(os, "posix_fallocate", unsupported, raising=False)
    a, b = np.ones(400_000), np.ones(400_000)
    filed = lrcore.AdamW(a, state_file=tmp_path / "s")
    plain = lrcore.AdamW(b)
    for opt in (filed, plain):
        opt.step(np.linspace(-1, 1, 400_000))
    assert same(a, b)
    assert (tmp_path / "s").stat().st_size > 2 * a.nbytes
