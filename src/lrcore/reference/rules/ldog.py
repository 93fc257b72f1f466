"""LDoG (Ivgi, Hinder & Carmon 2023): DoG for each tensor, as the row says."""

from .dog import estimate as estimate
from .dog import measure as measure
from .dog import update as update
