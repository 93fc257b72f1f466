"""Pictures: of a run, with loss above and learning rate below, and where they may go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcore.cli._say import Refusal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrcore.cli._jobs import Job
    from lrcore.tasks import Run

INK, BATCH, TRAIN, TEST = "#222222", "#c3d5e9", "#0b4f8a", "#b8480a"
SECOND = {
    "test_loss": "held-out data",
    "train_distance": "distance from the least-squares answer",
}
HEADLINES = {
    "test_bits": "{:.2f} bits a character on held-out data",
    "test_accuracy": "{:.1%} right on held-out data",
    "test_r2": "R\N{SUPERSCRIPT TWO} = {:.3f} on held-out data",
    "train_distance": "{:.1e} from the answer",
}
RATIO_FOR_LOG = 30.0  # ratio of largest to smallest loss from which a log axis shows more
STYLE: dict[Any, Any] = {
    "font.size": 12,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "text.color": INK,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "axes.formatter.use_mathtext": True,
}


def check_output(output: str) -> None:
    """Refuse a picture that could not be written, before any work is done."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    path = Path(output)
    if path.suffix[1:].lower() not in known:
        raise Refusal(f"-o {output}: no picture can be written as that; end the name in .png")
    if not path.absolute().parent.is_dir():
        raise Refusal(f"-o {output}: there is no directory {path.parent}")
    if path.is_dir():
        raise Refusal(f"-o {output}: is a directory")


def save(figure: Any, path: str) -> None:
    """Write a figure; the end of the name chooses the format."""
    figure.savefig(path, dpi=150)


def draw(job: Job, run: Run, path: str) -> None:
    """Write the picture to `path`; the end of the name chooses the format."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 5.2), dpi=150, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        _draw_losses(above, job, run)
        _draw_rates(below, run)
        figure.align_ylabels()
        figure.suptitle(_title(job, run), x=0.02, ha="left", fontsize=14, fontweight="bold")
        figure.savefig(path)


def _draw_losses(axes: Axes, job: Job, run: Run) -> None:
    losses = np.asarray(run.losses)
    updates = np.arange(1, len(losses) + 1)
    per_epoch = job.task.updates_per_epoch
    ends = np.minimum([row["epoch"] * per_epoch for row in run.history], len(losses))
    if per_epoch > 1:
        axes.plot(updates, losses, color=BATCH, lw=0.9, label="each batch")
    train = [row["train_loss"] for row in run.history]
    axes.plot(ends, train, color=TRAIN, lw=2.2, label="training data")
    for name, label in SECOND.items():
        if name in run.final:
            second = [row[name] for row in run.history]
            axes.plot(ends, second, color=TEST, lw=2.2, ls=(0, (4, 1.5)), label=label)
    seen = losses[np.isfinite(losses) & (losses > 0)]
    if len(seen) and seen.max() > RATIO_FOR_LOG * seen.min():
        axes.set_yscale("log")
    axes.set_ylabel("loss")
    axes.legend(ncols=3, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def _draw_rates(axes: Axes, run: Run) -> None:
    updates = np.arange(1, len(run.lrs) + 1)
    axes.fill_between(updates, run.lrs, color=INK, alpha=0.08, lw=0)
    axes.plot(updates, run.lrs, color=INK, lw=2)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("learning rate")
    axes.set_xlabel("update")
    axes.margins(x=0.01)
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter("{x:g}")


def _title(job: Job, run: Run) -> str:
    what = f"{job.task.name}, {job.settings['optimizer']}"
    for name, words in HEADLINES.items():
        if name in run.final:
            return f"{what}: {words.format(run.final[name])}"
    return what
