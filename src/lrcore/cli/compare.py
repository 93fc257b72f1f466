"""``lrcore compare``: several optimizers, each at the best rate of a small grid of its own."""

from __future__ import annotations

import argparse

from lrcore.cli import _choices, _jobs, _trials
from lrcore.cli._picture import check_output, save
from lrcore.cli._say import Refusal, need, print_json

USUAL = "SGD,AdamW"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "compare",
        help="compare optimizers, each at the best rate of its grid",
        description="Train a task with several optimizers at every rate of a grid each, and say "
        "which is better and how surely.",
        epilog="Ctrl-C stops and reports what was reached.",
    )
    _jobs.add_task_arguments(parser)
    parser.add_argument(
        "--optimizers", metavar="A,B,...", default=USUAL, help=f"(default: {USUAL})"
    )
    _trials.add_grid_arguments(parser)
    _jobs.add_optimizer_arguments(parser, rule=False, rate=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("-o", "--output", metavar="FILE.png", help="draw the scores over the rates")
    parser.set_defaults(run=run, lr=None, optimizer=None)


def run(args: argparse.Namespace) -> int:
    """Compare, then report."""
    import lrcore
    from lrcore.instruments import SweepError

    if args.output is not None:
        need("matplotlib", "compare")
        check_output(args.output)
    grids, job = _grids(args)
    seeds, score = _trials.seeds(args), _trials.score_of(job)
    total = sum(map(len, grids.values())) * len(seeds)
    if not args.json:
        print(
            f"{job.task.name}: {len(grids)} optimizers, {total} runs, {_jobs.SCORES[score]} after "
            f"{job.epochs} epochs",
            flush=True,
        )
    trial = _trials.Trial(_trials.plain(args), score)
    try:
        with (
            _trials.processes(args.jobs) as executor,
            _trials.counting("compare", total) as on_run,
        ):
            result = lrcore.compare(trial.of, grids, seeds=seeds, executor=executor, on_run=on_run)
    except SweepError as error:
        return _trials.failed("compare", error)
    if args.json:
        print_json({"task": job.task.name, "score": score, **result.to_dict()})
    else:
        print(f"\n{result}")
    if args.output:
        save(result.plot().figure, args.output)
    interrupted = any(sweep.interrupted for sweep in result.sweeps.values())
    return 130 if interrupted else 0


def _grids(args: argparse.Namespace) -> tuple[dict[str, tuple[float, ...]], _jobs.Job]:
    """Return the rates of each optimizer, and the job of the first."""
    names = args.optimizers.replace(",", " ").split()
    rules = [_choices.find_optimizer(name).__name__ for name in names]
    if len(set(rules)) < max(len(rules), 2):
        raise Refusal(f"--optimizers must name two or more, each once, got {args.optimizers!r}")
    jobs = {name: _trials.first_job(args, optimizer=name) for name in rules}
    grids = {name: _trials.grid(args, job.settings["lr"]) for name, job in jobs.items()}
    return grids, jobs[rules[0]]
