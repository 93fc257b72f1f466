"""Cross-validation of the rate: folds, data of every kind, and what is refused."""

import collections
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sweep_jobs import linear

import lrcore
from lrcore.instruments.trials.folds import _shuffled, cross_validate_lr
from lrcore.instruments.trials.sweep import SweepError

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + np.random.default_rng(1).normal(size=60)
LRS = (0.01, 0.1, 1.0)


def parts(data, cv, **options):
    """The (train, validation) data that each fold was given."""
    seen = []

    def train(lr, part, held_out):
        seen.append((part, held_out))
        return 1.0

    cross_validate_lr(train, data, [0.1], cv=cv, **options)
    return seen


def test_columns_are_folds():
    result = lrcore.cross_validate_lr(linear, (X, Y), LRS, cv=4)
    assert result.scores.shape == (3, 4)
    assert result.column == "fold"
    folds = _shuffled(60, 4, 0, None)
    for i, lr in enumerate(LRS):
        for j, (a, b) in enumerate(folds):
            assert result.scores[i, j] == linear(lr, (X[a], Y[a]), (X[b], Y[b]))
    np.testing.assert_array_equal(result.errors, result.scores.std(axis=1, ddof=1) / np.sqrt(4))
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert told["folds"] == [0, 1, 2, 3]
    assert "3 rates x 4 folds" in str(result)


def test_the_rule_of_one_standard_error():
    lrs = (0.01, 0.1, 0.3)
    chosen = cross_validate_lr(linear, (X, Y), lrs)
    best = cross_validate_lr(linear, (X, Y), lrs, rule="best")
    assert best.chosen == best.best == chosen.best
    at = list(lrs).index(chosen.best)
    assert chosen.means[list(lrs).index(chosen.chosen)] <= chosen.means[at] + chosen.errors[at]
    assert chosen.band[0] < chosen.band[1]
    assert chosen.chosen != best.chosen


