"""What Keras asks of an optimizer: its options, saving, and errors that say what is wrong."""

import keras_runs as runs
import numpy as np
import pytest
from keras_runs import (
    ON_TENSORFLOW,
    applied,
    backend,
    fit,
    gradients,
    keras,
    network,
    off,
    same_bits,
    tensor,
    variables,
)

import lrcore
import lrcore.keras
from lrcore import schedules

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]
tensorflow_only = pytest.mark.skipif(not ON_TENSORFLOW, reason="of TensorFlow")
torch_only = pytest.mark.skipif(ON_TENSORFLOW, reason="of PyTorch")

GRAPHS = [False, True] if ON_TENSORFLOW else [False]
OPTIONS = [
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 2.0},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 3},
    {"gradient_accumulation_steps": 2, "global_clipnorm": 1.0, "weight_decay": 0.1},
    {"loss_scale_factor": 8.0},
]


def test_the_class_that_all_share_makes_none():
    with pytest.raises(TypeError, match="take one of them"):
        lrcore.keras.Optimizer()


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", ["AdamW", "SGD"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_options_of_keras_mean_what_they_mean_there(name, options, graph):
    theirs, ours = (
        applied(getattr(kinds, name)(0.02, **options), 12, graph=graph)
        for kinds in (keras.optimizers, lrcore.keras)
    )
    assert off(theirs, runs.values(variables())) > 1e-3
    assert off(ours, theirs) < 1e-5


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_what_is_excluded_does_not_decay(name):
    def excluded(kinds):
        opt = getattr(kinds, name)(0.02, weight_decay=0.5)
        opt.exclude_from_weight_decay(var_names=["kernel1"])
        return applied(opt, 5)

    theirs, ours = excluded(keras.optimizers), excluded(lrcore.keras)
    assert off(ours, theirs) < 1e-5
    everything = applied(getattr(lrcore.keras, name)(0.02, weight_decay=0.5), 5)
    assert not same_bits([ours[1]], [everything[1]])
    assert same_bits([ours[0]], [everything[0]])


def test_training_in_fit_is_that_of_keras():
    theirs, ours = network(keras.optimizers.AdamW(0.01)), network(lrcore.keras.AdamW(0.01))
    a, b = fit(theirs, 3)["loss"], fit(ours, 3)["loss"]
    assert a[-1] < 0.8 * a[0]
    np.testing.assert_allclose(b, a, rtol=1e-5)
    assert off(ours.get_weights(), theirs.get_weights()) < 1e-4
    assert runs.number(ours.optimizer.iterations) == 24 == ours.optimizer.core.t


