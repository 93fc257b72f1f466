"""The specification: every rule, stage and schedule as a sequence of single IEEE operations.

Each module stands for a file of ``csrc``: :mod:`.rules` for ``rules/*.c``, :mod:`.step` for the
pipeline and the sums, :mod:`.schedules` and :mod:`.math` for their namesakes. The C code returns
the bits that are computed here, on every instruction set, thread count and platform.
"""
