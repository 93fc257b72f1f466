"""``lrcore schedule``: which schedules there are, their pictures, their values at each update.

A schedule is named as lrcore names it, or, with ``--like PEER``, as the peer does.
"""

from __future__ import annotations

import argparse
import json
import math
from textwrap import fill
from typing import Any

import lrcore
from lrcore import schedules
from lrcore._describe import Description, describe, schedule_kinds
from lrcore.cli._choices import find
from lrcore.cli._like import PEERS, like, peers_own
from lrcore.cli._picture import STYLE, check_output
from lrcore.cli._say import Refusal, need, print_json, print_table

MOST = 100_000  # rows of a table


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "schedule",
        help="list, draw or tabulate learning-rate schedules, and those of other libraries",
        description="List, draw or tabulate learning-rate schedules.",
    )
    kinds = parser.add_subparsers(
        title="what to do", metavar="list | plot | table", dest="what", required=True
    )
    names = kinds.add_parser("list", help="every schedule with its formula and its defaults")
    names.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    names.set_defaults(run=_list)
    plot = kinds.add_parser(
        "plot",
        help="draw one",
        epilog="lrcore schedule plot cosine lr=0.1 steps=1000 warmup=50 -o cosine.png",
    )
    _add_schedule(plot, nargs="?")
    plot.add_argument("--all", action="store_true", help="draw every schedule, small, on one sheet")
    plot.add_argument("--log", action="store_true", help="logarithmic axis of the rate")
    plot.add_argument("-o", "--output", metavar="FILE.png", required=True, help="where to")
    plot.set_defaults(run=_plot)
    table = kinds.add_parser(
        "table",
        help="print the value of each update",
        epilog="lrcore schedule table cosine lr=1 steps=10 warmup=2 --like keras --like timm",
    )
    _add_schedule(table)
    table.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    table.set_defaults(run=_table)


def _add_schedule(parser: argparse.ArgumentParser, **options: Any) -> None:
    parser.add_argument("name", metavar="NAME", help="see lrcore schedule list", **options)
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="KEY=VALUE",
        help="such as lr=0.1, milestones=30,60 or milestones=30,",
    )
    parser.add_argument(
        "--steps", type=_length, metavar="N", help="updates (default: a few more than it takes)"
    )
    parser.add_argument(
        "--like",
        action="append",
        default=[],
        choices=PEERS,
        metavar="PEER",
        help=f"with the conventions of {', '.join(PEERS)}; NAME may be the peer's own",
    )


def _list(args: argparse.Namespace) -> int:
    rows = {kind: describe(cls) for kind, cls in schedule_kinds().items()}
    if args.json:
        print_json({kind: _facts(row) for kind, row in rows.items()})
        return 0
    named = [(kind.replace("_", "-"), row.signature, row.formula) for kind, row in rows.items()]
    print_table(("name", "in Python, with the defaults", "value at update t"), named)
    print("\nn = t - warmup, T = steps - warmup. All take warmup, warmup_start and warmup_shape.")
    return 0


def _facts(row: Description) -> dict[str, Any]:
    import inspect

    empty = inspect.Parameter.empty
    return {
        "class": row.name,
        "summary": row.summary,
        "formula": row.formula,
        "required": [name for name, default in row.arguments.items() if default is empty],
        "defaults": {name: d for name, d in row.arguments.items() if d is not empty},
        "source": row.source,
    }


def _plot(args: argparse.Namespace) -> int:
    need("matplotlib", "schedule")
    check_output(args.output)
    if args.all:
        if args.name:
            raise Refusal(f"plot: --all draws every schedule; leave {args.name} out")
        from lrcore.plot import gallery

        figure: Any = gallery()[0].figure
        figure.savefig(args.output)
        return 0
    if args.name is None:
        raise Refusal("plot: say which schedule to draw, or --all")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from lrcore import plot

    calls, curves = _schedules(args)
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
        axes = plot.schedule(curves, _steps(args, curves), figure.subplots(), log=args.log)
        axes.set_title(fill(next(iter(calls.values())), 100), loc="left", fontsize=11)
        figure.savefig(args.output)
    return 0