KINDS = {
    "adamw": lambda: lrcore.keras.AdamW(schedules.Cosine(0.02, steps=60, warmup=5)),
    "keras schedule": lambda: lrcore.keras.Adam(keras.optimizers.schedules.ExponentialDecay(0.02, 9, 0.5)),
    "momentum": lambda: lrcore.keras.SGD(schedules.Exponential(0.05, 0.8), momentum=0.9, gradient_accumulation_steps=3),
    "of groups": lambda: lrcore.keras.Muon(0.01),
    "estimates": lambda: lrcore.keras.Prodigy(1.0),
    "scalars": lambda: lrcore.keras.NAdam(0.01, use_ema=True),
    "narrow": lambda: lrcore.keras.AdamW(0.01, state_dtype="int8"),
    "two points": lambda: lrcore.keras.ScheduleFreeAdamW(0.01),
    "own names": lambda: lrcore.keras.LARS(0.1, weight_decay=0.01),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_goes_on_as_if_it_had_not_been(kind, tmp_path):
    model = network(KINDS[kind]())
    fit(model, 1)
    model.save(tmp_path / "whole.keras")
    model.save_weights(tmp_path / "only.weights.h5")
    fit(model, 2)
    whole = keras.models.load_model(tmp_path / "whole.keras")
    assert type(whole.optimizer) is type(model.optimizer)
    assert whole.optimizer.core.t == (2 if kind == "momentum" else 8)
    weights = network(KINDS[kind](), seed=5)
    weights.optimizer.build(weights.trainable_variables)
    weights.load_weights(tmp_path / "only.weights.h5")
    for again in (whole, weights):
        fit(again, 2)
        assert same_bits(again.get_weights(), model.get_weights())
        assert same_bits(
            [v for entry in again.optimizer.core.state.values() for v in entry.values()],
            [v for entry in model.optimizer.core.state.values() for v in entry.values()],
        )


def test_a_state_of_another_rule_is_refused(tmp_path):
    model = network(lrcore.keras.AdamW(0.01))
    fit(model)
    store = {}
    model.optimizer.save_own_variables(store)
    other = lrcore.keras.LaProp(0.01)
    other.build(model.trainable_variables)
    before = other.core.state_dict()
    with pytest.raises(ValueError, match="LaProp: the saved state must be of 'laprop', got that of 'adamw'"):  # fmt: skip
        other.load_own_variables(store)
    assert repr(other.core.state_dict()) == repr(before)
    fewer = lrcore.keras.AdamW(0.01)
    fewer.build(model.trainable_variables[:2])
    with pytest.raises(ValueError, match="must be of as many variables, 2, got 4"):
        fewer.load_own_variables(store)


def test_values_can_be_set():
    def run(**later):
        opt = lrcore.keras.AdamW(0.02)

        def each(step):
            if step == 3:
                for name, value in later.items():
                    setattr(opt, name, value)

        return applied(opt, 6, each=each), opt

    plain, _ = run()
    for name, value in {"beta_1": 0.5, "epsilon": 0.1, "weight_decay": 0.9}.items():
        got, opt = run(**{name: value})
        assert not same_bits(got, plain)
        assert getattr(opt, name) == value == opt.get_config()[name]
    got, opt = run(learning_rate=0.2)
    assert not same_bits(got, plain)
    with pytest.raises(
        ValueError, match=r"lrcore.keras.AdamW: beta_2 must be in \[0, 1\), got 1.5"
    ):
        opt.beta_2 = 1.5
    assert opt.beta_2 == 0.999
    with pytest.raises(
        ValueError, match=r"lrcore.keras.AdamW: learning_rate must be in \[0, inf\), got -0.5"
    ):
        opt.learning_rate = -0.5
    assert runs.number(opt.learning_rate) == np.float32(0.2)


@pytest.mark.parametrize(
    ("epsilon", "kind", "words"),
    [
        (-1.0, ValueError, r"epsilon must be in \[0, inf\), got -1.0"),
        (float("nan"), ValueError, r"epsilon must be in \[0, inf\), got nan"),
        ("a", TypeError, "epsilon must be a number"),
        (schedules.Constant(1e-7), TypeError, "epsilon must be a number, got a schedule"),
    ],
)
@pytest.mark.parametrize("name", ["Adam", "AdamW", "Muon"])
def test_an_epsilon_that_is_corrected_is_checked(name, epsilon, kind, words):
    with pytest.raises(kind, match=rf"lrcore.keras.{name}: {words}"):
        getattr(lrcore.keras, name)(epsilon=epsilon)


def test_a_rate_may_be_a_number_a_schedule_or_a_function():
    s = schedules.Linear(0.1, steps=10, end=0.0)
    for rate in (s, lrcore.keras.Schedule(s)):
        opt = lrcore.keras.SGD(rate)
        applied(opt, 4)
        assert opt.core.lr == s(3)
        np.testing.assert_equal(runs.number(opt.learning_rate), np.float32(s(4)))
    opt = lrcore.keras.SGD(keras.optimizers.schedules.InverseTimeDecay(0.5, 1, 1.0))
    applied(opt, 4)
    np.testing.assert_allclose(opt.core.lr, 0.5 / 4, rtol=1e-6)
    opt = lrcore.keras.SGD(lambda: 0.25)
    applied(opt, 1)
    assert opt.core.lr == 0.25
    assert runs.number(lrcore.keras.SGD(1).learning_rate) == 1.0
    opt = lrcore.keras.SGD(0.5)
    opt.learning_rate = s  # from now on
    applied(opt, 2)
    assert opt.core.lr == s(1)


def test_a_variable_without_a_gradient_stays():
    vs = variables()
    opt = lrcore.keras.AdamW(0.1)
    opt.build(vs)
    grads = [tensor(g) for g in gradients(0)]
    grads[1] = None
    before = runs.values(vs)
    with no_grad():
        opt.apply(grads, vs)
    after = runs.values(vs)
    assert same_bits([after[1]], [before[1]])
    assert not same_bits([after[0]], [before[0]])
    with no_grad():
        opt.apply_gradients([(grads[2], vs[2])])  # some of them
    assert same_bits(runs.values(vs)[:2], after[:2])
    with pytest.raises(ValueError, match="Unknown variable"):
        opt.apply_gradients([(grads[2], variables(1)[2])])


def no_grad():
    import contextlib

    return contextlib.nullcontext() if ON_TENSORFLOW else backend.no_grad()


def test_constraints_and_assignments_between_steps_count():
    vs = variables()
    opt = lrcore.keras.SGD(0.5, momentum=0.9)
    opt.build(vs)
    for step in range(2):
        with no_grad():
            opt.apply([tensor(g) for g in gradients(step)], vs)
        vs[0].assign(np.zeros((16, 32), "float32"))
    with no_grad():
        opt.apply([tensor(np.zeros_like(g)) for g in gradients(0)], vs)
    first, second = gradients(0)[0], gradients(1)[0]
    np.testing.assert_allclose(
        runs.values(vs)[0], -0.5 * 0.9 * (0.9 * first + second), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes(dtype):
    ours = applied(lrcore.keras.AdamW(0.1), 5, dtype=dtype, graph=ON_TENSORFLOW)
    wide = applied(lrcore.keras.AdamW(0.1), 5)
    assert all(a.dtype.name == dtype for a in ours)
    near = {"float16": 5e-3, "bfloat16": 4e-2, "float64": 1e-5}[dtype]
    assert off([a.astype("float64") for a in ours], wide) < near


def test_mixed_precision():
    before = keras.mixed_precision.dtype_policy()
    try:
        keras.mixed_precision.set_dtype_policy("mixed_float16")
        model = network(lrcore.keras.AdamW(0.01))
        losses = fit(model, 3)["loss"]
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert losses[-1] < 0.9 * losses[0]
    assert model.optimizer.inner_optimizer.core.t == 24
    assert all(v.dtype == "float32" for v in model.trainable_variables)


BAD = [
    (lambda: lrcore.keras.AdamW(-1.0), ValueError, r"lrcore.keras.AdamW: learning_rate must be in \[0, inf\), got -1.0"),
    (lambda: lrcore.keras.AdamW(beta_1=1.0), ValueError, r"lrcore.keras.AdamW: beta_1 must be in \[0, 1\), got 1.0"),
    (lambda: lrcore.keras.RMSprop(rho="x"), TypeError, r"lrcore.keras.RMSprop: rho must be a number in \[0, 1\), got 'x'"),
    (lambda: lrcore.keras.LARS(eps=-1.0), ValueError, r"lrcore.keras.LARS: eps must be in \[0, inf\), got -1.0"),
    (lambda: lrcore.keras.AdamW(betas=(0.9, 0.99)), TypeError, "lrcore.keras.AdamW: got an unexpected keyword argument 'betas'"),
    (lambda: lrcore.keras.AdamW(nonfinite="no"), ValueError, "lrcore.keras.AdamW: nonfinite must be one of"),
    (lambda: lrcore.keras.AdamW(clip_norm=1.0), TypeError, "unexpected keyword argument 'clip_norm'"),
    (lambda: lrcore.keras.Muon(rms_rate=1.0), ValueError, "lrcore.keras.Muon: rms_rate must be 0.2, got 1.0"),
    (lambda: lrcore.keras.Schedule(0.1), TypeError, "lrcore.keras.Schedule: schedule must be one of lrcore.schedules, got 0.1"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "match"), BAD)
def test_errors_say_what_is_wrong_under_the_names_of_keras(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_a_rule_that_needs_the_loss():
    model = network(lrcore.keras.PolyakSGD(1.0))
    losses = fit(model, 3)["loss"]  # Keras tells it
    assert losses[-1] < losses[0]
    with pytest.raises(ValueError, match=r"PolyakSGD: the loss must be known.*scale_loss"):
        applied(lrcore.keras.PolyakSGD(1.0), 1)


def test_a_nonfinite_gradient():
    vs = variables()
    bad = [tensor(np.full(s, np.nan, "float32")) for s in runs.SHAPES]
    before = runs.values(vs)
    for mode in ("skip", "raise"):
        opt = lrcore.keras.SGD(0.1, nonfinite=mode)
        opt.build(vs)
        with no_grad():
            if mode == "raise":
                with pytest.raises(lrcore.NonFiniteError, match="kernel0"):
                    opt.apply(bad, vs)
            else:
                opt.apply(bad, vs)
        assert same_bits(runs.values(vs), before)
    opt = lrcore.keras.SGD(0.1)  # as Keras does
    opt.build(vs)
    with no_grad():
        opt.apply(bad, vs)
    assert np.isnan(runs.values(vs)[0]).all()


# ------------------------------------------------------------------------------- PyTorch


@torch_only
def test_memory_that_was_replaced_is_followed():
    vs, opt = variables(), lrcore.keras.AdamW(0.02)
    opt.build(vs)
    with backend.no_grad():
        for step in range(4):
            if step == 2:
                old = vs[0].value.data
                vs[0].value.data = old.clone()
                kept = old.clone()
            opt.apply([tensor(g) for g in gradients(step)], vs)
    assert same_bits(runs.values(vs), applied(lrcore.keras.AdamW(0.02), 4))
    assert backend.equal(old, kept)


@torch_only
def test_gradients_of_any_layout_are_read_right():
    vs, opt = variables(), lrcore.keras.AdamW(0.02)
    opt.build(vs)
    with backend.no_grad():
        for step in range(3):
            turned = [tensor(np.ascontiguousarray(g.T)).permute(*range(g.ndim)[::-1]) for g in gradients(step)]  # fmt: skip
            assert not turned[0].is_contiguous()
            opt.apply(turned, vs)
    assert same_bits(runs.values(vs), applied(lrcore.keras.AdamW(0.02), 3))


@torch_only
def test_what_is_no_memory_of_the_cpu_is_refused():
    from lrcore.keras._torch import array

    with pytest.raises(ValueError, match="AdamW: w must be on the CPU, got one on meta"):
        array("AdamW", "w", backend.zeros(2, device="meta"))
    with pytest.raises(TypeError, match="AdamW: w must be dense"):
        array("AdamW", "w", backend.eye(2).to_sparse())
    with pytest.raises(
        TypeError, match=r"AdamW: w must be of a real floating dtype, got torch.int64"
    ):
        array("AdamW", "w", backend.zeros(2, dtype=backend.int64))


@torch_only
def test_autograd_sees_that_variables_were_written_to():
    vs, opt = variables(), lrcore.keras.SGD(0.1)
    opt.build(vs)
    loss = (vs[0].value ** 2).sum()
    with backend.no_grad():
        opt.apply([tensor(g) for g in gradients(0)], vs)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# ---------------------------------------------------------------------------- TensorFlow


@tensorflow_only
@pytest.mark.parametrize("shapes", [runs.SHAPES, [(16, 32)], [(64, 16), (32, 32)]], ids=len)
def test_what_was_read_of_a_variable_does_not_change(shapes):
    vs, opt = variables(shapes=shapes), lrcore.keras.SGD(0.1)
    opt.build(vs)

    @backend.function
    def apply(*grads):
        opt.apply(list(grads), vs)

    read, seen = [], []
    for step in range(8):
        apply(*[tensor(g) for g in gradients(step, shapes)])
        read.append(vs[0].value.read_value())
        seen.append(read[-1].numpy().copy())
        vs[-1].value.assign_add(backend.ones_like(vs[-1].value))  # in place, by TensorFlow
        assert same_bits([x.numpy() for x in read], seen)
    assert not same_bits([seen[0]], [seen[-1]])


@tensorflow_only
def test_memory_that_is_handed_out_is_used_again():
    from lrcore.keras._tensorflow import Slab

    slab = Slab("float32", [0, 1], [(3,), (16, 2)])
    arrays = [np.full(3, 7.0, "float32"), np.arange(32, dtype="float32").reshape(16, 2)]
    first = slab.filled(arrays)
    assert first[:32].tolist() == list(range(32))  # what fills lines comes first
    assert first[32:].tolist() == [7.0] * 3
    second = slab.filled(arrays)
    third = slab.filled(arrays)  # of nobody else, since two are held
    assert len({id(x) for x in (first, second, third)}) == 3
    where = id(first)
    del first
    assert id(slab.filled(arrays)) == where
    assert all(x.ctypes.data % 64 == 0 for x in (second, third))


@tensorflow_only
def test_a_loop_with_a_tape():
    x, y = runs.data()
    made = []
    for kinds in (keras.optimizers, lrcore.keras):
        for compiled in (True, False):
            model, opt = network("sgd"), kinds.Adam(0.01)

            def step(model=model, opt=opt):
                with backend.GradientTape() as tape:
                    loss = model.compute_loss(y=y, y_pred=model(x))
                grads = tape.gradient(loss, model.trainable_variables)
                opt.apply_gradients(zip(grads, model.trainable_variables, strict=True))

            step = backend.function(step) if compiled else step
            for _ in range(10):
                step()
            made.append(model.get_weights())
    for other in made[1:]:
        assert off(other, made[0]) < 1e-5
    assert same_bits(made[2], made[3])


@tensorflow_only
def test_plain_variables_of_tensorflow():
    vs = [backend.Variable(a) for a in runs.values(variables())]
    opt = lrcore.keras.AdamW(0.02)
    for step in range(3):
        opt.apply_gradients(zip([tensor(g) for g in gradients(step)], vs, strict=True))
    assert same_bits(runs.values(vs), applied(lrcore.keras.AdamW(0.02), 3))


@tensorflow_only
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {}),
        ("SGD", {"momentum": 0.9}),
        ("Adagrad", {}),
        ("Adam", {}),
        ("RowwiseAdagrad", {}),
    ],
)
def test_gradients_of_some_rows_are_as_good_as_whole_ones(name, options, graph):
    def run(sparse):
        table = keras.Variable(np.ones((50, 4), "float32"), name="table")
        other = keras.Variable(np.ones(3, "float32"), name="other")
        opt = getattr(lrcore.keras, name)(0.1, **options)
        opt.build([table, other])

        def apply(rows, g, h):
            slices = backend.IndexedSlices(g, rows, dense_shape=backend.constant([50, 4]))
            first = slices if sparse else backend.convert_to_tensor(slices)
            opt.apply([first, h], [table, other])

        apply = backend.function(apply) if graph else apply
        for step in range(4):
            r = np.random.default_rng(step)
            rows = backend.constant([1, 7, 1, 30 + step])
            apply(rows, tensor(r.normal(size=(4, 4)).astype("float32")), tensor(np.ones(3)))
            table.assign(table * 0.5)
        return runs.values([table, other])

    np.testing.assert_allclose(run(True)[0], run(False)[0], rtol=1e-6)
    assert same_bits(run(True)[1:], run(False)[1:])


