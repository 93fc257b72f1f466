"""What the instruments see of a training: a verdict at its end, and a log while it runs."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from lrcore.cli._jobs import Job
from lrcore.cli._say import Refusal

if TYPE_CHECKING:
    from lrcore import Diagnosis
    from lrcore.tasks import Run

STATS = ("cos", "grad_norm")
COLUMNS = ("step", "loss", "lr", *STATS, "val_loss")
#: Four of so many steps are measured; in NumPy that takes longer than the step.
MEASURED = {"c": 1, "numpy": 64}


class Record:
    """Watches a training update by update.

    Attributes
    ----------
    monitor : lrcore.Monitor
        What makes the verdict.
    """

    def __init__(
        self, job: Job, file: TextIO | None = None, *, until_diverged: bool = False
    ) -> None:
        import lrcore

        every = MEASURED[job.settings["backend"]]
        self.monitor = lrcore.Monitor(job.opt, every=every, on_divergence="ignore")
        self._opt = job.opt
        self._until_diverged = until_diverged
        self._scored = 0  # evaluations seen
        self._file = file
        self._writer = None if file is None else csv.writer(file, lineterminator="\n")
        self._row: list[Any] = list(COLUMNS)

    @property
    def ended(self) -> bool:
        """Whether it ended the run, since that has diverged."""
        return self._until_diverged and self.monitor.stop

    def on_step(self, run: Run) -> bool:
        """Take the last update of a run; return whether that is to end."""
        self._take_scores(run)
        self._write()
        loss = run.losses[-1]
        self.monitor.update(loss)
        if self._writer is not None:
            stats = self._opt.stats if self.monitor.measured else None
            cells = ["" if stats is None else _cell(getattr(stats, name)) for name in STATS]
            self._row = [len(run.losses), repr(loss), repr(run.lrs[-1]), *cells, ""]
        return self.ended

    def report(self, run: Run) -> Diagnosis:
        """Return the verdict on a run that has ended."""
        self._take_scores(run)
        self._write()
        self.monitor.close()
        return self.monitor.report()

    def _take_scores(self, run: Run) -> None:
        """Put the loss on held-out data, if there is a new one, beside the update before it."""
        if len(run.history) == self._scored:
            return
        self._scored = len(run.history)
        held_out = run.history[-1].get("test_loss")
        if held_out is not None and self.monitor.steps:
            self.monitor.on_epoch_end(self._scored, {"val_loss": held_out})
            self._row[-1] = _cell(held_out)
        if self._file is not None:
            self._file.flush()  # once an epoch, for those who watch

    def _write(self) -> None:
        if self._writer is not None:
            self._writer.writerow(self._row)


def _cell(value: float) -> str:
    """Return a number as a field of the log; one that was not measured is empty."""
    return "" if math.isnan(value) else repr(value)


@contextmanager
def log_file(path: str | None) -> Iterator[TextIO | None]:
    """Give a file for the log; None if none is wanted."""
    if path is None:
        yield None
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(path).open("w", encoding="utf-8", newline=""))
        except OSError as error:
            raise Refusal(f"--log {path}: cannot be written ({error.strerror})") from None
        yield file


def held_out_losses(job: Job, run: Run) -> list[tuple[int, float]]:
    """Return the losses on held-out data as pairs (update, loss)."""
    each, last = job.task.updates_per_epoch, max(len(run.losses) - 1, 0)
    return [
        (min(int(row["epoch"]) * each, last), row["test_loss"])
        for row in run.history
        if "test_loss" in row
    ]


def page_parts(job: Job, run: Run, found: Diagnosis, extra: dict[str, Any]) -> dict[str, Any]:
    """Return what the page of a training shows."""
    return {
        "diagnosis": found,
        "losses": run.losses,
        "lrs": run.lrs,
        "val_losses": held_out_losses(job, run) or None,
        "numbers": {"updates": len(run.losses), **run.final},
        "settings": job.settings,
        **extra,
    }
