"""The options that every rule takes, as type checkers see them; not imported at run time."""

from __future__ import annotations

import os
from typing import Literal, TypedDict

from .._hyper import Number
from ..averages import EMA, SWA, Lookahead
from ..options import AGC, LossScaler
from .masks import DecayMask, LrScale

__all__ = ["Options"]


class Options(TypedDict, total=False):
    """The options that every rule takes, keyword only."""

    maximize: bool
    clip_norm: Number | None
    clip_value: Number | None
    agc: float | AGC | None
    cautious: bool
    grams: bool
    state_dtype: Literal["float32", "float64", "bfloat16", "int8"] | None
    rounding: Literal["nearest", "stochastic"]
    master: Literal["float32", "split"] | None
    decay_mask: DecayMask | None
    lr_scale: LrScale | None
    nonfinite: Literal["raise", "skip", "ignore"]
    backend: Literal["c", "numpy"]
    ema: float | EMA | None
    swa: int | SWA | bool | None
    lookahead: int | Lookahead | bool | None
    zero_grads: bool
    loss_scale: float | LossScaler | None
    stats: bool
    seed: int
    state_file: str | os.PathLike[str] | None
