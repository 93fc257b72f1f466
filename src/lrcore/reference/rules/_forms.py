"""What the functions of a rule take."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

from numpy.typing import NDArray

__all__ = ["Array", "Names", "Pairs", "Seen"]

Array: TypeAlias = NDArray[Any]
#: Hyper-parameters, state or scalars by name.
Names: TypeAlias = SimpleNamespace
#: What is multiplied and added up, a pair a sum. None in place of the second: 1; of both: 0.
Pairs: TypeAlias = "list[tuple[Array, Array | None] | None]"


class Seen(NamedTuple):
    """What a rule's scalars are estimated from."""

    #: The number of the update, t = 1, 2, ...
    t: int
    #: How many elements the sums are over.
    n: int
    #: The loss that the step was given, its negative where a group maximizes; NaN without one.
    loss: float
    #: What the products of `measure` add up to, in float64.
    sums: Sequence[float]
    #: For scalars of a group: what they add up to over all groups together.
    all: Sequence[float] = ()
