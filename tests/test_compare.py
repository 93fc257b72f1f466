"""Comparisons: rates chosen by other seeds, paired intervals, ties, ranks."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lrcore
from lrcore.instruments.trials.comparison import compare
from lrcore.instruments.trials.student import t_quantile
from lrcore.instruments.trials.sweep import SweepError


def from_table(table):
    """A `train` that looks its score up: name -> rate -> scores by seed."""
    return lambda name, lr, seed: table[name][lr][seed]


def compared(table, **options):
    count = len(next(iter(next(iter(table.values())).values())))
    grids = {name: list(rows) for name, rows in table.items()}
    return compare(from_table(table), grids, seeds=range(count), **options)


STEADY = {
    "good": {0.1: [1.0, 1.1, 0.9, 1.0], 1.0: [2.0, 2.0, 2.0, 2.0]},
    "bad": {0.1: [5.0, 5.0, 5.0, 5.0], 1.0: [3.0, 3.1, 2.9, 3.1]},
}


def test_the_better_is_first():
    result = compared(STEADY)
    assert result.ranking == ("good", "bad")
    assert result.ranks == {"good": 1, "bad": 2}
    assert result.ties == ()
    assert (result.scores["good"], result.sweeps["bad"].best) == (1.0, 1.0)
    assert "good is better than the others over 4 seeds" in str(result)


def test_the_interval_is_that_of_paired_differences():
    (d,) = compared(STEADY, confidence=0.9).differences
    paired = np.array([2.0, 2.0, 2.0, 2.1])
    reach = t_quantile(0.95, 3) * paired.std(ddof=1) / 2
    assert (d.better, d.worse, d.decided) == ("good", "bad", True)
    np.testing.assert_allclose(
        [d.mean, d.low, d.high], [paired.mean(), paired.mean() - reach, paired.mean() + reach]
    )


def test_all_pairs_share_the_error():
    table = {**STEADY, "other": STEADY["bad"]}
    d = next(x for x in compared(table).differences if (x.better, x.worse) == ("good", "bad"))
    paired = np.array([2.0, 2.0, 2.0, 2.1])
    reach = t_quantile(1 - 0.05 / 3 / 2, 3) * paired.std(ddof=1) / 2
    assert abs(d.low - (paired.mean() - reach)) < 1e-12


def test_the_rate_is_chosen_by_the_other_seeds():
    table = {"a": {0.1: [0.0, 9.0, 9.0], 1.0: [5.0, 5.0, 5.0]}, "b": {0.1: [6.0, 6.1, 6.2]}}
    result = compared(table)
    assert result.rates["a"] == (1.0, 0.1, 0.1)
    assert result.held_out["a"].tolist() == [5.0, 9.0, 9.0]
    assert result.scores["a"] > 5.0
    assert result.ranking == ("b", "a")


def test_choosing_the_rate_is_no_skill():
    """Two that are the same noise, one with nine rates to choose from and one with one."""
    rng = np.random.default_rng(0)
    table = {
        "many": {float(k): rng.normal(size=40).tolist() for k in range(1, 10)},
        "one": {1.0: rng.normal(size=40).tolist()},
    }
    result = compared(table)
    assert result.sweeps["many"].means.min() < -0.2
    assert abs(result.scores["many"]) < 0.35
    assert result.ties == (result.ranking,)
    assert "tied" in str(result)
    assert "who tries more rates finds a better one" in str(result)


def test_noise_is_not_ranked():
    """Of comparisons of equals, 5 % may find a difference; here 200 of three."""
    rng, found = np.random.default_rng(1), 0
    for _ in range(200):
        table = {n: {x: rng.normal(size=5).tolist() for x in (0.1, 1.0)} for n in "abc"}
        found += any(d.decided for d in compared(table).differences)
    assert found <= 10


def test_ties_are_named():
    table = {**STEADY, "same": {0.1: [1.1, 1.0, 1.0, 0.95]}}
    result = compared(table)
    assert result.ranks == {"good": 1, "same": 1, "bad": 3}
    assert result.ties == (("good", "same"),)
    assert "good and same are tied" in str(result)
    assert [line.split()[0] for line in result.table().splitlines()[1:]] == ["=1", "=1", "3"]


def test_one_seed_decides_nothing():
    result = compared({"a": {0.1: [1.0], 1.0: [2.0]}, "b": {0.1: [3.0]}})
    assert result.ranking == ("a", "b")
    assert result.ranks == {"a": 1, "b": 1}
    assert result.scores == {"a": 1.0, "b": 3.0}
    assert not result.differences[0].decided
    assert "One seed: the score is the lowest of the grid" in str(result)


def test_what_diverges_is_behind_and_what_fails_is_last():
    inf, nan = math.inf, math.nan

    def train(name, lr, seed):
        if name == "broken":
            raise OSError("gone")
        return {"wild": nan if lr > 0.5 else inf, "calm": 2.0 + seed / 10}[name]

    grids = {"broken": [0.1], "wild": [0.1, 1.0], "calm": [0.1, 1.0]}
    result = compare(train, grids, seeds=[0, 1, 2])
    assert result.ranking == ("calm", "wild", "broken")
    assert result.ranks["wild"] == 2
    assert "diverged" in result.table()
    assert "failed" in result.table()
    assert "broken: 3 of 3 runs failed; the first (lr=0.1, seed 0): OSError: gone" in result.notes
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert told["optimizers"]["wild"]["score"] is None
    assert told["optimizers"]["calm"]["rank"] == 1


def test_a_seed_that_diverges_at_the_rate_of_the_others():
    table = {
        "wild": {0.1: [3.0, 3.0, 3.0], 1.0: [1.0, 1.0, math.inf]},
        "calm": {0.1: [2.0, 2.0, 2.0]},
    }
    result = compared(table)
    assert result.rates["wild"] == (0.1, 0.1, 1.0)
    assert result.held_out["wild"].tolist() == [3.0, 3.0, math.inf]
    assert result.ranks == {"calm": 1, "wild": 2}


def test_executors_callbacks_and_ctrl_c():
    seen = []
    with ThreadPoolExecutor(3) as pool:
        grids = {name: list(rows) for name, rows in STEADY.items()}
        train = from_table(STEADY)
        options = {"executor": pool, "on_run": lambda name, run: seen.append((name, run.score))}
        threads = compare(train, grids, seeds=range(4), **options)
    alone = compared(STEADY)
    assert threads.scores == alone.scores
    assert threads.ranks == alone.ranks
    assert sorted(seen) == sorted((n, x) for n in STEADY for r in STEADY[n].values() for x in r)

    def stops(name, lr, seed):
        if seed == 2:
            raise KeyboardInterrupt
        return train(name, lr, seed)

    result = compare(stops, grids, seeds=range(4))
    assert result.interrupted
    assert result.ranking == ("good", "bad")
    assert "good: Interrupted: 4 of 8 runs were made." in result.notes


def test_edges_are_said():
    assert "bad: The best rate is the largest of the grid" in str(compared(STEADY))


def test_real_optimizers():
    curve = np.array([1.0, 10.0, 100.0])

    def train(name, lr, seed):
        w = np.random.default_rng(seed).normal(size=3)
        opt = getattr(lrcore, name)(w, lr=lr)
        for _ in range(30):
            opt.step(w * curve)
        return float((w * w) @ curve)

    grids = {"SGD": [1e-3, 1e-2, 1e-1], "Adam": [1e-2, 1e-1, 1.0]}
    result = lrcore.compare(train, grids, seeds=range(5))
    assert result.ranking == ("SGD", "Adam")
    assert result.sweeps["SGD"].best == 0.01


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"train": 1}, TypeError, "train must be a function, got 1"),
        ({"optimizers": ["SGD"]}, TypeError, "optimizers must be a dict of lists of rates by name"),
        (
            {"optimizers": {1: [0.1]}},
            TypeError,
            r"optimizers must be a dict of lists .* got \{1: ",
        ),
        ({"optimizers": {}}, ValueError, "optimizers must have at least one name, got none"),
        ({"optimizers": {"SGD": []}}, ValueError, r"optimizers\['SGD'\] must have at least one"),
        ({"optimizers": {"SGD": [0]}}, ValueError, r"optimizers\['SGD'\]\[0\] must be in \(0, inf"),
        ({"seeds": []}, ValueError, "seeds must have at least one value"),
        ({"confidence": 0.5}, ValueError, r"confidence must be in \(0.5, 1\), got 0.5"),
        ({"confidence": 95}, ValueError, r"confidence must be in \(0.5, 1\), got 95"),
        ({"on_run": 1}, TypeError, "on_run must be a function"),
        ({"executor": 1}, TypeError, "executor must be"),
    ],
)
def test_what_is_refused_runs_nothing(change, error, message):
    calls = []
    arguments = {"train": lambda *a: calls.append(a), "optimizers": {"SGD": [0.1]}, **change}
    with pytest.raises(error, match=rf"^compare: {message}"):
        compare(arguments.pop("train"), arguments.pop("optimizers"), **arguments)
    assert calls == []


def test_all_fail():
    with pytest.raises(SweepError, match="compare: all 4 runs failed; the first: KeyError: 'x'"):
        compare(lambda *a: {}["x"], {"a": [0.1, 1.0], "b": [0.1, 1.0]})


def test_the_picture():
    pytest.importorskip("matplotlib")
    table = {
        "wild": {0.1: [3.0, 3.0, 3.0], 1.0: [1.0, 1.0, math.inf], 10.0: [math.inf] * 3},
        "calm": {0.1: [2.0, 2.1, 2.2], 1.0: [0.5, 0.6, 0.7]},
    }
    ax = compared(table).plot()
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [name.split(",")[0].split()[-1] for name in names[:2]] == ["calm", "wild"]
    assert ax.get_xscale() == "log"
    assert compare(lambda n, lr, s: math.inf, {"a": [0.1], "b": [1.0]}).plot(ax=ax) is ax


def test_one_that_only_failed_is_not_tied_with_one_that_has_a_score():
    def train(name, lr, seed):
        if name == "broken":
            raise ZeroDivisionError
        return lr + 0.01 * seed

    result = compare(train, {"broken": [0.1, 1.0], "fine": [0.1, 1.0]}, seeds=range(3))
    assert result.ranks == {"fine": 1, "broken": 2}
    assert not result.ties
    said = str(result)
    assert "tied" not in said
    assert "fine is the only one that has a score" in said
    assert "diverged" not in said


def test_an_interrupted_comparison_does_not_say_that_all_diverged():
    left = iter(range(3))

    def train(name, lr, seed):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return lr

    result = compare(train, {"a": [0.1, 1.0, 10.0, 100.0], "b": [0.1]}, seeds=range(3))
    said = str(result)
    assert result.interrupted
    assert "Too few runs were made to compare" in said
    assert "Interrupted: 3 of 12 runs" in said
    assert "diverged" not in said
    assert "failed" not in said
