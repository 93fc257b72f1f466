"""Instruments: find a learning rate, watch a run, and say what is wrong with it and how surely.

Every instrument leaves what it measures as it found it, bit for bit, states what it compared with
what, and may answer that it does not know. `docs/instruments.md` has their measured error rates.
"""
