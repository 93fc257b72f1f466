"""``lrcore sweep``: train at every rate of a grid, and say which to use."""

from __future__ import annotations

import argparse

from lrcore.cli import _jobs, _trials
from lrcore.cli._picture import check_output, save
from lrcore.cli._say import need, print_json
from lrcore.instruments.trials.sweep_text import counted


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "sweep",
        help="train at every rate of a grid, and say which to use",
        description="Train a task at every learning rate of a grid with several seeds, and say "
        "which rate to use and how surely.",
        epilog="Ctrl-C stops and reports what was reached.",
    )
    _jobs.add_task_arguments(parser)
    _trials.add_grid_arguments(parser)
    _jobs.add_optimizer_arguments(parser, rate=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("-o", "--output", metavar="FILE.png", help="draw the scores over the rates")
    parser.set_defaults(run=run, lr=None)


def run(args: argparse.Namespace) -> int:
    """Sweep, then report."""
    import lrcore
    from lrcore.instruments import SweepError

    if args.output is not None:
        need("matplotlib", "sweep")
        check_output(args.output)
    job = _trials.first_job(args)
    lrs = _trials.grid(args, job.settings["lr"])
    seeds, score = _trials.seeds(args), _trials.score_of(job)
    if not args.json:
        print(
            f"{job.task.name}, {job.settings['optimizer']}: {counted(len(lrs), 'rate')} x "
            f"{counted(len(seeds), 'seed')}, {_jobs.SCORES[score]} after "
            f"{counted(job.epochs, 'epoch')}",
            flush=True,
        )
    trial = _trials.Trial(_trials.plain(args), score)
    try:
        with (
            _trials.processes(args.jobs) as executor,
            _trials.counting("sweep", len(lrs) * len(seeds)) as on_run,
        ):
            result = lrcore.lr_sweep(
                trial,
                lrs,
                seeds=seeds,
                executor=executor,
                initial=job.task.evaluate(job.params)[score],
                on_run=on_run,
            )
    except SweepError as error:
        return _trials.failed("sweep", error)
    if args.json:
        settings = {k: v for k, v in job.settings.items() if k not in ("lr", "seed", "schedule")}
        print_json({"task": job.task.name, **settings, "score": score, **result.to_dict()})
    else:
        print(f"\n{result}")
    if args.output:
        axes = lrcore.plot.sweep(result)
        axes.set_ylabel(_jobs.SCORES[score])
        save(axes.figure, args.output)
    return 130 if result.interrupted else int(not result.best > 0)