def _table(args: argparse.Namespace) -> int:
    calls, curves = _schedules(args)
    steps = _steps(args, curves)
    if steps > MOST:
        raise Refusal(f"table: --steps must be at most {MOST:,}, got {steps:,}")
    values = {who: curve(range(steps)).tolist() for who, curve in curves.items()}
    if args.json:
        made = {who: repr(curve) for who, curve in curves.items()}
        version = lrcore.__version__
        print_json({"lrcore": version, "calls": calls, "schedules": made, "values": values})
        return 0
    print_table(("", ""), list(calls.items()))
    print()
    rows = [
        (str(t), *(f"{value:.10g}" for value in row))
        for t, row in enumerate(zip(*values.values(), strict=True))
    ]
    print_table(("t", *values), rows, right=range(len(values) + 1))
    return 0


def _schedules(args: argparse.Namespace) -> tuple[dict[str, str], dict[str, lrcore.Schedule]]:
    """Return calls and schedules by who has them: lrcore and peers, or peers by their own name."""
    arguments: dict[str, Any] = {}
    for key, value in map(_argument, args.arguments):
        if key in arguments:
            raise Refusal(f"{key} is given twice")
        arguments[key] = value
    given = f"{args.name}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})"
    own = {peer: peers_own(peer, args.name, arguments) for peer in args.like}
    if any(own.values()):
        for peer, made in own.items():
            if made is None:
                raise Refusal(f"{peer} has no {args.name}")
        return dict.fromkeys(own, given), {peer: made for peer, made in own.items() if made}
    cls = find(schedule_kinds(), args.name, "schedule")
    curves = {"lrcore": _made(cls, arguments)}
    calls = {"lrcore": repr(curves["lrcore"])}
    for peer in args.like:
        calls[peer], curves[peer] = like(peer, args.name, arguments)
    return calls, curves


def _made(cls: type[lrcore.Schedule], arguments: dict[str, Any]) -> lrcore.Schedule:
    try:
        return cls.from_dict({"kind": cls.kind, **arguments})
    except (TypeError, ValueError) as error:
        raise Refusal(str(error)) from None


def _argument(text: str) -> tuple[str, Any]:
    """Read ``key=value``; a value is JSON, a list without brackets (30,60 or 30,) or a word."""
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise Refusal(f"an argument must be KEY=VALUE, such as lr=0.1, got {text!r}")
    plain = {"True": "true", "False": "false", "None": "null"}.get(value, value)
    is_list = "," in plain and plain[0] not in "[{"
    for read in (json.loads, float):
        try:
            return key, read(f"[{plain.rstrip(',')}]" if is_list else plain)
        except ValueError:
            continue
    return key, value


def _steps(args: argparse.Namespace, curves: dict[str, lrcore.Schedule]) -> int:
    """Return the number of updates to show: past the last position that a schedule names."""
    if args.steps is not None:
        return int(args.steps)
    last = max(map(_last, curves.values()))
    return last + 3 if last else 20


def _last(schedule: lrcore.Schedule) -> int:
    """Return the last position that a schedule, or one it is made of, names."""
    d = schedule.__dict__
    named = [d.get("steps", 0), d["warmup"], math.ceil(d.get("begin", 0) + d.get("length", 0))]
    lists = (d.get(name) for name in ("milestones", "boundaries", "positions"))
    named += [math.ceil(places[-1]) for places in lists if places]
    if isinstance(schedule, schedules.Join):
        starts = (0, *schedule.boundaries)
        named += [n + _last(part) for n, part in zip(starts, schedule.parts, strict=True)]
    named += [_last(part) for part in d.values() if isinstance(part, lrcore.Schedule)]
    return int(max(named))


def _length(text: str) -> int:
    """Read a number of updates."""
    if not text.isdecimal() or not 1 <= int(text) <= 2**31:
        raise argparse.ArgumentTypeError(f"must be an integer from 1, got {text!r}")
    return int(text)
