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
from .lamb import LAMB
from .laprop import LaProp
from .lion import Lion
from .qhadam import QHAdam
from .rmsprop import RMSprop
from .sgd import SGD
from .yogi import Yogi

__all__ = [
    "ADOPT",
    "LAMB",
    "SGD",
    "AdEMAMix",
    "AdaBelief",
    "AdaBound",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adan",
    "LaProp",
    "Lion",
    "QHAdam",
    "RMSprop",
    "Yogi",
]
