"""The progress bar of a run; silent where nobody watches."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from lrcore.cli._jobs import Job
    from lrcore.tasks import Run

REFRESH_SECONDS = 0.05
RECENT = 20  # updates whose losses are averaged


class Bar:
    """Epoch, loss, rate and throughput of a run on a terminal; nothing when piped."""

    def __init__(self, job: Job, *, stderr: bool) -> None:
        console = Console(stderr=stderr)
        self._live = console.is_terminal
        self._epochs = job.epochs
        self._per_epoch = job.task.updates_per_epoch
        self._next = 0.0
        self._progress = Progress(
            TextColumn("[bold]{task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("lr {task.fields[lr]}"),
            TextColumn("{task.fields[speed]} samples/s"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            disable=not self._live,
        )
        self._id = self._progress.add_task(
            "", total=job.epochs * self._per_epoch, epoch="epoch 0", loss="-", lr="-", speed="-"
        )

    def __enter__(self) -> Bar:
        """Start to draw."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def show(self, run: Run) -> None:
        """Draw the run as it is now, at most twenty times a second and at the end."""
        updates = len(run.losses)
        now = monotonic()
        if not self._live or (now < self._next and updates < self._epochs * self._per_epoch):
            return
        self._next = now + REFRESH_SECONDS
        recent = run.losses[-RECENT:]
        self._progress.update(
            self._id,
            completed=updates,
            epoch=f"epoch {-(-updates // self._per_epoch)}/{self._epochs}",
            loss=f"{sum(recent) / len(recent):.3g}",
            lr=f"{run.lrs[-1]:.2e}",
            speed=f"{run.samples_per_second:,.0f}",
        )
