"""What the rules are compared with: a module a family, each with its table CASES."""

from importlib import import_module
from pkgutil import iter_modules

__all__ = ["CASES"]

#: Every case of every module here but the harness.
CASES = [
    case
    for module in iter_modules(__path__)
    if module.name != "harness"
    for case in import_module(f"{__name__}.{module.name}").CASES
]