@pytest.mark.parametrize("labels", [None, np.repeat(["a", "b", "c"], [31, 10, 6])])
@pytest.mark.parametrize("k", [2, 5, 47])
def test_folds_are_a_partition_shuffled_by_the_seed(k, labels):
    folds = _shuffled(47, k, 7, labels)
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(47))
    for learnt, held in folds:
        assert sorted([*learnt, *held]) == list(range(47))
        assert len(held) in (47 // k, -(-47 // k))
        if labels is not None:
            for label in "abc":
                share = (labels == label).sum() / k
                assert int(share) <= (labels[held] == label).sum() <= np.ceil(share)
    again, other = _shuffled(47, k, 7, labels), _shuffled(47, k, 8, labels)
    assert all((a[1] == b[1]).all() for a, b in zip(folds, again, strict=True))
    assert any(a[1].tolist() != b[1].tolist() for a, b in zip(folds, other, strict=True))
    assert k == 47 or all(np.ptp(held) > len(held) for _, held in folds)


def test_the_folds_stay_the_same_with_every_numpy():
    assert [held.tolist() for _, held in _shuffled(7, 3, 0, None)] == [[3, 5, 6], [0, 2], [1, 4]]


Pair = collections.namedtuple("Pair", "x y")


@pytest.mark.parametrize(
    ("data", "picked"),
    [
        (np.arange(6), lambda i: np.arange(6)[i]),
        ((np.arange(12).reshape(6, 2), list("abcdef")), None),
        ({"x": np.arange(6), "more": (np.arange(6) * 2,)}, None),
        (list("abcdef"), lambda i: [list("abcdef")[k] for k in i]),
    ],
)
def test_data_keep_their_structure(data, picked):
    pairs = [([0, 1, 2, 3], [4, 5]), ([4, 5], [0, 3])]
    for (part, held), (a, b) in zip(parts(data, pairs), pairs, strict=True):
        for got, index in ((part, a), (held, b)):
            if picked is not None:
                np.testing.assert_array_equal(got, picked(index))
            elif isinstance(data, tuple):
                assert isinstance(got, tuple)
                np.testing.assert_array_equal(got[0], data[0][index])
                assert got[1] == [data[1][k] for k in index]
            else:
                np.testing.assert_array_equal(got["more"][0], np.array(index) * 2)


def test_a_named_tuple_and_masks():
    mask = np.array([True, False, True, False])
    ((part, held),) = parts(Pair(np.arange(4), np.arange(4) * 10), [(~mask, mask)])
    assert isinstance(part, Pair)
    assert part.y.tolist() == [10, 30]
    assert held.x.tolist() == [0, 2]


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": range(4)}, index=list("wxyz"))
    ((part, held),) = parts((frame, frame["a"]), [([0, 1, 3], [2])])
    assert list(part[0].index) == ["w", "x", "z"]
    assert held[1].tolist() == [2]


def test_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    ((part, _),) = parts(sparse.csr_matrix(np.eye(4)), [([0, 2], [1])])
    np.testing.assert_array_equal(part.toarray(), np.eye(4)[[0, 2]])


@pytest.mark.parametrize("data", [(X, Y), {"x": X, "y": Y}])
def test_splitters_of_scikit_learn(data):
    selection = pytest.importorskip("sklearn.model_selection")
    labels = np.arange(60) % 3 == 0
    for splitter, options in [
        (selection.KFold(4, shuffle=True, random_state=0), {}),
        (selection.ShuffleSplit(3, random_state=1), {}),
        (selection.StratifiedKFold(5), {"stratify": labels}),
        (selection.GroupKFold(6), {"groups": np.arange(60) // 10}),
        (selection.LeaveOneGroupOut(), {"groups": np.arange(60) // 10}),
        (selection.TimeSeriesSplit(3), {}),
    ]:
        seen = parts(data, splitter, **options)
        expected = list(splitter.split(X, options.get("stratify"), options.get("groups")))
        assert len(seen) == len(expected)
        for (part, held), (a, b) in zip(seen, expected, strict=True):
            x = 0 if isinstance(data, tuple) else "x"
            np.testing.assert_array_equal(part[x], X[a])
            np.testing.assert_array_equal(held[x], X[b])


def test_a_splitter_is_asked_once_and_every_rate_has_its_folds():
    class Once:
        asked = 0

        def split(self, X, y=None, groups=None):
            self.asked += 1
            assert y is Y
            return iter([(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))])

    once = Once()
    result = cross_validate_lr(linear, (X, Y), LRS, cv=once)
    assert once.asked == 1
    assert result.scores.shape == (3, 2)


def test_threads_and_failures():
    def train(lr, part, held_out):
        if lr == 1.0 and 0 in held_out[2]:
            raise ValueError("the first row")
        return linear(lr, part[:2], held_out[:2])

    data = (X, Y, list(range(60)))
    alone = cross_validate_lr(train, data, LRS)
    with ThreadPoolExecutor(2) as pool:
        result = cross_validate_lr(train, data, LRS, executor=pool)
    np.testing.assert_array_equal(result.scores, alone.scores)
    (failed,) = result.failures
    assert failed.error == "ValueError: the first row"
    assert f"fold {failed.seed}" in str(result)
    with pytest.raises(SweepError, match=r"cross_validate_lr: all 10 runs failed; the first: Attr"):
        cross_validate_lr(lambda lr, a, b: a.x, (X, Y), [0.1, 0.2])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"train": None}, TypeError, "train must be a function, got None"),
        ({"lrs": [-1]}, ValueError, r"lrs\[0\] must be in \(0, inf\), got -1"),
        ({"data": (X, Y[:5])}, ValueError, r"equal length, got {'data\[0\]': 60, 'data\[1\]': 5}"),
        ({"data": ()}, ValueError, "data must have an array, got"),
        ({"data": {"x": 3}}, TypeError, r"data\['x'\] must be an array or a list, got int"),
        ({"data": "abc"}, TypeError, "data must be an array or a list, got str"),
        ({"data": np.float64(3)}, TypeError, "data must"),
        ({"data": X[:3]}, ValueError, r"cv must be 2 or 3, got 5"),
        ({"data": X[:1], "cv": 2}, ValueError, "at least 2 samples, got 1"),
        ({"cv": 1}, ValueError, r"cv must be an integer in \[2, 60\], got 1"),
        ({"cv": True}, TypeError, "cv must be an integer >= 2, a splitter or"),
        ({"cv": "kfold"}, TypeError, "cv must be an integer >= 2, a splitter or"),
        ({"cv": collections.Counter}, TypeError, "cv must be an integer >= 2, a splitter or"),
        ({"cv": []}, ValueError, "cv must have at least one fold, got none"),
        ({"cv": [3]}, TypeError, r"cv\[0\] must be \(train, validation\), got 3"),
        ({"cv": [([0, 1], [])]}, ValueError, r"cv\[0\]\[1\] must be indices or a mask"),
        ({"cv": [([0, 1], [0.5])]}, ValueError, r"cv\[0\]\[1\] must be indices or a mask"),
        ({"cv": [([0, 60], [1])]}, ValueError, r"cv\[0\]\[0\] must be in \[0, 60\), got 60"),
        ({"cv": [([0], [-1])]}, ValueError, r"cv\[0\]\[1\] must be in \[0, 60\), got -1"),
        ({"cv": [([0, 1], [1, 2])]}, ValueError, "apart, got 1 samples in both"),
        ({"rule": "best of all"}, ValueError, "rule must be"),
        ({"seed": -1}, ValueError, "seed must be an integer in"),
        ({"stratify": [1, 2]}, ValueError, "stratify must have one label for each of 60 samples"),
        ({"groups": np.zeros(60)}, ValueError, "groups must be None with a number of folds"),
        ({"executor": 1}, TypeError, "executor must be a concurrent.futures.Executor or None"),
    ],
)
def test_what_is_refused_runs_nothing(change, error, message):
    calls = []
    arguments = {"train": lambda *a: calls.append(a), "data": (X, Y), "lrs": LRS, **change}
    with pytest.raises(error, match=rf"^cross_validate_lr: .*{message}"):
        cross_validate_lr(
            arguments.pop("train"), arguments.pop("data"), arguments.pop("lrs"), **arguments
        )
    assert calls == []
