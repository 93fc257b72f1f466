"""The update rules: one class a rule, with torch's arguments, order and defaults.

Every hyper-parameter that is a number may also be a schedule. The parameters shared by all,
``params`` and the keyword-only options, are described in :class:`lrcore.Optimizer`. In the formulas
``g`` is the gradient after sign, clipping and coupled decay, ``t`` the number of the update from 1.
"""

from .adabelief import AdaBelief
from .adabound import AdaBound
from .adadelta import Adadelta
from .adafactor import Adafactor
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .adamw import AdamW
from .adan import Adan
from .ademamix import AdEMAMix
from .adopt import ADOPT
from .asgd import ASGD
from .dadaptadam import DAdaptAdam
from .dadaptsgd import DAdaptSGD
from .dog import DoG
from .dowg import DoWG
from .ftrl import FTRL
from .hypergradientadam import HypergradientAdam
from .hypergradientsgd import HypergradientSGD
from .lamb import LAMB
from .laprop import LaProp
from .lars import LARS
from .ldog import LDoG
from .lion import Lion
from .madgrad import MADGRAD
from .muon import Muon
from .nadam import NAdam
from .novograd import NovoGrad
from .polyaksgd import PolyakSGD
from .prodigy import Prodigy
from .qhadam import QHAdam
from .radam import RAdam
from .rmsprop import RMSprop
from .rowwiseadagrad import RowwiseAdagrad
from .rprop import Rprop
from .schedulefreeadamw import ScheduleFreeAdamW
from .schedulefreesgd import ScheduleFreeSGD
from .sgd import SGD
from .shampoo import Shampoo
from .signsgd import SignSGD
from .signum import Signum
from .soap import SOAP
from .stableadamw import StableAdamW
from .yogi import Yogi

__all__ = [
    "ADOPT",
    "ASGD",
    "FTRL",
    "LAMB",
    "LARS",
    "MADGRAD",
    "SGD",
    "SOAP",
    "AdEMAMix",
    "AdaBelief",
    "AdaBound",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
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
    "Muon",
    "NAdam",
    "NovoGrad",
    "PolyakSGD",
    "Prodigy",
    "QHAdam",
    "RAdam",
    "RMSprop",
    "RowwiseAdagrad",
    "Rprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "Shampoo",
    "SignSGD",
    "Signum",
    "StableAdamW",
    "Yogi",
]
