"""From a compiled function to lrcore: XLA's foreign-function interface, or else a host callback."""

from __future__ import annotations

import atexit
import os
import re
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .. import _core

__all__ = ["FFI", "call"]


def _version() -> tuple[int, int] | None:
    """The version of XLA's interface, which its header says; None: it cannot be known."""
    try:
        header = Path(jax.ffi.include_dir(), "xla", "ffi", "api", "c_api.h").read_text()
    except (AttributeError, OSError):
        return None
    found = [re.search(rf"#define XLA_FFI_API_{x} (\d+)", header) for x in ("MAJOR", "MINOR")]
    major, minor = (int(x[1]) if x else -1 for x in found)
    return major, minor


def _registered() -> bool:
    """Let XLA know the functions of ``_core``, where its interface is the one they are made for."""
    version = _version()
    if version is None or version[0] != 0 or version[1] < 0:
        return False
    for name, capsule in _core.handlers(version[1]).items():
        jax.ffi.register_ffi_target(name, capsule, platform="cpu")
    return True


#: Whether calls go through the foreign-function interface; otherwise through `jax.pure_callback`.
FFI = _registered()


@atexit.register
def _end(process: int = os.getpid()) -> None:
    """Leave no call to a thread of XLA's that needs the interpreter after its end.

    What is computed at the exit is not waited for by JAX, and a thread that then asks for Python
    never returns, for which the end of JAX's client waits in turn.
    """
    if os.getpid() != process:  # a fork, in which these threads are not
        return
    try:
        jax.effects_barrier()
    finally:  # also where an effect has failed, which is raised there
        while _core.end_calls():
            time.sleep(1e-3)


def call(
    target: str,
    key: int,
    host: Callable[..., Any],
    operands: Sequence[Any],
    results: Sequence[jax.ShapeDtypeStruct],
    aliases: dict[int, int],
    vmap_method: str,
) -> list[Any]:
    """Call a program by its key: `target` of ``_core``, or `host` on NumPy arrays, does the same.

    `aliases` says of operands in which result's memory they may lie.
    """
    if FFI:
        made = jax.ffi.ffi_call(
            target, results, vmap_method=vmap_method, input_output_aliases=aliases
        )(*operands, key=np.int64(key))
    else:
        made = jax.pure_callback(_flat(host), results, *operands, vmap_method=vmap_method)
    return list(made)


@cache
def _flat(host: Callable[..., Any]) -> Callable[..., Any]:
    """The function on NumPy arrays; one object for one function, so that JAX compiles it once."""

    def on_arrays(*operands: Any) -> Any:
        return host(*(np.asarray(x) for x in operands))

    return on_arrays
