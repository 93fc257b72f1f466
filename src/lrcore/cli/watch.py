"""``lrcore watch``: follow the log of a run, and say what it tells while it is being written."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrcore.cli import diagnose
from lrcore.cli._follow import Followed
from lrcore.cli._picture import RATIO_FOR_LOG
from lrcore.cli._say import Refusal
from lrcore.instruments import logs

if TYPE_CHECKING:
    from lrcore import Diagnosis

BLOCKS = "".join(chr(0x2581 + i) for i in range(8))  # from one eighth of a block to all of it
EVERY = 5.0  # seconds between two looks
PATIENCE = 4.0  # a look that takes t seconds is followed by at least 4 t of waiting


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "watch",
        help="follow the log of a run, and say what it tells",
        description="Follow a log while it is being written, and say what it tells about the "
        "learning rate. It need not be there yet. Ctrl-C ends it with the report.",
        epilog=diagnose.EPILOG,
    )
    diagnose.add_log_arguments(parser)
    group = parser.add_argument_group("how long")
    group.add_argument(
        "--every", type=_seconds, default=EVERY, metavar="SECONDS", help=f"(default: {EVERY:g})"
    )
    group.add_argument(
        "--until-diverged", action="store_true", help="end when the run has diverged"
    )
    group.add_argument(
        "--until-idle", type=_seconds, metavar="SECONDS", help="end when nothing new came so long"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Follow the file, then report."""
    if args.file == "-":
        raise Refusal("follows a file, not the standard input; give its name")
    if Path(args.file).is_dir():
        raise Refusal(f"{args.file}: is a directory; give the file of a log")
    watch = _Watch(args)
    with _screen() as show:
        try:
            watch.follow(show)
        except KeyboardInterrupt:
            print(file=sys.stderr)
    return watch.report()


class _Watch:
    """What is known of the run."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.rule = diagnose.rule(args)
        self.log: logs.Log | None = None
        self.found: Diagnosis | None = None
        self.trouble = ""

    def follow(self, show: Callable[[logs.Log, Diagnosis], None]) -> None:
        """Look again and again until there is a reason to end."""
        file = Followed(self.args.file)
        quiet_since = time.monotonic()
        while True:
            start = time.monotonic()
            new = self._look(file)
            for event in file.events:
                print(f"lrcore watch: {event}", file=sys.stderr, flush=True)
            file.events.clear()
            if new:
                quiet_since = time.monotonic()
                if self.log is not None and self.found is not None:
                    show(self.log, self.found)
            if self.args.until_diverged and self.found and self.found.verdict == "diverged":
                return
            idle = time.monotonic() - quiet_since
            if self.args.until_idle is not None and idle >= self.args.until_idle:
                return
            wait(max(self.args.every, PATIENCE * (time.monotonic() - start)))

    def _look(self, file: Followed) -> bool:
        """Read and judge what is new; trouble with a line is told once."""
        try:
            if not file.look() or not file.text.strip():
                return False
            self.log = logs.parse(file.text, source=self.args.file, **diagnose.columns(self.args))
        except logs.LogError as error:
            new = str(error) != self.trouble
            if new:
                print(f"lrcore watch: {error}", file=sys.stderr, flush=True)
            self.trouble = str(error)
            return new
        self.trouble = ""
        self.found = self.log.diagnose(rule=self.rule, lang=self.args.lang)
        return True

    def report(self) -> int:
        """Print the whole diagnosis, and return the exit status."""
        if self.log is None or self.found is None:
            if self.trouble:
                raise Refusal(f"nothing to report: {self.trouble}")
            print(f"lrcore watch: nothing to report: {self.args.file} has no losses yet")
            return diagnose.STATUS["not_enough_data"]
        print(f"{self.log.source}: {self.log}\n\n{self.found.text(self.args.lang)}")
        return diagnose.STATUS.get(self.found.verdict, diagnose.WARNING)


def wait(seconds: float) -> None:
    """Wait; a test waits otherwise."""
    time.sleep(seconds)


def line(log: logs.Log, found: Diagnosis) -> str:
    """Return the state of the run in one line."""
    count = len(log.losses)
    last = f"{log.unit} {log.steps[-1]:,}" if log.steps is not None and count else f"{count:,} rows"
    words = [last]
    if count:
        words.append(f"loss {log.losses[-1]:.4g}")
        if log.lrs is not None:
            words.append(f"lr {log.lrs[-1]:.3g}")
    return "  ".join([*words, f"{found.verdict} ({found.confidence:.0%} sure)"])


@contextmanager
def _screen() -> Iterator[Callable[[logs.Log, Diagnosis], None]]:
    """Give a function that shows the run: in place on a terminal, a line each when piped."""
    try:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text
    except ModuleNotFoundError:
        yield _print_line
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        yield _print_line
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:

        def show(log: logs.Log, found: Diagnosis) -> None:
            lines = [Text(line(log, found), style="bold"), Text(found.text())]
            if console.encoding.lower().startswith("utf"):
                lines.insert(1, Text(sparks(found.curve.loss, console.width - 1)))
            live.update(Group(*lines), refresh=True)

        yield show


def sparks(losses: NDArray[np.float64], width: int) -> str:
    """Return a curve as one line of blocks, the means of up to `width` parts; x where not finite.

    Examples
    --------
    >>> [BLOCKS.find(block) for block in sparks(np.array([4.0, 3.0, 2.0, np.nan, 0.5]), 5)]
    [7, 5, 3, -1, 0]
    """
    means = []
    for part in np.array_split(losses, min(width, len(losses)) or 1):
        finite = part[np.isfinite(part)]
        means.append(finite.mean() if len(finite) else np.nan)
    values = np.array(means)
    if not np.isfinite(values).any():
        return "x" * len(values)
    low, high = np.nanmin(values), np.nanmax(values)
    if low > 0 and high > RATIO_FOR_LOG * low:
        values, low, high = np.log(values), np.log(low), np.log(high)
    heights = (values - low) / ((high - low) or 1.0) * (len(BLOCKS) - 1)
    return "".join(BLOCKS[round(h)] if np.isfinite(h) else "x" for h in heights)


def _print_line(log: logs.Log, found: Diagnosis) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line(log, found)}", flush=True)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"must be seconds in (0, 1e6), got {text!r}")
    return value
