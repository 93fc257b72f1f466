"""Whether a rate is too low, about right or too high: a small score of what the steps did.

Every input is a pure number, the same for a model and for one a thousand times larger. Each adds
to two scores, "too low" and "too high", along a line with one bend; the chances follow by the
logistic function. `bench/instruments/verdicts.py` fits the weights and measures the result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .curve import Curve
from .measures import Part
from .thresholds import LIMIT
from .weights import BENDS, WEIGHTS

__all__ = [
    "CLASSES",
    "INPUTS",
    "agree",
    "bent",
    "chances",
    "evidence",
    "inputs",
    "kind_of",
    "names_of",
]

CLASSES = ("too_low", "good", "too_high")
#: Name -> the ends it is cut at. Quarters are of the sum of the rates after the first 20th.
INPUTS = {
    # Always: from the loss.
    "drop": (-6.0, 2.0),  # log of the loss at the end, by that at the start
    "middle": (-2.0, 2.0),  # log of the loss in the third quarter, by that in the second
    "late": (-2.0, 2.0),  # log of the loss in the last quarter, by that in the third
    "early_high": (-2.0, 4.0),  # log of the highest loss of the first quarter, by that at the start
    # With the cosines: their mean, weighted by the rate.
    "cos": (-1.0, 1.0),
    # Below 0 where little was learnt, up to the end, and all steps led downhill: slow, not done.
    "slow": (-1.0, 0.0),
    # With the gain ratios: log of what they lack to 1, weighted by the rate.
    "gain": (-9.3, 1.7),
    # With the norms.
    "promise": (-30.0, 30.0),  # log of the sum of |gradient| |step|, by the loss at the start
    "grad_trend": (-3.0, 3.0),  # log of the gradients of the second quarter, by the first
    "stride": (-30.0, 30.0),  # log of a step, by the parameters, in the last quarter
}
#: Shares of the loss that are left: from the first on little was learnt, from the second nothing.
LEFT = (0.9, 1.0)
#: Shares of the fall that came in the second half: up to the first it was over before.
LATE = (0.1, 0.3)
#: A cosine of this size says all that it can.
CLEAR_COS = 0.1
LOSS = ("drop", "middle", "late", "early_high")
NORMS = ("promise", "grad_trend", "stride")


def kind_of(has: Mapping[str, float]) -> str:
    """Which weights fit what was measured: "l" loss, "c" cosine, "g" gain ratio, "n" norms."""
    of_letter = (("l", LOSS[0]), ("c", "cos"), ("g", "gain"))
    letters = "".join(letter for letter, name in of_letter if name in has)
    return letters + "n" if "c" in letters and all(name in has for name in NORMS) else letters


def inputs(curve: Curve, part: Part, start: float, last: float) -> dict[str, float]:
    """Return the inputs that were measured, over a part of a run.

    Parameters
    ----------
    curve : Curve
    part : Part
        Of it, after the first 20th.
    start, last : float
        Mean losses at the start and at the end of the run.

    Returns
    -------
    dict
        Without those that were not measured; empty if the part is of fewer than 8 bins. Of a loss
        that is not above 0 logarithms say nothing: cosine and gain ratio speak alone.
    """
    rates = curve.lr[part.first : part.last]
    rates = np.where(
        np.isfinite(rates), rates, np.nanmean(rates) if np.isfinite(rates).any() else 1
    )
    total = np.cumsum(rates)
    cuts = [int(np.searchsorted(total, share * total[-1])) for share in (0.25, 0.5, 0.75)]
    bins = part.last - part.first
    if bins < 8:
        return {}
    edges = [0, *(min(max(cut, i + 1), bins - 3 + i) for i, cut in enumerate(cuts)), bins]
    quarters = [Part(curve, part.first + a, part.first + b) for a, b in pairwise(edges)]
    level = [q.loss() for q in quarters]
    high = quarters[0].row("high").max()
    if min(start, last, *level, high) <= 0:
        return _of_steps(part, rates)
    out = {
        "drop": math.log(last / start),
        "middle": math.log(level[2] / level[1]),
        "late": math.log(level[3] / level[2]),
        "early_high": math.log(high / start),
    }
    out |= _of_steps(part, rates)
    if "cos" in out:
        little = _between(last / start, LEFT) * _steady(start - last, level, quarters[3])
        out["slow"] = little * min(max(out["cos"] / CLEAR_COS, -1.0), 0.0)
    with np.errstate(all="ignore"):
        grad, step = (
            part.row(f"sum:{k}") / part.row(f"count:{k}") for k in ("grad_norm", "step_norm")
        )
        product = np.exp(grad + step)
    if np.isfinite(product).any():
        out["promise"] = math.log(max(float(np.nanmean(product)) * part.steps / start, 1e-300))
        out["grad_trend"] = quarters[1].mean("grad_norm") - quarters[0].mean("grad_norm")
        out["stride"] = quarters[3].mean("step_norm") - quarters[3].mean("param_norm")
    out = {k: min(max(v, INPUTS[k][0]), INPUTS[k][1]) for k, v in out.items() if math.isfinite(v)}
    return out if all(k in out for k in LOSS) else {}  # sums of the largest numbers overflow


def _between(x: float, ends: tuple[float, float]) -> float:
    """How far `x` is from the first end to the second, in [0, 1]."""
    return min(max((x - ends[0]) / (ends[1] - ends[0]), 0.0), 1.0)


def _steady(fell: float, level: list[float], last: Part) -> float:
    """Whether the loss fell to the end, as far as its noise lets one see; 0 if it fell before.

    What was all learnt early is done, however little of the loss it was.
    """
    if fell <= 0:
        return 1.0
    means, _ = last.batches(most=10)
    noise = float(np.std(means)) / math.sqrt(len(means)) if len(means) else 0.0
    return _between((level[1] - level[3] + 2 * noise) / fell, LATE)


def _of_steps(part: Part, rates: NDArray[np.float64]) -> dict[str, float]:
    """Cosine and gain ratio, each bin weighted by its rate."""
    out = {}
    for name in ("cos", "gain"):
        weight = float((rates * part.row(f"count:{name}")).sum())
        if weight > 0:
            mean = float((rates * part.row(f"sum:{name}")).sum()) / weight
            out[name] = mean if name == "cos" else math.log(min(max(1 - mean, 1e-4), 5.0))
    return out


def bent(values: Mapping[str, float], names: tuple[str, ...]) -> list[float]:
    """What each input is below its bend, and above it, in its own unit; and a constant."""
    out = []
    for name in names:
        bend, unit = BENDS[name]
        away = (values[name] - bend) / unit
        out += [min(away, 0.0), max(away, 0.0)]
    return [*out, 1.0]


def names_of(kind: str) -> tuple[str, ...]:
    """The inputs of that kind, in the order of the weights."""
    of_letters = (("c", "cos"), ("lc", "slow"), ("g", "gain"))
    steps = tuple(name for letters, name in of_letters if set(letters) <= set(kind))
    return (*(LOSS if "l" in kind else ()), *steps, *(NORMS if "n" in kind else ()))


def chances(values: Mapping[str, float]) -> dict[str, float]:
    """The chances of "too_low", "good" and "too_high"; empty without inputs."""
    if not values:
        return {}
    kind = kind_of(values)
    terms = bent(values, names_of(kind))
    low, high = (_logistic(sum(map(_times, terms, w))) for w in WEIGHTS[kind])
    shares = (low * (1 - high), (1 - low) * (1 - high), high * (1 - low))
    total = sum(shares)
    return {name: share / total for name, share in zip(CLASSES, shares, strict=True)}


def agree(values: Mapping[str, float], side: str) -> bool:
    """Whether cosine and gain ratio, where measured, are on that side of their lines too.

    The score weighs everything; on runs unlike those it was fitted on, the loss could outweigh what
    the steps did, which is what a claim about the rate rests on.
    """
    cos, lack = values.get("cos"), values.get("gain")
    gain = None if lack is None else readable("gain", lack)
    if side == "too_low":
        return (cos is None or cos < LIMIT["cos_low"]) and (
            gain is None or gain > LIMIT["gain_line"]
        )
    if cos is None or gain is None:
        return (gain is None or gain < LIMIT["gain_line"]) and (
            cos is None or cos > LIMIT["cos_high"]
        )
    # Where both are known one of them must say so clearly: the loss of a run that goes on from a
    # trained model, flat from its start, looks like one that a high rate keeps from learning.
    clear = gain < LIMIT["gain_high"] or cos > LIMIT["cos_clear"]
    return clear and gain < LIMIT["gain_line"] and cos > LIMIT["cos_high"]


def evidence(values: Mapping[str, float], side: str) -> list[tuple[str, float, float]]:
    """The two inputs that speak most for "too_low" or "too_high": name, value, that of good runs.

    In the units a person reads: ratios for logarithms.
    """
    kind = kind_of(values)
    names = names_of(kind)
    weights = WEIGHTS[kind][0 if side == "too_low" else 1]
    terms = bent(values, names)
    added = {
        name: terms[2 * i] * weights[2 * i] + terms[2 * i + 1] * weights[2 * i + 1]
        for i, name in enumerate(names)
    }
    best = sorted(added, key=added.__getitem__, reverse=True)[:2]
    return [(name, readable(name, values[name]), readable(name, BENDS[name][0])) for name in best]


def readable(name: str, value: float) -> float:
    """An input in the units a person reads."""
    if name in ("cos", "slow"):
        return value
    return 1 - math.exp(value) if name == "gain" else math.exp(value)


def _times(a: float, b: float) -> float:
    return a * b


def _logistic(score: float) -> float:
    return 1 / (1 + math.exp(-min(max(score, -30.0), 30.0)))
