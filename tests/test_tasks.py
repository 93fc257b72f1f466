"""The tasks: gradients by hand, data decided on in words, a loop that knows nothing of printing."""

from __future__ import annotations

import numpy as np
import pytest

import lrcore
from lrcore.tasks import Data, DataError, Task, fit, linear
from lrcore.tasks import _network as network

sklearn = pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

from lrcore.tasks import digits, table  # noqa: E402 - they are for the demo extra


def write(tmp_path, text, name="data.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(n, line):
    return "\n".join(line(i) for i in range(n)) + "\n"


# ------------------------------------------------------------------ gradients


def slopes_by_differences(model, params, data, h=1e-6):
    """Central differences of the loss, a parameter at a time."""
    slopes = {}
    for name, p in params.items():
        slopes[name] = np.empty_like(p)
        for i in np.ndindex(p.shape):
            kept, ends = p[i], []
            for p[i] in (kept + h, kept - h):
                ends.append(model.loss_and_grads(params, data)[0])
            p[i] = kept
            slopes[name][i] = (ends[0] - ends[1]) / (2 * h)
    return slopes


@pytest.mark.parametrize("sizes", [(4, 3), (4, 6, 3), (4, 5, 6, 3)], ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("kind", ["classification", "regression", "signs"])
def test_network_gradients_are_the_slopes_of_the_loss(sizes, kind, activation):
    rng = np.random.default_rng(1)
    rest = (np.float64, activation, 0.7)
    if kind == "classification":
        model = network.Network(sizes, network.cross_entropy, network.class_scores, *rest)
        y = rng.integers(0, 3, 11)
    elif kind == "signs":
        model = network.Network((*sizes[:-1], 1), network.hinge, network.sign_scores, *rest)
        y = rng.choice([-1, 1], 11)
    else:
        model = network.Network(
            (*sizes[:-1], 1), network.half_mean_square, network.value_scores, *rest
        )
        y = rng.standard_normal(11)
    params = model.init(rng)
    for p in params.values():
        p += 0.3 * rng.standard_normal(p.shape)
    data = Data(rng.standard_normal((11, 4)), y)
    _, grads = model.loss_and_grads(params, data)
    assert list(grads) == list(params)
    for name, slope in slopes_by_differences(model, params, data).items():
        assert grads[name].dtype == np.float64
        np.testing.assert_allclose(grads[name], slope, rtol=1e-6, atol=1e-9)


def test_line_gradients_are_the_slopes_of_the_loss():
    task = linear.load()
    params = {"t": np.array([0.7, -1.3])}
    _, grads = task.loss_and_grads(params, task.train)
    slope = slopes_by_differences(task.model, params, task.train)["t"]
    np.testing.assert_allclose(grads["t"], slope, rtol=1e-8)


def test_cross_entropy_survives_logits_that_exp_does_not():
    z = np.array([[1000.0, 0.0], [0.0, 1000.0]], np.float32)
    loss, slope = network.cross_entropy(z, np.array([0, 0]))
    assert loss == 500.0
    np.testing.assert_array_equal(slope, np.array([[0, 0], [-0.5, 0.5]], np.float32))


def test_hinge_and_its_scores_are_those_of_sklearn():
    from sklearn.metrics import accuracy_score, hinge_loss

    rng = np.random.default_rng(2)
    y, z = rng.choice([-1, 1], 50), 2 * rng.standard_normal((50, 1))
    scores = network.sign_scores(z, y)
    assert scores["loss"] == pytest.approx(hinge_loss(y, z[:, 0]))
    assert scores["accuracy"] == accuracy_score(y, np.where(z[:, 0] >= 0, 1, -1))
    loss, slope = network.hinge(np.array([[1.0], [1.0]]), np.array([1, -1]))  # on the corner: 0
    assert (loss, slope.tolist()) == (1.0, [[0.0], [0.5]])


def test_the_penalty_is_on_the_weights_and_not_in_the_scores():
    model = network.Network(
        (2, 1), network.half_mean_square, network.value_scores, np.float64, l2=0.5
    )
    params = {"w1": np.array([[2.0], [0.0]]), "b1": np.array([100.0])}
    data = Data(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([102.0, 98.0]))
    loss, grads = model.loss_and_grads(params, data)
    assert loss == 1.0  # 0.5 / 2 * 2^2
    assert grads["w1"].tolist() == [[1.0], [0.0]]
    assert grads["b1"].tolist() == [0.0]
    assert model.scores(params, data)["loss"] == 0


def test_value_scores_are_those_of_sklearn():
    from sklearn.metrics import mean_squared_error, r2_score

    rng = np.random.default_rng(3)
    y, guess = rng.standard_normal((2, 50))
    scores = network.value_scores(guess[:, None], y)
    assert scores["r2"] == pytest.approx(r2_score(y, guess))
    assert scores["rmse"] == pytest.approx(np.sqrt(mean_squared_error(y, guess)))


# ----------------------------------------------------------------- the loop


def test_batches_are_all_rows_once_in_an_order_of_seed_and_epoch():
    task = digits.load(seed=4)
    seen = np.concatenate([batch.x for batch in task.batches(2)])
    assert sum(1 for _ in task.batches(2)) == task.updates_per_epoch
    assert not np.array_equal(seen, task.train.x)
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(task.train.x, axis=0))
    again = np.concatenate([batch.x for batch in digits.load(seed=4).batches(2)])
    np.testing.assert_array_equal(again, seen)
    other = np.concatenate([batch.x for batch in task.batches(3)])
    assert not np.array_equal(other, seen)


def test_init_is_fresh_and_the_same_each_time():
    task = digits.load()
    first = task.init()
    kept = first["w1"].copy()
    first["w1"] += 1
    np.testing.assert_array_equal(task.init()["w1"], kept)
    assert all(p.dtype == np.float32 for p in first.values())


def test_fit_records_every_update_and_epoch():
    task = digits.load()
    params = task.init()
    opt = lrcore.SGD(params, lr=lrcore.schedules.Linear(0.1, steps=3 * task.updates_per_epoch))
    seen = []
    run = fit(task, params, opt, 3, on_step=lambda run: seen.append(len(run.losses)))
    updates = 3 * task.updates_per_epoch
    assert seen == list(range(1, updates + 1))
    assert len(run.losses) == len(run.lrs) == opt.t == updates
    assert run.lrs[0] == 0.1
    assert run.lrs[-1] == pytest.approx(0.1 / updates)
    assert run.samples == 3 * len(task.train.y)
    assert [row["epoch"] for row in run.history] == [0, 1, 2, 3]
    assert run.final == task.evaluate(params)
    assert run.final["train_loss"] < run.history[0]["train_loss"]
    assert run.step_seconds > 0
    assert run.rest_seconds > 0
    assert run.stopped == ""


def test_fit_stops_when_asked():
    task = digits.load()
    params = task.init()
    opt = lrcore.SGD(params, lr=0.1)
    run = fit(task, params, opt, 5, on_step=lambda run: len(run.losses) == 7)
    assert run.stopped == "asked"
    assert opt.t == len(run.losses) == 7
    assert run.final == task.evaluate(params)


def test_fit_says_that_it_diverged():
    task = linear.load()
    params = task.init()
    run = fit(task, params, lrcore.SGD(params, lr=1e200), 50)
    assert run.stopped == "diverged"
    assert 0 < len(run.losses) < 50


# ------------------------------------------------------------------- digits


def test_digits_hold_out_a_fifth_of_every_digit():
    task = digits.load(seed=5)
    assert len(task.test.y) == 360
    assert len(task.train.y) == 5 * 1437
    known = task.train.y[:1437]
    share = np.bincount(task.test.y) / np.bincount(np.concatenate([known, task.test.y]))
    assert np.all(np.abs(share - 0.2) < 0.01)


def test_digits_are_learned_moved_by_a_pixel_too():
    task = digits.load()
    as_is, lower, higher, right, left = task.train.x.reshape(5, 1437, 8, 8)
    same = task.train.y.reshape(5, 1437)
    assert (same == same[0]).all()
    centre = -task.train.x.min(axis=0).reshape(8, 8)  # every pixel is 0 in some image
    as_is, lower, higher, right, left = (x + centre for x in (as_is, lower, higher, right, left))
    np.testing.assert_allclose(lower[:, 1:], as_is[:, :-1], atol=1e-6)
    np.testing.assert_allclose(higher[:, :-1], as_is[:, 1:], atol=1e-6)
    np.testing.assert_allclose(right[:, :, 1:], as_is[:, :, :-1], atol=1e-6)
    np.testing.assert_allclose(left[:, :, :-1], as_is[:, :, 1:], atol=1e-6)
    np.testing.assert_allclose(lower[:, 0], 0, atol=1e-6)
    assert abs(task.test.x.mean()) < 0.02  # moved by no pixel, and by the same centre


def test_the_seed_chooses_the_held_out_images():
    first, again, other = (digits.load(seed=seed).test.y for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


# ------------------------------------------------------------------- linear


def test_linear_measures_the_distance_from_least_squares():
    task = linear.load(seed=2)
    fitted = np.polynomial.Polynomial.fit(task.train.x, task.train.y, 1).convert().coef
    np.testing.assert_allclose(task.model.answer, fitted, rtol=1e-12)
    at_answer = task.evaluate({"t": task.model.answer.copy()})
    assert at_answer["train_distance"] == 0
    beside = task.evaluate({"t": task.model.answer + [0.25, -0.5]})
    assert beside["train_distance"] == 0.5
    assert beside["train_loss"] > at_answer["train_loss"]


# ------------------------------------------------------------------- tables


def decided(tmp_path, target_of_row, n=60, **options):
    text = "x,y\n" + rows(n, lambda i: f"{i % 17},{target_of_row(i)}")
    return table.load(write(tmp_path, text), "y", **options)


@pytest.mark.parametrize(
    ("target_of_row", "kind", "why"),
    [
        (lambda i: "ab"[i % 2], "classification", "y is text with 2 different values"),
        (lambda i: i % 2 == 0, "classification", "y is true or false"),
        (lambda i: i % 3, "classification", "y has 3 distinct integers"),
        (lambda i: i % 30, "regression", "y has 30 distinct numbers"),
        (lambda i: i % 3 + 0.5, "regression", "y has 3 distinct numbers"),
    ],
)
def test_the_target_decides_the_kind(tmp_path, target_of_row, kind, why):
    task = decided(tmp_path, target_of_row)
    assert task.kind == kind
    assert task.notes[0] == f"{kind}: {why}"


def test_kind_can_be_asked_for(tmp_path):
    task = decided(tmp_path, lambda i: i % 3, kind="regression")
    assert task.kind == "regression"
    assert task.train.y.dtype == np.float32
    assert "asked for" in task.notes[0]
    with pytest.raises(DataError, match="'y' is text, so it cannot be a regression target"):
        decided(tmp_path, lambda i: "ab"[i % 2], kind="regression")


def test_table_is_standardised_by_its_training_rows(tmp_path):
    rng = np.random.default_rng(0)
    text = "a,b,y\n" + rows(
        200, lambda i: f"{rng.normal(50, 9)},{rng.normal(-3, 0.1)},{rng.normal(1e4, 1e3)}"
    )
    task = table.load(write(tmp_path, text), "y")
    assert task.train.x.dtype == np.float32
    assert task.train.x.shape == (160, 2)
    np.testing.assert_allclose(task.train.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(task.train.x.std(axis=0), 1, atol=1e-6)
    assert abs(task.train.y.mean()) < 1e-6
    assert abs(task.train.y.std() - 1) < 1e-6
    assert abs(task.test.x.mean()) > 1e-6  # the held-out rows had no say
    zero = {name: 0 * p for name, p in task.init().items()}
    assert task.evaluate(zero)["train_rmse"] == pytest.approx(1e3, rel=0.2)  # the user's unit


def test_table_says_what_it_did_with_each_column(tmp_path):
    text = ",age,city,name,same,void,junk,y\n" + rows(
        100,
        lambda i: (
            f"{i},{'' if i % 10 == 0 else i},{'' if i == 3 else 'NSE'[i % 3]},n{i},7,,"
            f"{'?' if i == 5 else i * i},{i % 2}"
        ),
    )
    task = table.load(write(tmp_path, text), "y")
    assert list(task.notes[1:]) == [
        "left out: column 1 (no name), name (100 different texts), same (always the same), "
        "void (empty)",
        "gaps filled with the median: age (10), junk (1, 1 not a number)",
        "text as one column a category: city (4)",
        "linear model, for few rows",
    ]
    assert task.train.x.shape == (80, 2 + 4)
    assert np.isfinite(task.train.x).all()
    assert np.isfinite(task.test.x).all()


def test_rows_without_a_target_are_left_out(tmp_path):
    task = decided(tmp_path, lambda i: "" if i % 6 == 0 else i + 0.5)
    assert len(task.train.y) + len(task.test.y) == 50
    assert "rows without y: 10, left out" in task.notes


def test_numbers_beyond_reason_are_missing(tmp_path):
    odd = {3: "inf", 5: "-1e308", 8: "1e31"}
    text = "x,y\n" + rows(60, lambda i: f"{odd.get(i, i)},{odd.get(i - 20, i + 0.5)}")
    task = table.load(write(tmp_path, text), "y")
    assert "gaps filled with the median: x (3)" in task.notes
    assert "rows without y: 3, left out" in task.notes
    assert np.isfinite(task.train.x).all()


def test_a_class_of_one_row_is_no_obstacle(tmp_path):
    task = decided(tmp_path, lambda i: "rare" if i == 0 else "ab"[i % 2])
    assert task.kind == "classification"
    assert task.model.sizes[-1] == 3


def test_other_separators_and_a_byte_order_mark(tmp_path):
    text = "\ufeffy; x\n" + rows(40, lambda i: f"{i}.5;{i}")
    task = table.load(write(tmp_path, text), "y")
    assert task.kind == "regression"
    assert task.train.x.shape == (32, 1)


@pytest.mark.parametrize("end", ["\r", "\r\n"], ids=["CR", "CRLF"])
def test_any_line_end_will_do(tmp_path, end):
    text = "x,t,y\n" + rows(40, lambda i: f'{i},"{"ab"[i % 2]}",{i}.5')
    plain = table.load(write(tmp_path, text), "y")
    task = table.load(write(tmp_path, text.replace("\n", end), "other.csv"), "y")
    assert task.notes == plain.notes
    np.testing.assert_array_equal(task.train.x, plain.train.x)
    np.testing.assert_array_equal(task.train.y, plain.train.y)


def test_a_column_of_infinities_is_not_called_empty(tmp_path):
    text = "x,z,void,y\n" + rows(40, lambda i: f"{i},{'-inf' if i % 2 else 'inf'},,{i}.5")
    task = table.load(write(tmp_path, text), "y")
    assert task.notes[1] == "left out: z (no finite number up to 1e+30), void (empty)"


def test_a_network_knows_the_least_memory_it_takes():
    model = network.Network((64, 5, 3, 10), network.cross_entropy, network.class_scores)
    count = sum(p.size for p in model.init(np.random.default_rng(0)).values())
    assert model.least_bytes(100) == 2 * 4 * (count + 100 * (5 + 3))


def test_many_rows_get_a_hidden_layer(tmp_path):
    assert decided(tmp_path, lambda i: i + 0.5).model.sizes == (1, 1)
    assert decided(tmp_path, lambda i: i + 0.5, n=2000).model.sizes == (1, 64, 1)
    assert decided(tmp_path, lambda i: i + 0.5, n=2000, hidden=0).model.sizes == (1, 1)


GOOD = rows(30, lambda i: f"{i},{i}.5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; the first line must name the columns"),
        ("\n \n", "is empty"),
        ("x,y\n", "has a header and no rows"),
        ("y\n1\n", "has one column, 'y'; a target and something to predict it from are needed"),
        ("x,y\n1,2\n1,2,3\n", "line 3 has 3 fields, but the header has 2 (separated by commas)"),
        ("x,y\n1,2\n\n1\n", "line 4 has 1 fields, but the header has 2"),
        ('x,y\n"1,2\n', "line 2: unexpected end of data; check the quotes"),
        ("1,2\n" + GOOD, "the first line is numbers; it must name the columns"),
        ("x,y,x\n1,2,3\n", "two columns are named 'x'; rename one"),
        ("x,y\n1,2\n", "at least 10 rows with a value of 'y' are needed, there are 1"),
        ("x,Y\n" + GOOD, "no column 'y'; did you mean 'Y'?"),
        ("x,why\n" + GOOD, "no column 'y'; "),
        ("a,b\n" + GOOD, "no column 'y'; the columns are 'a', 'b'"),
        ("x,y\n" + rows(30, lambda i: f"{i},3"), "'y' is 3 in every row"),
        ("x,y\n" + rows(30, lambda i: f"{i},t{i}"), "'y' has 30 different values in 30 rows, too"),
        ("x,y\n" + rows(30, lambda i: f"t{i},{i}.5"), "no column to learn from: left out: x (30 d"),
        ("x,y\n" + rows(30, lambda i: f"{i},inf"), "there are 0; 30 hold no finite number up to"),
        ("z,y\n" + rows(30, lambda i: f"inf,{i}.5"), "left out: z (no finite number up to 1e+30)"),
        ("x,y\n1,2\r3\n", "line 3 has 1 fields, but the header has 2"),
        ("x,y\r1,\xe9".encode("latin-1"), "line 2 is not UTF-8 text"),
        (b"\xef\xbb\xbfx,y\n1,2\n\xe9,3\n", "line 3 is not UTF-8 text"),
        (b"x,y\n\x00\x01", "is not a text file; save the table as CSV"),
        ("x,y\n1,\xe9".encode("latin-1"), "line 2 is not UTF-8 text"),
    ],
)
def test_a_bad_table_gets_a_sentence(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        table.load(path, "y")
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_one(tmp_path):
    with pytest.raises(DataError, match="is a directory; give a CSV file"):
        table.load(tmp_path, "y")
    with pytest.raises(DataError, match="no such file"):
        table.load(tmp_path / "none.csv", "y")


def test_tasks_are_what_they_say():
    for task in (digits.load(), linear.load()):
        assert isinstance(task, Task)
        assert set(task.init()) == set(task.loss_and_grads(task.init(), task.train)[1])
