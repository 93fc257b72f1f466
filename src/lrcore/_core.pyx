# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True, embedsignature=True
"""The seam: check arrays, drop the GIL, call C. Nothing here knows a rule, and no check is made
after C has been entered."""

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport qsort
from libc.string cimport memset

from lrcore cimport *

import numpy as np

cnp.import_array()

# One module, in parts of one subject each. Those from tensors to rows are what a Plan does, as
# functions of it: a class cannot be continued in another file.
include "_seam/tables.pxi"
include "_seam/curve.pxi"
include "_seam/arrays.pxi"
include "_seam/foreign.pxi"
include "_seam/plan.pxi"
include "_seam/tensors.pxi"
include "_seam/numbers.pxi"
include "_seam/gradients.pxi"
include "_seam/rows.pxi"
include "_seam/process.pxi"
include "_seam/xla.pxi"
