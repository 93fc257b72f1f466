"""A comparison in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .sweep_text import counted, number

if TYPE_CHECKING:
    from .comparison import Comparison

__all__ = ["notes", "table", "text"]


def notes(result: Comparison) -> tuple[str, ...]:
    """What to know before the ranking is trusted."""
    out = []
    if len(result.seeds) == 1:
        out.append(
            "One seed: the score is the lowest of the grid, which flatters, and nothing tells a "
            "difference from chance. Give five seeds or more."
        )
    sizes = {len(sweep.lrs) for sweep in result.sweeps.values()}
    if len(sizes) > 1:
        out.append("The grids differ in size: who tries more rates finds a better one.")
    for name, sweep in result.sweeps.items():
        out += [f"{name}: {note}" for note in sweep.notes if not note.startswith("One run")]
    return tuple(out)


def _to_first(result: Comparison, name: str) -> str:
    """The distance to the first of the ranking and its interval."""
    first = result.ranking[0]
    for d in result.differences:
        if (d.better, d.worse) == (first, name):
            if math.isnan(d.mean):
                return "-"
            if math.isnan(d.low):
                return f"{d.mean:+.3g}"
            return f"{d.mean:+.3g} [{d.low:+.3g}, {d.high:+.3g}]"
    return ""


def table(result: Comparison) -> str:
    """Rank, name, best rate, score, distance to the first."""
    width = max(9, *(len(name) for name in result.ranking))
    several = len(result.seeds) > 1
    head = f"{'rank':>4}  {'optimizer':<{width}} {'best rate':>10} {'score':>11}"
    head += f" {'std. error':>11}" if several else ""
    lines = [f"{head}  above the first" + (f" [{result.confidence:.0%}]" if several else "")]
    shared = {name for group in result.ties for name in group}
    for name in result.ranking:
        rank = f"{'=' if name in shared else ''}{result.ranks[name]}"
        score = result.scores[name]
        none = "failed" if result.sweeps[name].failures else "none yet"
        said = "diverged" if math.isinf(score) else none if math.isnan(score) else number(score)
        line = f"{rank:>4}  {name:<{width}} {number(result.sweeps[name].best):>10} {said:>11}"
        line += f" {number(result.errors[name]):>11}" if several else ""
        lines.append(f"{line}  {_to_first(result, name)}".rstrip())
    return "\n".join(lines)


def _answer(result: Comparison) -> str:
    """Who is ahead, in a sentence."""
    first = result.ranking[0]
    scored = [name for name in result.ranking if not math.isnan(result.scores[name])]
    if not math.isfinite(result.scores[first]):
        if result.interrupted and not scored:
            return "Too few runs were made to compare."
        return "Every optimizer diverged or failed."
    if len(result.sweeps) == 1:
        return f"{first} alone: nothing to compare it with."
    if len(scored) == 1:
        return f"{first} is the only one that has a score."
    if len(result.seeds) == 1:
        return f"{first} has the lowest score."
    equal = [name for name in scored if result.ranks[name] == 1]
    if len(equal) == 1:
        return f"{first} is better than the others over {len(result.seeds)} seeds."
    return (
        f"{', '.join(equal[:-1])} and {equal[-1]} are tied: over {len(result.seeds)} seeds their "
        "differences cannot be told from chance."
    )


def text(result: Comparison) -> str:
    """The table, who is ahead, and what to know before it is trusted."""
    runs = sum(len(sweep.runs) for sweep in result.sweeps.values())
    lines = [
        f"Comparison of {counted(len(result.sweeps), 'optimizer')} over "
        f"{counted(len(result.seeds), 'seed')}: {counted(runs, 'run')} in {result.seconds:.1f} s",
        "",
        table(result),
        "",
        _answer(result),
    ]
    if len(result.seeds) > 1:
        lines.append(
            "Each score is that of a seed at the rate which the other seeds chose, so that the "
            "choice of the rate is not counted as skill."
        )
    return "\n".join([*lines, *result.notes])
