"""Build and machine: environment variables, where the C library lies, what is in use."""

from __future__ import annotations

import os
from pathlib import Path

from . import _core

__all__ = ["apply_environment", "get_include", "get_library", "show_config"]


def apply_environment() -> None:
    """Take over LRCORE_ISA, and LRCORE_NUM_THREADS or else OMP_NUM_THREADS."""
    isa = os.environ.get("LRCORE_ISA")
    if isa:
        if isa not in _core.isas():
            raise ValueError(
                f"LRCORE_ISA must be one of {_core.isas()} on this machine, got {isa!r}"
            )
        _core.set_isa(isa)
    threads = os.environ.get("LRCORE_NUM_THREADS")
    if threads:
        if not _is_count(threads):
            raise ValueError(f"LRCORE_NUM_THREADS must be an integer >= 1, got {threads!r:.40}")
        _core.set_num_threads(int(threads))
        return
    openmp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if _is_count(openmp):  # otherwise not ours to complain about
        _core.set_num_threads(int(openmp))


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) <= 9 and int(text) >= 1


def get_include() -> str:
    """Return the folder of ``lrcore.h``, for a C compiler's ``-I``."""
    return str(Path(__file__).parent / "include")


def get_library() -> str:
    """Return the path of the static library, to be linked with ``-lpthread -lm``."""
    folder = Path(__file__).parent / "lib"
    found = [folder / name for name in ("liblrcore.a", "lrcore.lib") if (folder / name).exists()]
    if not found:
        raise FileNotFoundError(f"there is no static library in {folder}; reinstall lrcore")
    return str(found[0])


def show_config() -> dict[str, object]:
    """Return version, instruction sets, threads and build as a dict.

    Examples
    --------
    >>> sorted(show_config())
    ['compiler', 'flags', 'isa', 'isas', 'numpy', 'threads', 'version']
    """
    import numpy

    return {
        **_core.build_info(),
        "numpy": numpy.__version__,
        "isa": _core.get_isa(),
        "isas": _core.isas(),
        "threads": _core.get_num_threads(),
    }
