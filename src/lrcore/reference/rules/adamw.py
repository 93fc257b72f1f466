"""AdamW (Loshchilov & Hutter 2019): the decay is the pipeline's, as the row says."""

from .adam import update as update
