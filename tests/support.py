"""What several tests need: tools that may not be there, and other processes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parent.parent


def missing(what: str) -> NoReturn:
    """Skip a test for want of something; fail it in CI, where nothing may be wanting."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"NOT TESTED: there is no {what} here")


def require(tool: str) -> str:
    """Return the path of a program."""
    path = shutil.which(tool)
    if path is None:
        missing(tool)
    return path


def run(*command: object, **options: object) -> str:
    """Run a program that must succeed without a word on stderr unless `stderr` says otherwise."""
    raise NotImplementedError
