"""The update rules: one class a rule, with torch's arguments, order and defaults.

Every hyper-parameter that is a number may also be a schedule. The parameters shared by all,
``params`` and the keyword-only options, are described in :class:`lrcore.Optimizer`. In the formulas
``g`` is the gradient after sign, clipping and coupled decay, ``t`` the number of the update from 1.
"""

from .adabelief import AdaBelief
from .adabound import AdaBound
from .adagrad import Adagrad
from .adam import Adam
from .adamw import AdamW
from .adan import Adan
from .ademamix import AdEMAMix
from .adopt import ADOPT
from .dadaptadam import DAdaptAdam
from .dadaptsgd import DAdaptSGD
from .dog import DoG
from .dowg import DoWG
from .hypergradientadam import HypergradientAdam
from .hypergradientsgd import HypergradientSGD
from .lamb import LAMB
from .laprop import LaProp
from .lars import LARS
from .ldog import LDoG
from .lion import Lion
from .novograd import NovoGrad
from .polyaksgd import PolyakSGD
from .prodigy import Prodigy
from .qhadam import QHAdam
from .rmsprop import RMSprop
from .schedulefreeadamw import ScheduleFreeAdamW
from .schedulefreesgd import ScheduleFreeSGD
from .sgd import SGD
from .stableadamw import StableAdamW
from .yogi import Yogi

__all__ = [
    "ADOPT",
    "LAMB",
    "LARS",
    "SGD",
    "AdEMAMix",
    "AdaBelief",
    "AdaBound",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adan",
    "DAdaptAdam",
    "DAdaptSGD",
    "DoG",
    "DoWG",
    "HypergradientAdam",
    "HypergradientSGD",
    "LDoG",
    "LaProp",
    "Lion",
    "NovoGrad",
    "PolyakSGD",
    "Prodigy",
    "QHAdam",
    "RMSprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "StableAdamW",
    "Yogi",
]
