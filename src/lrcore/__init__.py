"""The step from gradient to new parameters: update rules and learning-rate schedules in C.

Every step and every schedule value equals, bit for bit, a readable NumPy reference, on every
instruction set, thread count and platform.

Examples
--------
>>> import numpy as np, lrcore
>>> from lrcore import schedules
>>> params = {"w": np.zeros((784, 10), np.float32), "b": np.zeros(10, np.float32)}
>>> opt = lrcore.AdamW(params, lr=schedules.Cosine(1e-3, steps=10_000, warmup=500), clip_norm=1.0)
>>> opt.step({"w": np.ones((784, 10), np.float32), "b": None})
True
"""

from typing import TYPE_CHECKING

from . import _config, optimizers, schedules
from ._config import get_include, get_library, show_config
from ._core import (
    NonFiniteError,
    build_info,
    get_isa,
    get_num_threads,
    isas,
    set_isa,
    set_num_threads,
)
from ._optimizer import Optimizer, ParamGroup
from ._optimizer.masks import layerwise, matrices_only
from ._rows import RowGrad
from ._schedule import Schedule
from .optimizers import *

__version__ = build_info()["version"]

#: What a plain `import lrcore` need not pay for: name -> module.
_LATER = {
    "AGC": "options",
    "EMA": "averages",
    "SWA": "averages",
    "Lookahead": "averages",
    "LossScaler": "options",
    "Stats": "_optimizer.stats",
    "StepStats": "_optimizer.stats",
    "Diagnosis": "instruments.diagnosis.verdict",
    "Finding": "instruments.diagnosis.verdict",
    "LRFindResult": "instruments.finder.find",
    "LRFinder": "instruments.finder.finder",
    "Monitor": "instruments.diagnosis.monitor",
    "compare": "instruments.trials.comparison",
    "cross_validate_lr": "instruments.trials.folds",
    "diagnose": "instruments.diagnosis.verdict",
    "lr_find": "instruments.finder.find",
    "lr_range_test": "instruments.finder.find",
    "lr_sweep": "instruments.trials.sweep",
    "probe_lr": "instruments.trials.probe",
}
_MODULES = (
    "averages",
    "callbacks",
    "functional",
    "instruments",
    "options",
    "plot",
    "reference",
    "report",
)
#: Those that need a framework, which may not be there.
_ADAPTERS = ("keras", "optax", "torch")

if TYPE_CHECKING:
    from ._optimizer.stats import Stats, StepStats
    from .averages import EMA, SWA, Lookahead
    from .instruments.diagnosis.monitor import Monitor
    from .instruments.diagnosis.verdict import Diagnosis, Finding, diagnose
    from .instruments.finder.find import LRFindResult, lr_find, lr_range_test
    from .instruments.finder.finder import LRFinder
    from .instruments.trials.comparison import compare
    from .instruments.trials.folds import cross_validate_lr
    from .instruments.trials.probe import probe_lr
    from .instruments.trials.sweep import lr_sweep
    from .options import AGC, LossScaler

__all__ = [
    "AGC",
    "EMA",
    "SWA",
    "Diagnosis",
    "Finding",
    "LRFindResult",
    "LRFinder",
    "Lookahead",
    "LossScaler",
    "Monitor",
    "NonFiniteError",
    "Optimizer",
    "ParamGroup",
    "RowGrad",
    "Schedule",
    "Stats",
    "StepStats",
    "averages",
    "callbacks",
    "compare",
    "cross_validate_lr",
    "diagnose",
    "functional",
    "get_include",
    "get_isa",
    "get_library",
    "get_num_threads",
    "instruments",
    "isas",
    "layerwise",
    "lr_find",
    "lr_range_test",
    "lr_sweep",
    "matrices_only",
    "optimizers",
    "options",
    "plot",
    "probe_lr",
    "reference",
    "report",
    "schedules",
    "set_isa",
    "set_num_threads",
    "show_config",
]
__all__ += optimizers.__all__

_config.apply_environment()


def __getattr__(name: str) -> object:
    """Import what a plain `import lrcore` need not pay for when it is asked for."""
    if name in _MODULES or name in _LATER or name in _ADAPTERS:
        from importlib import import_module

        try:
            module = import_module(f"{__name__}.{_LATER.get(name, name)}")
        except ImportError as error:
            if name not in _ADAPTERS:
                raise
            raise AttributeError(str(error)) from error  # so that hasattr is False, not an error
        return getattr(module, name) if name in _LATER else module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Also what is imported when it is asked for, but not the adapters: each loads a framework."""
    return sorted({*globals(), *__all__})
