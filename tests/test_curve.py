"""Curve: bins of constant memory that are the same however a run arrives."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from lrcore.instruments.diagnosis.curve import BLOCK, CAPACITY, Curve


def run_of(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    loss = rng.lognormal(size=n)
    loss[rng.random(n) < 0.01] = np.nan
    loss[rng.random(n) < 0.002] = np.inf
    val, gain = np.full(n, np.nan), rng.normal(size=n)
    val[::50] = 1.0
    gain[::3] = np.nan
    lr = np.exp(rng.normal(size=n))
    return {
        "losses": loss,
        "lrs": lr,
        "val_losses": val,
        "cos": rng.uniform(-1, 1, n),
        "gain": gain,
    }


def fed(data: dict[str, np.ndarray], sizes: list[int]) -> Curve:
    curve, at = Curve(), 0
    n = len(data["losses"])
    while at < n:
        size = sizes[at % len(sizes)]
        curve.extend(**{k: v[at : at + size] for k, v in data.items()})
        at += size
    return curve


@pytest.mark.parametrize("n", [0, 1, 127, 1023, 1024, 1025, 2048, 5000, 150_000])
def test_pieces_give_the_bits_of_the_whole(n):
    data = run_of(n)
    whole = Curve()
    whole.extend(**data)
    small = fed(data, [1, 7, 300, 1024] if n < 6000 else [1000, 1024, 777, 90_000])
    assert whole.width == small.width
    assert np.array_equal(whole._all(), small._all())


def test_beyond_a_block_a_bin_too():
    n = 2 * CAPACITY * BLOCK + 12_345  # bins of more than a block
    loss = np.linspace(3, 1, n)
    whole, pieces = Curve(), Curve()
    whole.extend(loss)
    for part in np.array_split(loss, 7):
        pieces.extend(part)
    assert whole.width == 2 * BLOCK or whole.width == 4 * BLOCK
    assert np.array_equal(whole._all(), pieces._all())
    assert whole["n"].sum() == n
    assert len(whole) <= CAPACITY


@pytest.mark.parametrize("n", [1, 1000, 7000, 100_001])
def test_sums_and_moments_are_those_of_numpy(n):
    data = run_of(n, 1)
    curve = Curve()
    curve.extend(**data)
    fine = np.isfinite(data["losses"])
    loss = data["losses"][fine]
    assert curve.steps == n
    assert curve["updates"].sum() == n
    assert curve.bad.sum() == n - fine.sum()
    assert curve["n"] @ curve["mean"] / fine.sum() == pytest.approx(loss.mean())
    assert np.nanmin(curve.low) == loss.min()
    assert np.nanmax(curve.high) == loss.max()
    edges = np.arange(0, n, curve.width)
    for i in (0, len(edges) // 2, len(edges) - 1):
        piece = data["losses"][edges[i] : edges[i] + curve.width]
        piece = piece[np.isfinite(piece)]
        cos = data["cos"][edges[i] : edges[i] + curve.width]
        assert curve.cos[i] == pytest.approx(cos.mean())
        if len(piece):
            assert curve.loss[i] == pytest.approx(piece.mean())
            assert curve["m2"][i] == pytest.approx(piece.var() * len(piece), abs=1e-12)
    rate = np.exp(np.log(data["lrs"][: curve.width]).mean())
    assert curve.lr[0] == pytest.approx(rate)


def test_memory_is_constant():
    curve = Curve()
    sizes = []
    for _ in range(40):
        curve.extend(np.ones(20_000))
        sizes.append(len(pickle.dumps(curve)))
    assert max(sizes) < 1_200_000
    assert curve.steps == 800_000


def test_reading_changes_nothing():
    data = run_of(3000)
    a, b = fed(data, [500]), Curve()
    for start in range(0, 3000, 500):
        b.extend(**{k: v[start : start + 500] for k, v in data.items()})
        assert len(b.loss) == len(b)
        copied = copy.deepcopy(b)
        assert np.array_equal(copied._all(), b._all())
    assert np.array_equal(a._all(), b._all())


def test_what_is_not_measured_is_nan_or_none():
    curve = Curve()
    curve.extend([1.0, np.nan, 2.0], val_losses=[np.nan, np.nan, 3.0])
    assert np.isnan(curve.cos).all()
    assert np.isnan(curve.loss[1])
    plain = curve.to_dict()
    assert plain["loss"] == [1.0, None, 2.0]
    assert plain["val_loss"] == [None, None, 3.0]
    assert "cos" not in plain


def test_gain_ratios_are_cut():
    curve = Curve()
    curve.extend(np.ones(4), gain=[1e9, -1e9, 1.0, 1.0])
    assert curve.gain.sum() == 2.0
    assert curve["gain_negative"].sum() == 1


@pytest.mark.parametrize(
    ("draw", "most"),
    [("standard_normal", 0.0), ("exponential", 3e-4), ("student", 6e-4)],
)
def test_noise_has_few_spikes(draw, most):
    rng = np.random.default_rng(0)
    n = 200_000
    noise = rng.standard_t(4, size=n) if draw == "student" else getattr(rng, draw)(size=n)
    curve = Curve()
    curve.extend(noise)
    assert curve.spikes.sum() <= most * n


def test_spikes_are_counted_once_each():
    rng = np.random.default_rng(0)
    loss = 1 + 0.05 * rng.standard_normal(10_000)
    for at in range(100, 10_000, 200):
        loss[at : at + 3] = 4.0
    curve = Curve()
    curve.extend(loss)
    assert curve.spikes.sum() == len(range(100, 10_000, 200))


def test_swings_show_in_the_moves():
    curve = Curve()
    curve.extend((-1.0) ** np.arange(5000))
    assert curve["turns"].sum() == curve["moves"].sum() == 4998
    assert curve["move_move"].sum() == -curve["move2"].sum()


def test_jumps_of_the_rate():
    lr = np.full(3000, 0.1)
    lr[1024:] = 0.01  # at the edge of a block
    lr[2000:] = 0.011
    curve = Curve()
    curve.extend(np.ones(3000), lr)
    assert curve["jumps"].sum() == 1
    assert curve["jumps"][1024 // curve.width] == 1


def test_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match=r"a statistic must be one of cos, gain, .* got 'loss2'"):
        Curve().extend([1.0], loss2=[1.0])
    with pytest.raises(
        ValueError, match="lr must have as many values as there are losses, 2, got 1"
    ):
        Curve().extend([1.0, 2.0], [0.1])
