"""A user's own table: CSV in, a task out, with every decision about the data put in words."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lrcore.tasks import _csv
from lrcore.tasks._network import (
    Network,
    class_scores,
    cross_entropy,
    half_mean_square,
    value_scores,
)
from lrcore.tasks._registry import need
from lrcore.tasks._task import Array, Data, DataError, Task

if TYPE_CHECKING:
    import pandas as pd

MIN_ROWS = 10
MAX_CLASSES = 100  # more different texts than this in a target are names, not classes
MAX_INTEGER_CLASSES = 20
MAX_CATEGORIES = 50  # more different texts than this in a column are left out
LARGEST = 1e30  # what is larger is taken for missing: its square is no float32
NO_NUMBER = f"no finite number up to {LARGEST:.0e}"
MOSTLY = 0.9  # a column of which this share reads as numbers is a column of numbers
UNNAMED = "Unnamed: "  # what pandas calls a column without a name, most often row numbers
HIDDEN_FROM_ROWS = 1000  # with fewer rows a linear model generalises better
USUAL_UPDATES = 3000


class Target(NamedTuple):
    """What to predict: class numbers or values, and in which way that was decided."""

    kind: str
    y: Array
    outputs: int
    why: str


class Columns(NamedTuple):
    """Inputs by what is done with them."""

    numbers: pd.DataFrame
    texts: pd.DataFrame
    notes: list[str]


def load(
    path: str | Path,
    target: str,
    *,
    kind: str = "auto",
    seed: int = 0,
    batch_size: int | None = None,
    hidden: int | None = None,
) -> Task:
    """Make a task of a CSV file; a fifth of the rows is held out.

    Text, true/false or few distinct integers in the target make a classification, anything
    else a regression. Numbers are standardised and their gaps filled with the median, both
    learned from the training rows alone; text becomes one column a category.

    Parameters
    ----------
    path : str or Path
        The file; its first line names the columns.
    target : str
        The column to predict.
    kind : {"auto", "classification", "regression"}
        Overrides what the target says.
    seed : int
        Chooses the held-out rows, the first parameters and the shuffling.
    batch_size : int, optional
        Rows per update; 32, or 256 from 10,000 training rows.
    hidden : int, optional
        Width of the hidden layer, 0 for a linear model, which is what fewer than 1,000
        training rows get; others get 64.

    Returns
    -------
    Task
        Ready to `fit`; its `notes` say what was decided.

    Raises
    ------
    DataError
        The table cannot be trained on.
    """
    need("pandas")
    need("sklearn")
    frame = _csv.read(path)
    values, gaps = _numbers_if_mostly(_csv.column(frame, target, path), path)
    known = values.notna()
    if known.sum() < MIN_ROWS:
        beyond = int(frame[target].notna().sum() - known.sum())
        why = f"; {beyond} hold {NO_NUMBER}" if beyond else ""
        raise DataError(
            f"{path}: at least {MIN_ROWS} rows with a value of {target!r} are needed, "
            f"there are {known.sum()}{why}"
        )
    goal = _decide_target(values[known], target, kind, path)
    columns = _sort_columns(frame.loc[known].drop(columns=target), path)
    if columns.numbers.empty and columns.texts.empty:
        raise DataError(f"{path}: no column to learn from: {'; '.join(columns.notes)}")
    notes = [goal.why, *columns.notes]
    if missing := int((~known).sum()):
        extra = f", {gaps} of them not a number" if gaps else ""
        notes.append(f"rows without {target}: {missing}{extra}, left out")
    train, test, spread = _split(columns, goal, seed)
    if hidden is None:
        small = len(train.y) < HIDDEN_FROM_ROWS
        hidden = 0 if small else 64
        notes.append("linear model, for few rows" if small else f"hidden layer of {hidden}")
    batch_size = batch_size or (256 if len(train.y) >= 10_000 else 32)
    return Task(
        name=f"{Path(path).name}, {target}",
        kind=goal.kind,
        model=_network(train.x.shape[1], hidden, goal, spread),
        train=train,
        test=test,
        batch_size=batch_size,
        epochs=max(5, -(-USUAL_UPDATES * batch_size // len(train.y))),
        seed=seed,
        notes=tuple(notes),
    )


def _network(inputs: int, hidden: int, goal: Target, spread: float) -> Network:
    sizes = (inputs, hidden, goal.outputs) if hidden else (inputs, goal.outputs)
    if goal.kind == "classification":
        return Network(sizes, cross_entropy, class_scores)
    return Network(sizes, half_mean_square, partial(_scores_in_units, spread))


def _scores_in_units(spread: float, z: Array, y: Array) -> dict[str, float]:
    """As `value_scores`, the root mean square error in the units of the user's target."""
    scores = value_scores(z, y)
    return {**scores, "rmse": spread * scores["rmse"]}


