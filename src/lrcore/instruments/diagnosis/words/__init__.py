"""What a diagnosis says, by language: one table each, with the same keys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from . import en, zh

if TYPE_CHECKING:
    from ..verdict import Diagnosis, Finding

__all__ = ["LANGUAGES", "advice", "check", "diagnosis", "finding", "next_step"]

LANGUAGES: dict[str, Any] = {"en": en, "zh": zh}


def check(lang: str) -> str:
    """Return the language, or say which there are."""
    if lang not in LANGUAGES:
        known = " or ".join(f'"{name}"' for name in LANGUAGES)
        raise ValueError(f"diagnose: lang must be {known}, got {lang!r}")
    return lang


def number(value: Any) -> Any:
    """A number as a person writes it: three digits, thousands apart; words as they are."""
    if isinstance(value, float) and math.isfinite(value) and value == int(value) < 1e15:
        value = int(value) if abs(value) < 1e6 else value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else value


def finding(one: Finding, lang: str) -> str:
    """What, where, how sure and why."""
    table = LANGUAGES[check(lang)]
    values = _values(one, lang)
    long = one.stop - one.start
    where = "where_none" if long < 1 else "where_one" if long == 1 else "where"
    what = table.SPECIAL.get(f"{one.code} by {one.statistic}", table.TEXT[one.code])
    usual = table.USUAL.get(one.code) or table.USUAL.get(one.statistic) or table.USUAL[""]
    said = {
        "name": table.NAMES[one.code],
        "where": table.FRAME[where].format_map(values),
        "sure": _sure(one.confidence, lang),
        "what": what.format_map(values),
        "statistic": table.STATISTICS[one.statistic],
        "usual": usual.format_map({"null": number(one.null)}),
        **{key: number(getattr(one, key)) for key in ("value", "threshold")},
    }
    compared = one.statistic not in ("count", "steps") and not math.isnan(one.threshold)
    return str(table.FRAME["finding" if compared else "note"].format_map(said))


def advice(one: Finding, lang: str) -> str:
    """What to do next."""
    table = LANGUAGES[check(lang)]
    at_once = one.code == "diverged" and one.start == 0
    text = table.SPECIAL["diverged at once"] if at_once else table.ADVICE[one.code]
    return str(text.format_map(_values(one, lang)))


def next_step(whole: Diagnosis, lang: str) -> str:
    """What to do next: of the finding that the verdict rests on, or of the first that knows."""
    table = LANGUAGES[check(lang)]
    own = [one for one in whole.findings if one.code == whole.verdict]
    for one in own or whole.findings:
        if text := advice(one, lang):
            return text
    return str(table.ADVICE[whole.verdict])


def diagnosis(whole: Diagnosis, lang: str) -> str:
    """The verdict, what it rests on, and what to do next."""
    table = LANGUAGES[check(lang)]
    frame = table.FRAME
    values = {
        "name": table.NAMES[whole.verdict],
        "sure": _sure(whole.confidence, lang),
        "steps": number(whole.steps),
    }
    lines = [frame["verdict_one" if whole.steps == 1 else "verdict"].format_map(values)]
    lines += [f"- {finding(one, lang)}" for one in whole.findings]
    if not whole.findings:
        lines.append(frame["nothing"])
    if whole.rates:
        shares = {key: _percent(share) for key, share in whole.rates.items()}
        lines.append(frame["rate"].format_map(shares))
    lines.append(frame["advice"].format_map({"advice": next_step(whole, lang)}))
    return "\n".join(lines)


def _values(one: Finding, lang: str) -> dict[str, Any]:
    values = {key: number(value) for key, value in one.values.items()}
    if "evidence" in values:
        table = LANGUAGES[lang]
        said = table.AND.join(
            table.EVIDENCE[name].format_map({"value": number(value), "usual": number(usual)})
            for name, value, usual in one.values["evidence"]
        )
        values["evidence"] = said[:1].upper() + said[1:]
    return {"start": number(one.start), "stop": number(max(one.stop - 1, one.start)), **values}


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _sure(confidence: float, lang: str) -> str:
    frame = LANGUAGES[lang].FRAME
    if confidence >= 0.995:
        return str(frame["certain"])
    key = "very_sure" if confidence >= 0.9 else "sure" if confidence >= 0.7 else "unsure"
    return str(frame[key].format_map({"percent": _percent(confidence)}))
