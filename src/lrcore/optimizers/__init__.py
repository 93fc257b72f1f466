"""The update rules: one class a rule, with torch's arguments, order and defaults.

Every hyper-parameter that is a number may also be a schedule. The parameters shared by all,
``params`` and the keyword-only options, are described in :class:`lrcore.Optimizer`. In the formulas
``g`` is the gradient after sign, clipping and coupled decay, ``t`` the number of the update from 1.
"""

from .adagrad import Adagrad
from .adam import Adam
from .adamw import AdamW
from .dadaptadam import DAdaptAdam
from .dadaptsgd import DAdaptSGD
from .dog import DoG
from .dowg import DoWG
from .lamb import LAMB
from .ldog import LDoG
from .lion import Lion
from .prodigy import Prodigy
from .hypergradientadam import HypergradientAdam
from .hypergradientsgd import HypergradientSGD
from .lamb import LAMB
from .lars import LARS
from .lion import Lion
from .novograd import NovoGrad
from .polyaksgd import PolyakSGD
from .rmsprop import RMSprop
from .schedulefreeadamw import ScheduleFreeAdamW
from .schedulefreesgd import ScheduleFreeSGD
from .sgd import SGD
from .stableadamw import StableAdamW

__all__ = [
    "LAMB",
    "LARS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "DAdaptAdam",
    "DAdaptSGD",
    "DoG",
    "DoWG",
    "LDoG",
    "Lion",
    "Prodigy",
    "HypergradientAdam",
    "HypergradientSGD",
    "Lion",
    "NovoGrad",
    "PolyakSGD",
    "RMSprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "StableAdamW",
]
