"""Curve: a run of any length in at most 2048 bins, the same however it arrives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Curve"]

Array = NDArray[np.float64]

CAPACITY = 2048  # bins; when so many are full, neighbours are joined
BLOCK = 1024  # updates that are put into bins together
PIECE = 64 * BLOCK  # of a long array, so many at a time
WINDOW = 128  # updates among which a spike stands out
#: A spike is so many robust standard deviations, and so many times the way from the median to the
#: ninth decile, above the median of its window; the second keeps heavy tails from counting.
SPIKE_SIGMA, SPIKE_TAIL = 6.0, 6.0
JUMP = 2.0  # a change of the rate from one update to the next by more than this begins a segment
GAIN_LIMIT = 4.0  # gain ratios are cut at this size: a few enormous ones would be all of a mean

STATS = ("cos", "gain", "grad_norm", "step_norm", "param_norm")
#: What comes in, update by update; NaN is "not measured".
FIELDS = ("loss", "lr", "val_loss", *STATS)
LOGS = ("lr", "grad_norm", "step_norm", "param_norm")  # of these the logarithm is averaged
#: What a bin keeps: sums, then moments and ends of the finite losses.
SUMS = (
    *("updates", "bad", "jumps", "spikes", "turns", "moves", "move2", "move_move"),
    *(f"{what}:{name}" for name in FIELDS[1:] for what in ("count", "sum")),
    "gain_negative",
)
ROWS = (*SUMS, "n", "mean", "m2", "low", "high")
ROW = {name: i for i, name in enumerate(ROWS)}
N, MEAN, M2, LOW, HIGH = (ROW[name] for name in ROWS[-5:])


class Curve:
    """Losses, rates and statistics of a run, in bins of equal width; constant memory.

    When all bins are full, neighbours are joined two by two. A bin is always the same tree of
    joins over the same updates, so a run fed in pieces gives the bits of one fed at once.

    Attributes
    ----------
    steps : int
        Updates seen.
    width : int
        Updates a bin, a power of 2; the last bin may hold fewer.

    Examples
    --------
    >>> import numpy as np
    >>> curve = Curve()
    >>> curve.extend(np.linspace(2, 1, 10_000), lrs=np.full(10_000, 0.1))
    >>> curve.steps, curve.width, len(curve), float(curve.lr[0].round(6))
    (10000, 8, 1250, 0.1)
    """

    def __init__(self) -> None:
        self.steps = 0
        self.width = 1
        self._bins = _nothing(0)  # full ones
        self._pending = _nothing(0)  # of BLOCK updates each, too few for a bin
        self._tail: Array = np.empty((len(FIELDS), 0))  # updates, too few for a block
        self._before: Array = np.full((2, 2), np.nan)  # loss and rate of the two before the tail
        self._view: Array | None = None

    def extend(
        self,
        losses: ArrayLike,
        lrs: ArrayLike | None = None,
        val_losses: ArrayLike | None = None,
        **stats: ArrayLike | None,
    ) -> None:
        """Add updates.

        Parameters
        ----------
        losses : array_like, shape (n,)
            The loss of each update; inf and NaN are counted, and left out of the means.
        lrs, val_losses : array_like, shape (n,), optional
            NaN where there is none.
        **stats : array_like, shape (n,)
            Any of "cos", "gain", "grad_norm", "step_norm", "param_norm"; NaN where not measured.

        Raises
        ------
        TypeError
            Of a statistic of another name.
        ValueError
            An array is not as long as `losses`.
        """
        loss = np.asarray(losses, np.float64).reshape(-1)
        rows = np.full((len(FIELDS), len(loss)), np.nan)
        rows[0] = loss
        for name, values in {"lr": lrs, "val_loss": val_losses, **stats}.items():
            if name not in FIELDS[1:]:
                raise TypeError(
                    f"Curve.extend: a statistic must be one of {', '.join(STATS)}, got {name!r}"
                )
            if values is not None:
                given = np.asarray(values, np.float64).reshape(-1)
                if len(given) != len(loss):
                    raise ValueError(
                        f"Curve.extend: {name} must have as many values as there are losses, "
                        f"{len(loss)}, got {len(given)}"
                    )
                rows[FIELDS.index(name)] = given
        self._view = None
        self.steps += len(loss)
        for start in range(0, len(loss), PIECE):
            self._add(rows[:, start : start + PIECE])

    def _add(self, rows: Array) -> None:
        """Put whole blocks into bins; the rest waits."""
        waiting = np.concatenate([self._tail, rows], axis=1)
        whole = waiting.shape[1] // BLOCK * BLOCK
        self._tail = waiting[:, whole:].copy()
        if not whole:
            return
        fresh, unit = _of_one_update(waiting[:, :whole], self._before), 1
        self._before = waiting[:2, whole - 2 : whole].copy()
        while True:
            while unit < min(self.width, BLOCK):
                fresh, unit = _joined(fresh), 2 * unit
            each = self.width // unit
            if each > 1:
                fresh = np.concatenate([self._pending, fresh], axis=1)
                self._pending = _nothing(0)
            full = each * min(CAPACITY - self._bins.shape[1], fresh.shape[1] // each)
            self._bins = np.concatenate([self._bins, _joined(fresh[:, :full], each)], axis=1)
            fresh = fresh[:, full:]
            if self._bins.shape[1] < CAPACITY:
                self._pending = fresh
                return
            self._bins, self.width = _joined(self._bins), 2 * self.width

    def _all(self) -> Array:
        """Every bin, the last of what is left over."""
        if self._view is None:
            unit = min(self.width, BLOCK)
            rest = self._pending
            if self._tail.shape[1]:
                tail = _of_one_update(self._tail, self._before)
                rest = np.concatenate([rest, _joined(_filled(tail, unit), unit)], axis=1)
            each = self.width // unit
            self._view = np.concatenate([self._bins, _joined(_filled(rest, each), each)], axis=1)
        return self._view

    def __len__(self) -> int:
        """Number of bins."""
        return int(self._all().shape[1])

    def __getitem__(self, name: str) -> Array:
        """A row of the bins, by its name in `ROWS`: sums and moments as they are kept."""
        row: Array = self._all()[ROW[name]]
        return row

    def mean(self, name: str) -> Array:
        """The mean of a field over the updates of each bin at which it was measured.

        Parameters
        ----------
        name : str
            "lr", "val_loss", "cos", "gain", "grad_norm", "step_norm" or "param_norm". Of rates
            and norms it is the geometric mean of those above 0.

        Returns
        -------
        ndarray, shape (bins,)
            NaN where it was never measured.
        """
        count = self[f"count:{name}"]
        with np.errstate(all="ignore"):
            mean = np.where(count > 0, self[f"sum:{name}"] / count, np.nan)
            return np.exp(mean) if name in LOGS else mean

    @property
    def start(self) -> NDArray[np.int64]:
        """The first update of each bin."""
        return np.arange(len(self)) * self.width

    @property
    def count(self) -> NDArray[np.int64]:
        """Updates in each bin."""
        return self["updates"].astype(np.int64)

    @property
    def loss(self) -> Array:
        """The mean of the finite losses of each bin; NaN where there is none."""
        return np.where(self["n"] > 0, self["mean"], np.nan)

    @property
    def low(self) -> Array:
        """The lowest finite loss of each bin."""
        return np.where(self["n"] > 0, self["low"], np.nan)

    @property
    def high(self) -> Array:
        """The highest finite loss of each bin."""
        return np.where(self["n"] > 0, self["high"], np.nan)

    @property
    def bad(self) -> NDArray[np.int64]:
        """Losses in each bin that are inf or NaN."""
        return self["bad"].astype(np.int64)

    @property
    def spikes(self) -> NDArray[np.int64]:
        """Spikes that begin in each bin."""
        return self["spikes"].astype(np.int64)

    @property
    def lr(self) -> Array:
        """The rate, a geometric mean over each bin."""
        return self.mean("lr")

    @property
    def val_loss(self) -> Array:
        """The validation loss, a mean over each bin."""
        return self.mean("val_loss")

    @property
    def cos(self) -> Array:
        """Mean cosine of gradient and previous step in each bin."""
        return self.mean("cos")

    @property
    def gain(self) -> Array:
        """Mean gain ratio in each bin, each cut at 4 on both sides."""
        return self.mean("gain")

    def to_dict(self) -> dict[str, Any]:
        """Return the bins as plain numbers and lists; None for what was not measured."""
        fields = ("loss", "low", "high", *FIELDS[1:])
        rows = {k: self.mean(k) if k in FIELDS[1:] else getattr(self, k) for k in fields}
        return {
            "steps": self.steps,
            "width": self.width,
            **{
                name: [float(x) if np.isfinite(x) else None for x in row]
                for name, row in rows.items()
                if np.isfinite(row).any() or name == "loss"
            },
        }

    def __repr__(self) -> str:
        return f"<Curve of {self.steps} updates in {len(self)} bins of {self.width}>"


def _nothing(bins: int) -> Array:
    """Return bins that hold nothing; a join with one of them changes nothing."""
    out = np.zeros((len(ROWS), bins))
    out[LOW], out[HIGH] = np.inf, -np.inf
    return out


def _filled(bins: Array, each: int) -> Array:
    """Return the bins, with empty ones behind them up to a multiple of `each`."""
    return np.concatenate([bins, _nothing(-bins.shape[1] % each)], axis=1)


def _joined(bins: Array, each: int = 2) -> Array:
    """Join every `each` neighbours, a power of 2, two by two."""
    while each > 1:
        a, b = bins[:, ::2], bins[:, 1::2]
        bins = a + b
        with np.errstate(all="ignore"):
            weight = b[N] / np.maximum(bins[N], 1)
            away = b[MEAN] - a[MEAN]
            # Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance".
            bins[MEAN] = a[MEAN] + away * weight
            bins[M2] += away * away * (a[N] * weight)
        bins[LOW] = np.minimum(a[LOW], b[LOW])
        bins[HIGH] = np.maximum(a[HIGH], b[HIGH])
        each //= 2
    return bins


def _of_one_update(rows: Array, before: Array) -> Array:
    """Return a bin for each update; `before` has loss and rate of the two before them."""
    loss, lr = rows[0], rows[1]
    bins = _nothing(len(loss))
    fine = np.isfinite(loss)
    bins[ROW["updates"]] = 1
    bins[ROW["bad"]] = ~fine
    bins[N] = fine
    bins[MEAN] = np.where(fine, loss, 0)
    bins[LOW, fine] = bins[HIGH, fine] = loss[fine]
    with np.errstate(all="ignore"):
        rates = np.log(np.concatenate([before[1, 1:], lr]))
        bins[ROW["jumps"]] = abs(np.diff(rates)) > np.log(JUMP)
        move = np.diff(np.concatenate([before[0], loss]))
        product, square = move[1:] * move[:-1], move[1:] * move[1:]
        seen = np.isfinite(product) & np.isfinite(square)
        bins[ROW["moves"]] = seen
        bins[ROW["turns"]] = seen & (product < 0)
        bins[ROW["move2"], seen] = square[seen]
        bins[ROW["move_move"], seen] = product[seen]
    bins[ROW["spikes"]] = _spikes(loss)
    for name, values in zip(FIELDS[1:], rows[1:], strict=True):
        with np.errstate(all="ignore"):
            used = np.log(values) if name in LOGS else values
        seen = np.isfinite(used)
        if name == "gain":
            used = np.clip(used, -GAIN_LIMIT, GAIN_LIMIT)
            bins[ROW["gain_negative"]] = seen & (used < 0)
        bins[ROW[f"count:{name}"]] = seen
        bins[ROW[f"sum:{name}"], seen] = used[seen]
    return bins


def _spikes(loss: Array) -> NDArray[np.bool_]:
    """Return where a spike begins, judged by its window of 128 updates (at least 64 finite)."""
    padded = np.full(-(-len(loss) // WINDOW) * WINDOW, np.nan)
    padded[: len(loss)] = np.where(np.isfinite(loss), loss, np.nan)
    windows = padded.reshape(-1, WINDOW)
    count = WINDOW - np.isnan(windows).sum(axis=1)
    # A fall within the window would count as spread: a line through its ends takes it out.
    ends = [_quantile(third, (~np.isnan(third)).sum(axis=1), 0.5) for third in _ends(windows)]
    with np.errstate(all="ignore"):  # losses that explode
        slope = np.nan_to_num((ends[1] - ends[0]) / (WINDOW - WINDOW // 3))
        windows = windows - slope * np.arange(WINDOW)
        middle = _quantile(windows, count, 0.5)
        spread = 1.4826 * _quantile(abs(windows - middle), count, 0.5)
        tail = _quantile(windows, count, 0.9) - middle
        high = windows > middle + np.maximum(SPIKE_SIGMA * spread, SPIKE_TAIL * tail)
    high &= (count >= WINDOW // 2)[:, None]
    above = high.reshape(-1)[: len(loss)]
    above[1:] &= ~above[:-1]
    return above


def _ends(windows: Array) -> tuple[Array, Array]:
    """The first and the last third of each window."""
    return windows[:, : WINDOW // 3], windows[:, WINDOW - WINDOW // 3 :]


def _quantile(rows: Array, count: NDArray[np.int64], share: float) -> Array:
    """Return a quantile of each row without its NaNs, as a column; the value just below it."""
    place = np.maximum(share * (count - 1), 0).astype(np.int64)
    return np.take_along_axis(np.sort(rows, axis=1), place[:, None], axis=1)
