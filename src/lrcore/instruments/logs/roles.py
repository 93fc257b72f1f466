"""What the columns of a training log are, told from their names.

The names are those that Keras, Lightning, Hugging Face, Weights & Biases, TensorBoard and loops
written by hand give: words in any case, joined by anything, `train_loss` as well as ``Loss/train``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

__all__ = ["ROLES", "STATS", "candidates", "choose", "listed", "near", "words"]

STATS = ("grad_norm", "step_norm", "param_norm", "cos", "gain")
#: What a column may be, in the order in which it is told.
ROLES = ("loss", "lr", "val_loss", "step", "epoch", *STATS)

LOSS = {"loss", "losses", "cost", "objective", "nll", "criterion"}
TRAIN = {"train", "training", "tr", "trn", "trainer", "fit"}
HELD_OUT = {"val", "valid", "validation", "eval", "evaluation", "dev", "heldout", "holdout"}
TEST = {"test", "testing"}
#: Words that do not change what a column is.
PLAIN = {"batch", "step", "iter", "iteration", "running", "log", "logs", "metric", "metrics"}
PLAIN |= {"current", "value", "total", "global", "l2", "raw", "history"}
#: Words of a summary: the same thing, but a column without them is preferred.
SUMMARY = {"epoch", "avg", "average", "mean", "smooth", "smoothed", "ema", "final"}
#: Words that make something else of a loss or a rate.
OTHER = {"scale", "scaler", "weight", "coef", "coefficient", "ratio", "std", "var", "min", "max"}
OTHER |= {"delta", "change", "seconds", "time", "factor", "sensitivity"}
STEPS = (
    ("global step", "trainer global step", "num updates", "total steps"),
    ("step", "steps", "update", "updates", "iter", "iters", "iteration", "iterations", "it"),
    ("batch", "batches", "batch idx", "i", "n iter", "t"),
)
NAMES = {
    "grad_norm": ({"grad", "norm"}, {"gradient", "norm"}, {"gnorm"}, {"gradnorm"}),
    "step_norm": ({"step", "norm"}, {"update", "norm"}),
    "param_norm": (
        {"param", "norm"},
        {"params", "norm"},
        {"weight", "norm"},
        {"parameter", "norm"},
    ),
    "cos": ({"cos"}, {"cosine"}),
    "gain": ({"gain"}, {"gain", "ratio"}),
}
RARE = 10  # ranks from here on are taken only where nothing else fits


def words(name: str) -> tuple[str, ...]:
    """Return the lower-case words of a column's name; what a run is called is left out.

    Examples
    --------
    >>> words("Train Loss"), words("valLoss"), words("brave-dew-7 - eval/loss")
    (('train', 'loss'), ('val', 'loss'), ('eval', 'loss'))
    """
    name = name.rpartition(" - ")[2]
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    found = [word for word in re.split(r"[\W_]+", name.lower()) if word]
    split: list[str] = []
    for word in found:
        stem = word.removesuffix("loss")
        split += [stem, "loss"] if stem != word and stem in TRAIN | HELD_OUT | TEST else [word]
    return tuple(split)


def candidates(names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return for each role the columns that may have it, with a rank: the lower, the likelier.

    Examples
    --------
    >>> found = candidates(["epoch", "loss", "val_loss", "lr", "accuracy"])
    >>> found["loss"], found["val_loss"], found["lr"], found["step"]
    ({'loss': 0}, {'val_loss': 0}, {'lr': 0}, {})
    """
    found: dict[str, dict[str, int]] = {role: {} for role in ROLES}
    plain = {name.strip().lower() for name in names}
    for name in names:
        for role in ROLES:
            rank = _rank(role, words(name))
            if rank is not None:
                found[role][name] = rank
        if name.strip().lower() == "value" and {"step", "wall time"} & plain:
            found["loss"][name] = 1  # TensorBoard's export
    return found


def choose(ranks: Mapping[str, int], counts: Mapping[str, int]) -> str | None:
    """Return the column with most values among the likely ones; None if that is not clear."""
    likely = [name for name, rank in ranks.items() if rank < RARE and counts[name]]
    if likely:
        return min(likely, key=lambda name: (-counts[name], ranks[name]))
    rare = [name for name in ranks if counts[name]]
    return rare[0] if len(rare) == 1 else None


def near(name: str, names: Sequence[str]) -> list[str]:
    """Return the names most like `name`: the same but for case, or with nearly its letters."""
    same = [known for known in names if known.strip().lower() == name.strip().lower()]
    return same or difflib.get_close_matches(name, names, n=3, cutoff=0.5)


def listed(names: Sequence[str], joint: str = ", ", most: int = 20) -> str:
    """Return the names in quotes, the first `most` of them.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = joint.join(repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _rank(role: str, found: tuple[str, ...]) -> int | None:
    if role in ("loss", "val_loss"):
        return _rank_loss(role, set(found))
    if role == "lr":
        return _rank_lr(found)
    if role == "step":
        text = " ".join(found)
        bare = " ".join(word for word in found if word not in TRAIN) or text
        ranks = (i for i, group in enumerate(STEPS) if text in group or bare in group)
        return next(ranks, None)
    if role == "epoch":
        return 0 if found in (("epoch",), ("epochs",), ("ep",), ("train", "epoch")) else None
    bare_words = set(found) - TRAIN
    kept = bare_words - {"global", "total", "l2", "mean"}
    return 0 if bare_words in NAMES[role] or kept in NAMES[role] else None


def _rank_loss(role: str, found: set[str]) -> int | None:
    if not found & LOSS or found & OTHER:
        return None
    held_out = found & (HELD_OUT | TEST)
    if bool(held_out) != (role == "val_loss"):
        return None
    rest = found - LOSS - TRAIN - HELD_OUT - TEST - PLAIN
    rank = 1 if rest & SUMMARY else 0
    if rest - SUMMARY:
        rank += RARE
    return rank + (2 if found & TEST else 0)


def _rank_lr(found: tuple[str, ...]) -> int | None:
    text = " ".join(found)
    if set(found) & OTHER:
        return None
    if "lr" in found or "learning rate" in text or "learningrate" in found:
        return 0
    return RARE if found in (("eta",), ("rate",), ("step", "size")) else None