def test_an_embedding_in_a_model_that_is_built_by_fit():
    r = np.random.default_rng(0)
    x = np.concatenate([r.permutation(100)[:96].reshape(16, 6) for _ in range(8)])
    assert off(*embedded(x, r.normal(size=(128, 1)))) < 1e-5  # no word twice in a batch


@tensorflow_only
def test_of_a_row_that_is_named_twice_keras_squares_the_parts():
    """Once this fails, Keras adds them up first: say so in docs/keras.md."""
    assert off(*embedded(np.full((16, 6), 7), np.ones((16, 1)))) > 1e-3


def embedded(x, y):
    """The weights that Keras's Adagrad and ours give a network with an embedding."""
    out = []
    for kinds in (keras.optimizers, lrcore.keras):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Embedding(100, 8), keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.compile(kinds.Adagrad(0.1), "mse")
        model.fit(x, y, epochs=3, batch_size=16, verbose=0, shuffle=False)
        out.append(model.get_weights())
    return out


@tensorflow_only
def test_xla_is_refused():
    model = network(lrcore.keras.AdamW(0.01), jit_compile=True)
    with pytest.raises(RuntimeError, match=r"must not be compiled by XLA.*jit_compile=False"):
        fit(model)
    assert network(lrcore.keras.AdamW(0.01)).jit_compile is False  # what "auto" is on the CPU


@tensorflow_only
def test_a_strategy_is_refused():
    with backend.distribute.MirroredStrategy(["CPU:0"]).scope():
        vs, opt = variables(), lrcore.keras.AdamW(0.01)
        with pytest.raises(RuntimeError, match=r"without a tf.distribute strategy, got Mirrored"):
            opt.build(vs)
