"""How compiled code names what it calls: the same contents, the same key, in every process.

So a compiled function that JAX has kept on disk finds its program, and a program that is made twice
is known once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from .._schedule import Schedule

__all__ = ["key_of"]

#: For what no text describes: a function is that of this process.
_SALT = f"{os.getpid()} {time.time_ns()}"


def key_of(facts: list[Any], schedules: Iterable[Schedule] = ()) -> int:
    """A key of 64 bits. Those who keep it keep the schedules, too: functions go by their place."""
    functions = [id(part) for s in schedules for part in _functions(s)]
    text = repr((facts, _SALT, functions) if functions else facts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def _functions(s: Schedule) -> Iterable[Schedule]:
    """The schedules inside that are Python functions."""
    if s._callback is not None:
        yield s
    for part in s._parts:
        yield from _functions(part)
