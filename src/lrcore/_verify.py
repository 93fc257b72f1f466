"""Kernel against reference on this machine, bit for bit. Behind ``lrcore verify`` and the tests.

Cases come from tables (`_cases.py`), and from seeds that choose among all stages and formats there
are (`_combinations.py`). Each is computed once by the reference and once by each instruction set
and thread count.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._cases import SIZES, Case, Results, cases, has_bfloat16, main_cases, numbers, rules, variants
from ._combinations import Combination, Run, drawn, drawn_rows, formats

__all__ = [
    "SIZES",
    "Case",
    "Combination",
    "Run",
    "cases",
    "compare",
    "difference",
    "drawn",
    "drawn_rows",
    "formats",
    "has_bfloat16",
    "main_cases",
    "numbers",
    "reference",
    "run",
    "same_bits",
]

Array: TypeAlias = NDArray[Any]

#: Drawn cases of each rule in a run, and in a quick one; and those with gradients of some rows.
DRAWN, QUICK = 3, 1
ROWS, QUICK_ROWS = 40, 5


def reference(case: Case | Combination) -> Results:
    """What the NumPy reference makes of a case."""
    return case.results("numpy")


def same_bits(a: Array, b: Array) -> NDArray[np.bool_]:
    """Equal in every bit, or both NaN, whose payload no promise covers."""
    bits = f"u{a.itemsize}"
    with np.errstate(invalid="ignore"):
        both_nan = (a != a) & (b != b)
    same: NDArray[np.bool_] = (a.view(bits) == b.view(bits)) | both_nan
    return same


def difference(found: Results, expected: Results) -> str:
    """The first difference in words, or nothing."""
    assert found.keys() == expected.keys()
    for name, want in expected.items():
        same = same_bits(found[name], want)
        if not same.all():
            i = int(np.argmin(same))
            return (f"{name}: element {i} is {found[name][i]!r}, the reference has {want[i]!r} "
                    f"({int((~same).sum())} of {want.size} differ)")  # fmt: skip
    return ""


def compare(case: Case | Combination, expected: Results, isa: str, threads: int) -> str:
    """Compute a case in C; the first difference from `expected` in words, or nothing."""
    before = _core.get_isa(), _core.get_num_threads(), _core.get_parallel_from()
    _core.set_isa(isa)
    _core.set_num_threads(threads)
    _core.set_parallel_from(0)
    try:
        return difference(case.results("c"), expected)
    finally:
        _core.set_isa(before[0])
        _core.set_num_threads(before[1])
        _core.set_parallel_from(before[2])


def run(
    progress: Callable[[int, int], None] | None = None, quick: bool = False
) -> list[dict[str, Any]]:
    """Compare every rule, dtype and instruction set of this machine.

    Parameters
    ----------
    progress : callable, optional
        Called with the number of cases done and of all cases.
    quick : bool, default False
        Every rule with all its switches and everything on, and a drawn case of each, on one thread
        and two.

    Returns
    -------
    list of dict
        A row for each rule, dtype, instruction set and thread count: ``rule, dtype, isa, threads,
        n`` (numbers compared), ``ok`` and ``detail`` (the first difference in words). The dtype is
        "mixed" for combinations of formats and stages.
    """
    if quick:
        wild = (c for c in cases() if c.wild and c.option == "everything")
        fixed: Any = (c for c in wild if c.switches == max(variants(c.rule), key=len))
    else:
        fixed = chain(main_cases(), formats())
    todo = [
        *fixed,
        *map(drawn, range((QUICK if quick else DRAWN) * len(rules()))),
        *map(drawn_rows, range(QUICK_ROWS if quick else ROWS)),
    ]
    rows: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for done, case in enumerate(todo):
        expected = reference(case)
        for isa in _core.isas():
            for threads in (1, 2) if quick else (1, 2, 3):
                key = case.rule.rule, case.dtype, isa, threads
                names = ("rule", "dtype", "isa", "threads")
                new = {**dict(zip(names, key, strict=True)), "n": 0, "ok": True, "detail": ""}
                row = rows.setdefault(key, new)
                found = compare(case, expected, isa, threads)
                row["n"] += sum(a.size for a in expected.values())
                if found and row["ok"]:
                    row.update(ok=False, detail=f"{case}: {found}")
        if progress:
            progress(done + 1, len(todo))
    return list(rows.values())
