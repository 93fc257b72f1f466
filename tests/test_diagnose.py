"""diagnose: planted faults are found, healthy curves are not flagged, bad input has an answer."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lrcore
from lrcore.instruments.diagnosis import checks, measures, rate, thresholds
from lrcore.instruments.diagnosis.curve import Curve
from lrcore.instruments.diagnosis.inputs import numbers
from lrcore.instruments.diagnosis.verdict import VERDICTS, judge

sys.path.insert(0, str(Path(__file__).parent.parent / "bench" / "instruments"))
import synthetic

NAN, INF = math.nan, math.inf
T = np.arange(1000)


def falling(n=1000, seed=0, floor=0.5):
    rng = np.random.default_rng(seed)
    return 2 * np.exp(-np.arange(n) / (0.15 * n)) + floor + 0.05 * rng.standard_normal(n)


def stats_of(cos, gain, n=1000, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "cos": cos + 0.05 * rng.standard_normal(n),
        "gain": gain + 0.01 * rng.standard_normal(n),
    }


# ---------------------------------------------------------------------- planted, healthy


@pytest.mark.parametrize("name", synthetic.PLANTED)
def test_planted_faults_are_found(name):
    verdict, make = synthetic.PLANTED[name]
    rng = np.random.default_rng(3)
    found = [lrcore.diagnose(make(rng, 1000)).verdict for _ in range(20)]
    assert found.count(verdict) >= 19


def test_overfitting_is_found_and_placed():
    rng = np.random.default_rng(0)
    found = [lrcore.diagnose(**synthetic.with_validation(rng, 1000, 0.5)) for _ in range(20)]
    assert [d.verdict for d in found].count("overfitting") >= 19
    at = [d.findings[0].values["at"] for d in found if d.verdict == "overfitting"]
    assert 250 < np.median(at) < 550  # the minimum is at 400


def test_noise_of_the_validation_is_no_overfitting():
    rng = np.random.default_rng(1)
    for n in (12, 20, 40) * 20:
        val = 1 + 0.2 * rng.standard_normal(n)
        assert lrcore.diagnose(np.exp(-np.arange(n) / n), val_losses=val).verdict != "overfitting"


@pytest.mark.parametrize("name", synthetic.HEALTHY)
def test_healthy_curves_are_not_flagged(name):
    rng = np.random.default_rng(5)
    for n in (200, 1000, 3000):
        found = [lrcore.diagnose(synthetic.HEALTHY[name](rng, n)).verdict for _ in range(4)]
        assert not set(found) & set(synthetic.ALARMS)


@pytest.mark.slow
def test_false_alarms_and_power_at_length():
    result = synthetic.measure(1500)
    for name, shares in result["healthy"].items():
        assert sum(v for k, v in shares.items() if k in synthetic.ALARMS) <= 2e-3, name
    for name, one in result["planted"].items():
        assert one["shares"].get(one["verdict"], 0) >= 0.95, name


def test_the_steps_tell_a_rate_that_is_too_low():
    slow = 2.3 - 0.3 * T / 1000 + 0.02 * np.random.default_rng(0).standard_normal(1000)
    d = lrcore.diagnose(slow, stats=stats_of(-0.5, 0.999))
    assert d.verdict == d.findings[0].code == "lr_too_low"
    assert d.rate == "too_low"
    assert d.confidence == d.rates["too_low"] >= 0.9
    assert sum(d.rates.values()) == pytest.approx(1)


def test_the_steps_tell_a_rate_that_is_too_high():
    rng = np.random.default_rng(0)
    rough = 2.0 + 0.5 * np.abs(rng.standard_normal(1000))
    d = lrcore.diagnose(rough, stats=stats_of(0.3, -0.5))
    assert (d.verdict, d.rate) == ("lr_too_high", "too_high")


def test_from_the_loss_alone_the_rate_is_not_known():
    d = lrcore.diagnose(2.3 - 0.3 * T / 1000)
    assert (d.verdict, d.rate, d.rates) == ("inconclusive", "unknown", {})
    assert "still_falling" in [one.code for one in d.findings]
    flat = lrcore.diagnose(np.r_[np.linspace(2, 1, 200), np.ones(800)])
    assert flat.verdict == "inconclusive"
    assert "too high" in flat.findings[-1].text()


def test_a_loss_that_is_gone_has_converged():
    d = lrcore.diagnose(2.3 * np.exp(-T / 50) + 1e-3)
    assert d.verdict == "converged"


def test_a_loss_that_came_back_from_an_explosion_has_not_converged():
    rng = np.random.default_rng(0)
    loss = 2.3 + 0.1 * rng.standard_normal(1000)
    loss[1:40] = np.geomspace(1e5, 3, 39)
    d = lrcore.diagnose(loss)
    assert (d.verdict, d.findings[0].code) == ("inconclusive", "never_fell")
    assert 0.9 < d.findings[0].value < 1.1
    learnt = np.where(T < 300, loss, 0.01)
    assert lrcore.diagnose(learnt).verdict == "converged"


def test_an_explosion_at_the_start_is_no_descent():
    loss = 2.3 + 0.1 * np.random.default_rng(0).standard_normal(1000)
    burst = loss.copy()
    burst[1:40] = np.geomspace(1e5, 3, 39)
    for x in (loss, burst):
        assert lrcore.diagnose(x, stats=stats_of(0.1, 0.2)).rates["too_high"] > 0.8


def test_a_short_run_that_diverged_had_a_rate_that_is_too_high():
    d = lrcore.diagnose([2.0, 3.0, 50.0, INF])
    assert (d.verdict, d.rate) == ("diverged", "too_high")
    d = lrcore.diagnose([NAN, NAN])
    assert (d.verdict, d.rate) == ("diverged", "unknown")


@pytest.mark.parametrize("shift", [-3, -10, -20])
def test_a_loss_below_zero_can_diverge(shift):
    loss = falling(500)
    loss = np.r_[loss, loss[-1] + 0.05 * np.arange(500)] + shift
    d = lrcore.diagnose(loss)
    assert (d.verdict, d.findings[0].statistic) == ("diverged", "regained")
    assert d.findings[0].value > 1
    assert lrcore.diagnose(falling() + shift).verdict != "diverged"


@pytest.mark.parametrize(("last", "verdict"), [(2000, "diverged"), (100, "inconclusive")])
def test_an_explosion_late_in_a_long_run(last, verdict):
    loss = 1 + 0.05 * np.random.default_rng(0).standard_normal(300_000)
    loss[-last:] *= 50
    d = lrcore.diagnose(loss)
    assert d.verdict == verdict
    if verdict == "diverged":
        assert 298_000 <= d.findings[0].start < 298_000 + d.curve.width


def test_losses_of_any_size_are_read():
    for largest in (1e154, 1e300, 1.7e308):
        lrcore.diagnose(np.r_[falling(), np.full(300, largest)], stats=stats_of(0.0, 0.9, 1300))
        lrcore.diagnose(np.where(T % 2, largest, -largest), stats=stats_of(0.0, 0.9))


@pytest.mark.parametrize("every", [1, 2, 3, 7])
def test_a_rate_that_jumps_every_few_epochs(every):
    loss = 2 * np.exp(-np.arange(30) / 8) + 0.1
    d = lrcore.diagnose(loss, lrs=0.3 ** (np.arange(30) // every), val_losses=loss)
    assert d.findings[0].stop - d.findings[0].start > 10  # all of it is judged
    assert "rate_jumps" not in {one.code for one in d.findings}
    assert d.rate == "unknown"


def test_a_rate_near_zero_in_the_end_has_converged():
    lr = 0.1 * (1 + np.cos(np.pi * T / 1000))
    noise = 0.01 * np.random.default_rng(0).standard_normal(1000)
    loss = np.r_[np.geomspace(2, 0.2, 300), np.full(700, 0.2)] + noise
    d = lrcore.diagnose(loss, lrs=lr, stats=stats_of(0.02, 0.85))
    assert (d.verdict, d.rate) == ("converged", "good")
    d = lrcore.diagnose(loss, stats=stats_of(0.02, 0.85))
    assert (d.verdict, d.rate) == ("plateau", "good")


def test_after_a_jump_of_the_rate_the_rest_is_judged():
    lr = np.where(T < 500, 0.1, 0.01)
    loss = np.where(T < 500, 2.0, 1.0) + 0.01 * np.random.default_rng(0).standard_normal(1000)
    d = lrcore.diagnose(loss, lrs=lr)
    (note,) = [one for one in d.findings if one.code == "rate_jumps"]
    assert (note.start, note.stop) == (500, 1000)
    assert note.values["count"] == 1


# ----------------------------------------------------------------------------- bad input


def test_losses_that_are_no_numbers_are_a_finding():
    loss = falling()
    loss[700:] = NAN
    d = lrcore.diagnose(loss)
    assert (d.verdict, d.confidence) == ("diverged", 1.0)
    assert (d.findings[0].start, d.findings[0].value) == (700, 300)
    loss = falling(5000)
    loss[1200] = INF  # one in 5000, and it came back
    d = lrcore.diagnose(loss)
    assert d.verdict != "diverged"
    (one,) = [x for x in d.findings if x.code == "nonfinite"]
    assert one.values["first"] == 1200 // d.curve.width * d.curve.width


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        ([], "not_enough_data"),
        ([1.0], "not_enough_data"),
        (3.0, "not_enough_data"),
        ([1.0] * 99, "not_enough_data"),
        ([1.0] * 100, "inconclusive"),
        ([1.0, NAN], "diverged"),
        ([NAN] * 200, "diverged"),
        (np.arange(200), "diverged"),
        ([None] * 3, "diverged"),
        (np.float32([[1.0], [2.0]]), "not_enough_data"),
    ],
    ids=range(10),
)
def test_short_and_odd_runs(losses, verdict):
    d = lrcore.diagnose(losses)
    assert d.verdict == verdict
    assert str(d)
    assert json.loads(json.dumps(d.to_dict()))["verdict"] == verdict


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"losses": [1, "2"]}, TypeError, r"losses\[1\] must be a number, got '2'"),
        ({"losses": "12"}, TypeError, "losses must be a list of numbers, got '12'"),
        ({"losses": None}, TypeError, "losses must be a list of numbers, got None"),
        ({"losses": [1, True]}, TypeError, r"losses\[1\] must be a number, got True"),
        ({"losses": [1, 2j]}, TypeError, r"losses\[1\] must be a number, got 2j"),
        (
            {"losses": [[1, 2], [3, 4]]},
            ValueError,
            r"one dimension, got an array of shape \(2, 2\)",
        ),
        ({"losses": [1, 2], "lrs": [1]}, ValueError, "lrs must have as many .* 2, got 1"),
        ({"losses": [1], "val_losses": [1, 2]}, ValueError, "val_losses must have .* 1, got 2"),
        ({"losses": [1], "steps": [1, 2]}, ValueError, "steps must have as many .* 1, got 2"),
        ({"losses": [1, 2], "steps": [1, NAN]}, ValueError, r"steps\[1\] must be a finite number"),
        ({"losses": [1], "stats": {"cosine": [1]}}, ValueError, "stats must be of cos, .* cosine"),
        ({"losses": [1], "stats": {"cos": []}}, ValueError, "'cos'.* 1, got 0"),
        ({"losses": [1], "stats": 3}, TypeError, "stats must be a dict"),
        ({"losses": [1], "lang": "fr"}, ValueError, 'lang must be "en" or "zh", got \'fr\''),
        ({"losses": [1], "rule": 3}, TypeError, "rule must be an optimizer or its name, got 3"),
    ],
    ids=range(15),
)
def test_what_cannot_be_read_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        lrcore.diagnose(call.pop("losses"), **call)


def test_a_whole_number_beyond_all_floats_is_infinite():
    assert lrcore.diagnose([10**400] * 200).verdict == "diverged"
    assert numbers("losses", [10**400, -(10**400)]).tolist() == [math.inf, -math.inf]


def test_steps_are_sorted_and_the_last_of_equal_ones_counts():
    rng = np.random.default_rng(0)
    loss, order = falling(), rng.permutation(1000)
    steps = 10 * T
    plain = lrcore.diagnose(loss, steps=steps)
    mixed = lrcore.diagnose(
        np.r_[99.0, loss[order]], steps=np.r_[500, steps[order]], lrs=np.ones(1001)
    )
    assert np.array_equal(mixed.curve.loss, plain.curve.loss)
    codes = [one.code for one in mixed.findings]
    assert {"unsorted_steps", "repeated_steps"} <= set(codes)
    assert plain.findings[0].stop == 9991
    assert [one.code for one in plain.findings].count("gap") == 0


def test_gaps_are_a_finding():
    steps = np.r_[0:500, 3000:3500]
    d = lrcore.diagnose(falling(), steps=steps)
    (gap,) = [one for one in d.findings if one.code == "gap"]
    assert (gap.start, gap.stop) == (499, 3001)
    assert gap.values["longest"] == 2501
    assert "2,501" in gap.text()


def test_validation_as_pairs_is_that_beside_the_losses():
    data = synthetic.with_validation(np.random.default_rng(0), 1000, 0.5)
    at = np.flatnonzero(np.isfinite(data["val_losses"]))
    pairs = [(int(i), float(data["val_losses"][i])) for i in at]
    a = lrcore.diagnose(**data)
    for given in (pairs, np.array(pairs), dict(pairs)):
        b = lrcore.diagnose(data["losses"], val_losses=given)
        assert a.to_dict() == b.to_dict()
    out = lrcore.diagnose(data["losses"], val_losses=[*pairs, (5000, 1.0)])
    assert [one.values for one in out.findings if one.code == "outside_steps"] == [{"count": 1}]


def test_a_log_of_epochs_needs_ten():
    loss = np.exp(-np.arange(30) / 10) + 0.1
    assert lrcore.diagnose(loss).verdict == "not_enough_data"
    val = 0.5 + np.abs(np.arange(30) - 10) / 20
    assert lrcore.diagnose(loss, val_losses=val).verdict == "overfitting"
    assert lrcore.diagnose(loss[:9], val_losses=val[:9]).verdict == "not_enough_data"


def test_statistics_of_an_optimizer_are_read():
    w = np.zeros(3)
    opt = lrcore.SGD(w, lr=0.01, stats=True)
    losses, rows = [], []
    for _ in range(150):
        losses.append(float(((w - 1) ** 2).sum()))
        opt.step(2 * (w - 1))
        rows.append(opt.stats.total)
    d = lrcore.diagnose(losses, stats=rows, rule=opt)
    assert d.curve.cos[5] == pytest.approx(-1.0)
    assert d.rule == "SGD"
    assert d.rate != "unknown"


# ------------------------------------------------------------------------------ the parts


def test_the_result_is_plain_and_complete():
    d = lrcore.diagnose(falling(), stats=stats_of(-0.1, 0.9))
    assert d.verdict in VERDICTS
    plain = json.loads(json.dumps(d.to_dict()))
    assert plain["findings"][0]["text"] == d.findings[0].text()
    assert d.steps == 1000
    assert repr(d) == f"<Diagnosis {d.verdict} ({d.confidence:.2f}), 1000 updates>"


def test_scale_of_loss_and_length_of_bins_change_nothing():
    loss = falling()
    a, b = lrcore.diagnose(loss), lrcore.diagnose(1000 * loss)
    assert a.verdict == b.verdict
    for name in ("trend_z",):
        values = [[f.value for f in d.findings if f.statistic == name] for d in (a, b)]
        assert values[0] == pytest.approx(values[1])


def test_judging_a_curve_is_diagnosing_its_numbers():
    loss, stats = falling(), stats_of(-0.3, 0.99)
    curve = Curve()
    for part in np.split(T, [17, 400, 999]):
        curve.extend(loss[part], **{k: v[part] for k, v in stats.items()})
    assert judge(curve).to_dict() == lrcore.diagnose(loss, stats=stats).to_dict()


def test_weights_fit_the_inputs():
    for letters, rows in rate.WEIGHTS.items():
        assert [len(row) for row in rows] == [2 * len(rate.names_of(letters)) + 1] * 2
    middle = {name: bend for name, (bend, _) in rate.BENDS.items()}
    assert rate.kind_of(middle) == "lcgn"
    assert sum(rate.chances(middle).values()) == pytest.approx(1)
    assert rate.chances({}) == {}
    low, high = {**middle, "gain": -9.0, "cos": -0.8}, {**middle, "gain": 1.0, "cos": 0.5}
    assert rate.chances(low)["too_low"] > rate.chances(middle)["too_low"]
    assert rate.chances(high)["too_high"] > rate.chances(middle)["too_high"]
    assert rate.evidence(high, "too_high")[0][0] in ("gain", "cos")


def test_a_trend_in_noise_is_as_rare_as_its_null_says():
    rng = np.random.default_rng(0)
    z = []
    for _ in range(400):
        curve = Curve()
        curve.extend(synthetic.ar(rng, 400, 0.5))
        z.append(measures.trend(measures.Part(curve, 0, 400)).z)
    assert np.mean(np.abs(z) > 1.96) < 0.1
    assert 0.7 < np.std(z) < 1.3


def test_tails():
    assert measures.poisson_tail(3, 1.0) == pytest.approx(1 - math.exp(-1) * 2.5)
    assert measures.poisson_tail(0, 1.0) == 1.0
    assert measures.poisson_tail(260, 250.0) == pytest.approx(0.2728, abs=2e-3)
    assert measures.normal_tail(1.959964) == pytest.approx(0.025, abs=1e-6)
    assert measures.normal_score(2.228, 10) == pytest.approx(1.96, abs=0.02)
    assert measures.normal_score(-2.228, 10) == -measures.normal_score(2.228, 10)


def test_every_line_says_where_it_comes_from():
    for name, line in thresholds.TABLE.items():
        assert line.source in ("chosen", "null distribution", "synthetic curves", "real runs"), name
    used = Path(checks.__file__).read_text() + Path(measures.__file__).read_text()
    used += Path(rate.__file__).read_text()
    for name in thresholds.TABLE:
        assert f'"{name}"' in used or name.startswith(("usual_", "least_")), name


def test_a_million_losses_take_no_time():
    loss = falling(1_000_000)
    best = INF
    for _ in range(3):
        start = time.perf_counter()
        lrcore.diagnose(loss)
        best = min(best, time.perf_counter() - start)
    assert best < 2


@pytest.mark.parametrize(("cos", "gain", "rate"), [(-0.6, 1.0, "too_low"), (0.3, -0.2, "too_high")])
def test_a_loss_below_zero_is_judged_by_the_steps(cos, gain, rate):
    noise = 0.1 * np.random.default_rng(0).standard_normal(1000)
    loss = 1.0 - 3.0 * (1 - np.exp(-np.arange(1000) / 300)) + noise
    d = lrcore.diagnose(loss, stats={"cos": cos + noise, "gain": gain + noise})
    assert d.rate == rate
    assert d.verdict != "converged"
    assert set(lrcore.diagnose(loss, stats={"cos": cos + noise}).rates) == set(d.rates)
    assert lrcore.diagnose(loss).rate == "unknown"


@pytest.mark.parametrize("at", [620, 700, 850])
def test_a_divergence_begins_where_the_loss_rose(at):
    d = lrcore.diagnose(falling() + 1.5 * (at <= T))
    assert d.verdict == "diverged"
    assert abs(d.findings[0].start - at) <= 3


@pytest.mark.parametrize(
    ("cos", "gain", "clear"),
    [
        (0.05, 0.9, False),
        (-0.02, 0.85, False),
        (0.05, 0.5, True),
        (0.2, 0.9, True),
        (0.2, 1.0, False),
    ],
)
def test_too_high_is_claimed_where_one_of_two_says_so_clearly(cos, gain, clear):
    values = {"cos": cos, "gain": math.log(max(1 - gain, 1e-4))}
    assert rate.agree(values, "too_high") is clear
