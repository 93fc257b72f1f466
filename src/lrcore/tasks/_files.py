"""Data files inside other packages, which are found without being imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lrcore.tasks._registry import missing
from lrcore.tasks._task import DataError


def find(package: str, file: str, extra: str = "data") -> Path:
    """Return where `file`, with slashes, lies in the installed `package`.

    Raises
    ------
    ModuleNotFoundError
        The package is not installed; the message says which extra brings it.
    DataError
        It is, and has no such file.
    """
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise missing(package, extra)
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, file)
        if path.is_file():
            return path
    raise DataError(
        f"the installed {package} has no file {file}; install the release this was made with: "
        f'pip install --force-reinstall "lrcore[{extra}]"'
    )