def _numbers_if_mostly(values: pd.Series, path: str | Path) -> tuple[pd.Series, int]:
    """Read a text column that is nearly all numbers as numbers; count what was not one."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(values):
        return values, 0
    if pd.api.types.is_numeric_dtype(values):
        return values.where(values.abs() < LARGEST), 0
    try:
        numbers = pd.to_numeric(values, errors="coerce")
    except OverflowError:  # digits alone, which pandas has read as an int of Python
        row = 1 + int(values.index[values.map(_is_beyond_float).to_numpy(bool)][0])
        raise DataError(
            f"{path}: {values.name!r} has a number too large for float64, the first in row {row}; "
            "mend it, or leave the field empty"
        ) from None
    numbers = numbers.where(numbers.abs() < LARGEST)
    filled = int(values.notna().sum())
    if filled and numbers.notna().sum() >= MOSTLY * filled:
        return numbers, filled - int(numbers.notna().sum())
    return values, 0


def _is_beyond_float(value: object) -> bool:
    return isinstance(value, int) and abs(value) > sys.float_info.max


def _decide_target(values: pd.Series, name: str, kind: str, path: str | Path) -> Target:
    import pandas as pd

    distinct = values.nunique()
    if distinct < 2:
        raise DataError(
            f"{path}: {name!r} is {values.iloc[0]!s} in every row, so there is nothing to learn; "
            "choose another target"
        )
    is_bool = pd.api.types.is_bool_dtype(values)
    is_text = not (is_bool or pd.api.types.is_numeric_dtype(values))
    few = min(MAX_INTEGER_CLASSES, len(values) // 5)
    if is_text:
        guess, why = "classification", f"{name} is text with {distinct} different values"
    elif is_bool:
        guess, why = "classification", f"{name} is true or false"
    elif distinct <= few and (values == values.round()).all():
        guess, why = "classification", f"{name} has {distinct} distinct integers"
    else:
        guess, why = "regression", f"{name} has {distinct} distinct numbers"
    if kind not in ("auto", guess):
        guess, why = kind, f"asked for ({why})"
    if guess == "regression":
        if is_text:
            raise DataError(f"{path}: {name!r} is text, so it cannot be a regression target")
        return Target(guess, values.to_numpy(np.float64), 1, f"regression: {why}")
    if distinct > min(MAX_CLASSES, len(values) // 2):
        raise DataError(
            f"{path}: {name!r} has {distinct} different values in {len(values)} rows, "
            "too many for classes; choose another target"
        )
    codes, classes = pd.factorize(values, sort=True)
    return Target(guess, codes, len(classes), f"classification: {why}")


def _sort_columns(frame: pd.DataFrame, path: str | Path) -> Columns:
    """Numbers, categories, and what is of no use, with a note on each thing done."""
    import pandas as pd

    numbers, texts, dropped, filled = {}, {}, [], []
    for number, name in enumerate(frame.columns, 1):
        values, junk = _numbers_if_mostly(frame[name], path)
        distinct = values.nunique()
        gaps = int(values.isna().sum())
        is_number = pd.api.types.is_numeric_dtype(values)  # true or false too
        if name.startswith(UNNAMED):
            dropped.append(f"column {number} (no name)")
        elif distinct == 0:
            dropped.append(f"{name} ({NO_NUMBER if frame[name].notna().any() else 'empty'})")
        elif distinct == 1 and (is_number or not gaps):
            dropped.append(f"{name} (always the same)")
        elif is_number:
            numbers[name] = values.astype(np.float64)
            if gaps:
                filled.append(f"{name} ({gaps}{f', {junk} not a number' if junk else ''})")
        elif distinct > min(MAX_CATEGORIES, len(values) // 2):
            dropped.append(f"{name} ({distinct} different texts)")
        else:
            texts[name] = values.astype(object).where(values.notna(), "(missing)").astype(str)
    notes = []
    if dropped:
        notes.append(f"left out: {', '.join(dropped)}")
    if filled:
        notes.append(f"gaps filled with the median: {', '.join(filled)}")
    if texts:
        one_hot = (f"{name} ({values.nunique()})" for name, values in texts.items())
        notes.append(f"text as one column a category: {', '.join(one_hot)}")
    return Columns(
        pd.DataFrame(numbers, index=frame.index), pd.DataFrame(texts, index=frame.index), notes
    )


def _split(columns: Columns, goal: Target, seed: int) -> tuple[Data, Data, float]:
    """Training rows, held-out rows, and the unit a regression target was divided by."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    stratify = None
    if goal.kind == "classification":
        fewest = np.bincount(goal.y).min()
        if fewest >= 2 and goal.outputs <= 0.2 * len(goal.y):
            stratify = goal.y
    x_train, x_test, y_train, y_test = train_test_split(
        columns.numbers.join(columns.texts),
        goal.y,
        test_size=0.2,
        random_state=seed,
        stratify=stratify,
    )
    prepare = make_column_transformer(
        (
            make_pipeline(
                SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
            ),
            list(columns.numbers.columns),
        ),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            list(columns.texts.columns),
        ),
    )
    inputs_train = prepare.fit_transform(x_train).astype(np.float32)
    inputs_test = prepare.transform(x_test).astype(np.float32)
    spread = 1.0
    if goal.kind == "regression":
        centre, spread = float(y_train.mean()), float(y_train.std()) or 1.0
        y_train = ((y_train - centre) / spread).astype(np.float32)
        y_test = ((y_test - centre) / spread).astype(np.float32)
    return Data(inputs_train, y_train), Data(inputs_test, y_test), spread
