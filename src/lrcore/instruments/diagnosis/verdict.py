"""diagnose: from the losses, rates and statistics of a run to a verdict, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, words
from .curve import Curve
from .inputs import Given, read

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

__all__ = ["VERDICTS", "Diagnosis", "Finding", "diagnose"]

#: From the one that is said first, if several hold.
VERDICTS = (
    "not_enough_data",
    "diverged",
    "spiking",
    "lr_too_high",
    "oscillating",
    "lr_too_low",
    "overfitting",
    "plateau",
    "converged",
    "healthy",
    "inconclusive",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was found, with the number that says so.

    Attributes
    ----------
    code : str
        A verdict, or a note such as "gap", "repeated_steps", "still_falling".
    start, stop : int
        The steps [start, stop) it covers.
    statistic : str
        What was measured: "cos", "gain", "score", "trend_z", "level", "spike_rate", ...
    value, null, threshold : float
        What it is; what it would be for a healthy run; where the line is. NaN where a note has no
        such number.
    confidence : float
        From 0 to 1.
    values : dict
        What else the words need.
    """

    code: str
    start: int
    stop: int
    statistic: str
    value: float
    null: float
    threshold: float
    confidence: float
    values: dict[str, Any] = field(default_factory=dict)

    def text(self, lang: str = "en") -> str:
        """Say what, where, how sure and why.

        Parameters
        ----------
        lang : str, default "en"
            "en" or "zh".
        """
        return words.finding(self, lang)

    def advice(self, lang: str = "en") -> str:
        """Say what to do next; empty where there is nothing to do."""
        return words.advice(self, lang)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and lists; None for NaN."""
        keys = ("code", "start", "stop", "statistic", "value", "null", "threshold", "confidence")
        plain = {key: _plain(getattr(self, key)) for key in keys}
        return {**plain, "values": {k: _plain(v) for k, v in self.values.items()}}


class Diagnosis:
    """What `diagnose` and ``Monitor.report`` return.

    Attributes
    ----------
    verdict : str
        One of "diverged", "spiking", "lr_too_high", "lr_too_low", "oscillating", "plateau",
        "overfitting", "healthy", "converged", "not_enough_data", "inconclusive".
    confidence : float
        From 0 to 1: how often such a verdict was right where the truth is known.
    findings : tuple of Finding
        Everything found, what the verdict rests on first.
    rate : str
        "too_low", "good", "too_high", or "unknown" where the steps were not measured: the answer
        if one must be given.
    rates : dict
        The chances of "too_low", "good" and "too_high"; empty with "unknown".
    advice : str
        What to do next.
    steps : int
        Losses looked at.
    curve : Curve
        The run in bins.
    at : ndarray of float64 or None
        The number of each of the `steps` losses in a log; None: 0, 1, ...
    rule : str or None
        The optimizer's name, if it was told.
    """

    def __init__(
        self,
        verdict: str,
        confidence: float,
        findings: Sequence[Finding],
        curve: Curve,
        rates: Mapping[str, float] | None = None,
        lang: str = "en",
        at: NDArray[np.float64] | None = None,
        rule: str | None = None,
    ) -> None:
        self.rule = rule
        self.verdict = verdict
        self.confidence = confidence
        self.findings = tuple(findings)
        self.rates = dict(rates or {})
        self.rate = max(self.rates, key=self.rates.__getitem__) if self.rates else "unknown"
        self.curve = curve
        self.steps = curve.steps
        self.lang = lang
        self.at = at
        self.advice = words.next_step(self, lang)

    def text(self, lang: str | None = None) -> str:
        """Say the verdict, what it rests on, and what to do next, in a few lines.

        Parameters
        ----------
        lang : str, optional
            "en" or "zh"; None: that of the diagnosis.
        """
        return words.diagnosis(self, lang or self.lang)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Diagnosis {self.verdict} ({self.confidence:.2f}), {self.steps} updates>"

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and lists."""
        return {
            "verdict": self.verdict,
            "confidence": self.confidence,
            "rate": self.rate,
            "rates": self.rates,
            "rule": self.rule,
            "steps": self.steps,
            "advice": self.advice,
            "findings": [
                {**one.to_dict(), "text": one.text(self.lang), "advice": one.advice(self.lang)}
                for one in self.findings
            ],
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the run with its findings; see :func:`lrcore.plot.training`."""
        from ... import plot

        axes: Axes = plot.training(self, ax=ax)
        return axes


def diagnose(
    losses: ArrayLike,
    *,
    lrs: ArrayLike | None = None,
    val_losses: Any = None,
    stats: Any = None,
    steps: ArrayLike | None = None,
    rule: Any = None,
    lang: str = "en",
) -> Diagnosis:
    """Say what is wrong with a run, where, how surely and why; or that nothing is, or unknown.

    The loss alone shows whether a run diverges, spikes, falls or overfits. Whether the *rate* is
    too low or too high it seldom shows; `stats` does.

    Parameters
    ----------
    losses : array_like, shape (n,)
        The training loss of each update. inf and NaN are a finding.
    lrs : array_like, shape (n,), optional
        The learning rates.
    val_losses : array_like or list of pairs, optional
        Validation losses: n values, NaN where there is none, or pairs (step, value).
    stats : dict of array_like, or sequence of StepStats, optional
        What the steps did: any of "cos", "gain", "grad_norm", "step_norm", "param_norm", n values
        each, NaN where it was not measured.
    steps : array_like, shape (n,), optional
        The number of each update; they are sorted, and of equal ones the last is kept. Default:
        0, 1, ...
    rule : str, Optimizer or its class, optional
        The optimizer, for the report. The answer does not depend on it: what the steps did is
        compared in pure numbers that mean the same for every rule.
    lang : str, default "en"
        Of the words: "en" or "zh".

    Returns
    -------
    Diagnosis

    Raises
    ------
    TypeError, ValueError
        Something is not a number, or as long as something else.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> rng = np.random.default_rng(0)
    >>> t = np.arange(1000)
    >>> loss = 2 * np.exp(-t / 200) + 0.5 + 0.05 * rng.standard_normal(1000)
    >>> loss[700:] += 0.02 * (t[700:] - 700)
    >>> lrcore.diagnose(loss).verdict
    'diverged'
    """
    words.check(lang)
    _name(rule)
    given = read(losses, lrs, val_losses, stats, steps)
    curve = Curve()
    curve.extend(given.loss, given.lr, given.val_loss, **given.stats)
    return judge(curve, rule=rule, lang=lang, given=given)


def judge(
    curve: Curve, *, rule: Any = None, lang: str = "en", given: Given | None = None
) -> Diagnosis:
    """Return the diagnosis of a curve; `given` has the numbers of its steps, if it was a log's."""
    name = _name(rule)
    with np.errstate(over="ignore", invalid="ignore"):  # losses that explode
        verdict, confidence, found, rates = checks.all_of(curve)
    findings = [Finding(*one) for one in found]
    if given is not None:
        findings += [_note(code, values, curve.steps) for code, values in given.notes]
        if given.steps is not None and curve.steps:
            findings = [_placed(one, given) for one in findings]
    at = None if given is None else given.steps
    return Diagnosis(verdict, confidence, findings, curve, rates, lang, at, name)


def _name(rule: Any) -> str | None:
    """The name of an optimizer."""
    if rule is None or isinstance(rule, str):
        return rule
    kind = rule if isinstance(rule, type) else type(rule)
    if not hasattr(kind, "step"):
        raise TypeError(f"diagnose: rule must be an optimizer or its name, got {rule!r}")
    return kind.__name__


def _note(code: str, values: dict[str, Any], steps: int) -> Finding:
    """A finding about the log itself."""
    start, stop = (values["place"], values["place"] + 2) if "place" in values else (0, steps)
    return Finding(code, start, stop, "count", values["count"], 0.0, 0.0, 1.0, values)


def _placed(one: Finding, given: Given) -> Finding:
    """The finding with the steps of the log in place of the places in it."""
    assert given.steps is not None
    at, last = given.steps, len(given.steps) - 1
    values = dict(one.values)
    for key in ("first", "at") if one.code in ("nonfinite", "overfitting") else ():
        if key in values:
            values[key] = int(at[min(int(values[key]), last)])
    start = int(at[min(one.start, last)])
    stop = int(at[min(max(one.stop - 1, 0), last)]) + 1
    return replace(one, start=start, stop=stop, values=values)


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
