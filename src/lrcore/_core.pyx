# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True, embedsignature=True
"""The seam: check arrays, drop the GIL, call C. Nothing here knows a rule, and no check is made
after C has been entered."""

cimport cython
cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport qsort
from libc.string cimport memset

from lrcore cimport *

from collections.abc import Mapping

import numpy as np

from lrcore._rows import RowGrad, refused

cnp.import_array()

cdef extern from *:
    """
    static const char *lrc_compiler(void) { return LRC_COMPILER; }
    static const char *lrc_flags(void) { return LRC_FLAGS; }
    static const char *lrc_version(void) { return LRC_VERSION; }
    """
    const char *lrc_version()
    const char *lrc_compiler()
    const char *lrc_flags()

cdef extern from "engine.h":
    enum:
        LRC_BLOCK
        LRC_CHUNK
    uint64_t lrc_fenv_set()
    void lrc_fenv_restore(uint64_t before)


# DLPack 1, as far as it is used here: how a library describes a tensor of its own in one C call.
cdef extern from *:
    """
    typedef struct {
        void *data;
        int32_t device, device_id, ndim;
        uint8_t code, bits;
        uint16_t lanes;
        const int64_t *shape, *strides;
        uint64_t byte_offset;
    } lrc_foreign;
    typedef struct {
        uint32_t major, minor;
        const void *earlier;
        void (*allocate)(void), (*from_object)(void), (*to_object)(void);
        int (*describe)(void *object, lrc_foreign *out);
    } lrc_exchange;
    """
    ctypedef struct lrc_foreign:
        void *data
        int32_t device, ndim
        uint8_t code, bits
        uint16_t lanes
        const int64_t *shape
        const int64_t *strides
        uint64_t byte_offset
    ctypedef struct lrc_exchange:
        uint32_t major
        int (*describe)(void *object, lrc_foreign *out) except -1


#: What a step does with a gradient that is not finite, in the order of lrc_nonfinite.
NONFINITE = ("raise", "skip", "ignore")
#: Where the pipeline cuts; tests put sizes around it.
BLOCK = LRC_BLOCK
CHUNK = LRC_CHUNK
#: 8-bit state: elements that share a scale.
Q8_BLOCK = LRC_Q8_BLOCK
#: The columns of lrc_stats.
STATS = ("grad2", "param2", "step2", "dot", "dot_grad2", "trace2", "slope", "nonfinite", "lost",
         "clip", "divisor")
#: What `Plan.record` writes: losses, the rate of the first group, the gain ratio, then lrc_totals.
RECORD = ("loss", "val_loss", "lr", "gain", "grad_norm", "step_norm", "param_norm", "cos", "slope",
          "lost")
if sizeof(lrc_totals) != 8 * (len(RECORD) - 4):
    raise ImportError("RECORD of _core.pyx must name the fields of lrc_totals")
if sizeof(lrc_stats) != 8 * len(STATS):
    raise ImportError("STATS of _core.pyx must name the fields of lrc_stats")


# ------------------------------------------------------------------------- tables

def _names(bytes text):
    return tuple(name for name in text.decode().split(", ") if name)


def rules():
    """The rows of rules.def: name -> the fields of `lrcore._hyper.Row`."""
    decays = ("coupled", "decoupled", "either", "inside")
    scopes = ("element", "tensor", "group", "row", "matrix", "factored")
    return {
        lrc_rules[i].name.decode(): (
            i, _names(lrc_rules[i].states), _names(lrc_rules[i].hypers),
            tuple(lrc_rules[i].notes.decode().split()), decays[lrc_rules[i].decay],
            scopes[lrc_rules[i].scope], lrc_rules[i].sums, _names(lrc_rules[i].scalars),
            _names(lrc_rules[i].matrices))
        for i in range(LRC_RULES)
    }


def schedules():
    """The rows of schedules.def: name -> (argument names, lists)."""
    return {lrc_schedules[i].name.decode(): (_names(lrc_schedules[i].args),
                                             _names(lrc_schedules[i].lists))
            for i in range(LRC_SCHEDULES)}


# ---------------------------------------------------------------------- schedules

cdef double _call(int64_t t, void *user) noexcept with gil:
    """A Lambda's callback. The exception waits in its Curve for whoever asked."""
    cdef Curve curve = <Curve>user
    if curve._error is not None:
        return float("nan")
    try:
        return curve._function(t)
    except BaseException as error:
        curve._error = error
        return float("nan")


@cython.final
cdef class Curve:
    """A schedule as C evaluates it. Holds everything its struct points to."""

    cdef lrc_schedule c
    cdef readonly tuple parts
    cdef double *numbers
    cdef const lrc_schedule **children
    cdef object _function
    cdef object _error

    def __cinit__(self, str kind, tuple args, tuple values=(), int count=0, tuple parts=(),
                  double warmup=0.0, double warmup_start=0.0, int warmup_shape=0, call=None):
        cdef list kinds = list(schedules())
        cdef Py_ssize_t i
        cdef Curve part
        if len(args) > LRC_SCHEDULE_ARGS:
            raise ValueError(f"{kind}: at most {LRC_SCHEDULE_ARGS} arguments, got {len(args)}")
        memset(&self.c, 0, sizeof(self.c))
        self.c.kind = kinds.index(kind)
        self.c.count = count
        self.c.warmup = warmup
        self.c.warmup_start = warmup_start
        self.c.warmup_shape = warmup_shape
        self.c.parts = len(parts)
        for i in range(len(args)):
            self.c.arg[i] = args[i]
        self.numbers = <double *>PyMem_Calloc(len(values) + 1, sizeof(double))
        self.children = <const lrc_schedule **>PyMem_Calloc(len(parts) + 1, sizeof(void *))
        if self.numbers == NULL or self.children == NULL:
            raise MemoryError
        for i in range(len(values)):
            self.numbers[i] = values[i]
        for i in range(len(parts)):
            part = parts[i]
            self.children[i] = &part.c
        self.c.list = self.numbers
        self.c.part = self.children
        self.parts = parts
        self._function = call
        self.c.call = _call
        self.c.user = <void *>self

    def __dealloc__(self):
        PyMem_Free(self.numbers)
        PyMem_Free(self.children)

    def change(self, int i, double value):
        """Put another number in place of the i-th; all that is made of this schedule follows."""
        if not 0 <= i < LRC_SCHEDULE_ARGS:
            raise IndexError(i)
        self.c.arg[i] = value

    def take_error(self):
        """What a callback raised in the evaluation just made, or None; forgotten by asking."""
        cdef Curve part
        error, self._error = self._error, None
        for part in self.parts:
            inner = part.take_error()
            error = inner if error is None else error
        return error

    def at(self, int64_t t):
        cdef double value = lrc_schedule_at(&self.c, t)
        if value != value and (error := self.take_error()) is not None:
            raise error
        return value

    def values(self, cnp.ndarray t not None):
        """Values at an int64 array, C contiguous, of any shape."""
        cdef cnp.ndarray out = np.empty((<object>t).shape, np.float64)
        lrc_schedule_values(&self.c, cnp.PyArray_SIZE(t), <const int64_t *>cnp.PyArray_DATA(t),
                            <double *>cnp.PyArray_DATA(out))
        if (error := self.take_error()) is not None:
            raise error
        return out


# ------------------------------------------------------------------------- memory

cdef struct span:
    uintptr_t low
    uintptr_t high


cdef int _by_low(const void *a, const void *b) noexcept nogil:
    cdef uintptr_t x = (<const span *>a).low, y = (<const span *>b).low
    return (x > y) - (x < y)


cdef span _span(cnp.ndarray a):
    """First and past-the-last byte of an array of any strides; nothing for an empty one."""
    cdef span s
    cdef cnp.npy_intp reach
    cdef int d
    s.low = <uintptr_t>cnp.PyArray_DATA(a)
    s.high = s.low
    if cnp.PyArray_SIZE(a) == 0:
        return s
    for d in range(cnp.PyArray_NDIM(a)):
        reach = (cnp.PyArray_DIM(a, d) - 1) * cnp.PyArray_STRIDE(a, d)
        if reach < 0:
            s.low += reach
        else:
            s.high += reach
    s.high += cnp.PyArray_ITEMSIZE(a)
    return s


#: NumPy's number for bfloat16 once an array of it was seen: ml_dtypes registers it at run time.
cdef int bfloat16 = -1


cdef bint _may_fold(cnp.ndarray a):
    """Whether two elements of an array may be the same memory, as where it was broadcast."""
    cdef Py_ssize_t reach = cnp.PyArray_ITEMSIZE(a)
    if cnp.PyArray_IS_C_CONTIGUOUS(a) or cnp.PyArray_IS_F_CONTIGUOUS(a):
        return False
    both = zip((<object>a).strides, (<object>a).shape)
    axes = sorted((abs(stride), n) for stride, n in both if n > 1)
    for stride, n in axes:
        if stride < reach:
            return True
        reach += (n - 1) * stride
    return False


cdef inline int _dtype(cnp.ndarray a) except -2:
    cdef int number = cnp.PyArray_TYPE(a)
    if number == cnp.NPY_FLOAT:
        return LRC_F32
    if number == cnp.NPY_DOUBLE:
        return LRC_F64
    if number == cnp.NPY_FLOAT16:
        return LRC_F16
    return _other_dtype(a, number)


cdef int _other_dtype(cnp.ndarray a, int number) except -2:
    global bfloat16
    if bfloat16 < 0 and number >= 256 and a.dtype.name == "bfloat16":
        bfloat16 = number
    return LRC_BF16 if number == bfloat16 else -1


cdef int _state_dtype(cnp.ndarray a) except -2:
    return LRC_Q8 if cnp.PyArray_TYPE(a) == cnp.NPY_UBYTE else _dtype(a)


cdef void *_data(a):
    return NULL if a is None else cnp.PyArray_DATA(<cnp.ndarray>a)


# ------------------------------------------------------- tensors of other libraries

#: How the tensors of a type are looked into, by type; None: in no way that costs next to nothing.
cdef dict exchanges = {}

#: Of DLPack.
cdef enum:
    DL_VERSION = 1
    DL_CPU = 1
    DL_CUDA_HOST = 3
    DL_FLOAT = 2
    DL_BFLOAT = 4


cdef lrc_exchange *_exchange(x) except? NULL:
    """DLPack's table of the type of an object; NULL where it has none that is understood here."""
    cdef lrc_exchange *found = NULL
    kind = type(x)
    try:
        capsule = exchanges[kind]
    except KeyError:
        capsule = getattr(kind, "__dlpack_c_exchange_api__", None)
        if capsule is not None:
            found = <lrc_exchange *>PyCapsule_GetPointer(capsule, "dlpack_exchange_api")
            if found.major != DL_VERSION or found.describe == NULL:
                capsule = None
        exchanges[kind] = capsule
    if capsule is None:
        return NULL
    return <lrc_exchange *>PyCapsule_GetPointer(capsule, "dlpack_exchange_api")


cdef int _foreign_dtype(const lrc_foreign *t) noexcept:
    if t.lanes == 1 and t.code == DL_FLOAT and t.bits == 32:
        return LRC_F32
    if t.lanes == 1 and t.code == DL_FLOAT and t.bits == 64:
        return LRC_F64
    if t.lanes == 1 and t.code == DL_FLOAT and t.bits == 16:
        return LRC_F16
    if t.lanes == 1 and t.code == DL_BFLOAT and t.bits == 16:
        return LRC_BF16
    return -1


cdef char *_first(const lrc_foreign *t) noexcept:
    return <char *>t.data + t.byte_offset


cdef int64_t _stride(const lrc_foreign *t, int d) noexcept:
    """In elements."""
    cdef int64_t stride = 1
    cdef int k
    if t.strides != NULL:
        return t.strides[d]
    for k in range(d + 1, t.ndim):
        stride *= t.shape[k]
    return stride


cdef bint _is_dense(const lrc_foreign *t, bint c_order) noexcept:
    """Whether the elements lie one after the other in C's or in Fortran's order."""
    cdef int64_t expected = 1
    cdef int k, d
    for k in range(t.ndim):
        if t.shape[k] == 0:
            return True
    for k in range(t.ndim):
        d = t.ndim - 1 - k if c_order else k
        if t.shape[d] > 1 and _stride(t, d) != expected:
            return False
        expected *= t.shape[d]
    return True


cdef span _foreign_span(const lrc_foreign *t) noexcept:
    cdef span s
    cdef int64_t reach = 1
    cdef int d
    s.low = <uintptr_t>_first(t)
    s.high = s.low
    for d in range(t.ndim):
        if t.shape[d] == 0:
            return s
        reach += (t.shape[d] - 1) * _stride(t, d)
    s.high += reach * (t.bits // 8)
    return s


@cython.final
cdef class Watch:
    """Tensors of another library and the arrays that were made of their memory. ``axes[i]`` are the
    axes of the tensor in the order of the array's."""

    cdef list tensors, arrays, axes

    def __cinit__(self, list tensors, list arrays, list axes):
        self.tensors, self.arrays, self.axes = tensors, arrays, axes

    def moved(self, list tensors):
        """The first that is another tensor, or is no longer where its array is; or -1."""
        cdef Py_ssize_t i, n = len(self.arrays)
        if len(tensors) != n:
            return min(<Py_ssize_t>len(tensors), n)
        for i in range(n):
            if tensors[i] is not self.tensors[i]:
                return i
            if not self._same(tensors[i], self.arrays[i], self.axes[i]):
                return i
        return -1

    def unlike(self, list grads):
        """Whether a gradient, where there is one, is of another dtype than its array."""
        cdef lrc_foreign t
        cdef lrc_exchange *exchange
        cdef Py_ssize_t i
        for i in range(len(grads)):
            if grads[i] is None:
                continue
            exchange = _exchange(grads[i])
            if exchange == NULL:
                return True
            exchange.describe(<void *>grads[i], &t)
            if _foreign_dtype(&t) != _dtype(<cnp.ndarray>self.arrays[i]):
                return True
        return False

    cdef bint _same(self, tensor, cnp.ndarray a, tuple axes) except -1:
        cdef lrc_foreign t
        cdef lrc_exchange *exchange = _exchange(tensor)
        cdef int d, axis
        if exchange == NULL:
            return False
        exchange.describe(<void *>tensor, &t)
        if t.device != DL_CPU or _foreign_dtype(&t) != _dtype(a):
            return False
        if _first(&t) != cnp.PyArray_DATA(a) and cnp.PyArray_SIZE(a) > 0:  # else there is none
            return False
        if t.ndim != cnp.PyArray_NDIM(a):
            return False
        for d in range(t.ndim):
            axis = axes[d]
            if t.shape[axis] != cnp.PyArray_DIM(a, d):
                return False
            if t.shape[axis] > 1 and _stride(&t, axis) * (t.bits // 8) != cnp.PyArray_STRIDE(a, d):
                return False
        return True


# --------------------------------------------------------------------------- plan

class NonFiniteError(FloatingPointError):
    """A gradient held inf or NaN; parameters, state and counters are as they were."""


#: Numbers of a group beyond its hyper-parameters, as if they were further places of h.
cdef enum:
    CLIP_VALUE = -1
    CLIP_NORM = -2
    MATRICES = 4  # kept of a tensor at most

#: Where steps are measured now and then: so many in a row, each but the first with a cosine.
cdef enum:
    IN_A_ROW = 4

cdef enum:
    RECORDED = 4 + sizeof(lrc_totals) // sizeof(double)


cdef int _matrices(lrc_plan *c, int phase, void *user) noexcept with gil:
    """The products of a step. The exception waits in the Plan for `step`."""
    cdef Plan plan = <Plan>user
    try:
        if phase == LRC_ENTER:
            plan.matrices.enter(plan._todo())
        else:
            plan.matrices.leave(plan._todo())
        return 1
    except BaseException as error:
        plan.error = error
        return 0


cdef bint _has_rows(const lrc_rule_info *row):
    """Whether a rule takes the gradient of some rows."""
    return b"rows" in (<bytes>row.notes).split()


@cython.final
cdef class Plan:
    """What a step works on: parameters, their state, the hyper-parameters, and the gradients of
    the step being made. Arguments have been checked by ``_optimizer``."""

    cdef lrc_plan *plan
    cdef lrc_tensor *tensors
    cdef lrc_group *groups
    cdef int64_t *dims
    cdef span *written
    cdef span *seen
    cdef Py_ssize_t n, n_groups, n_written
    cdef readonly list params
    cdef object tree, stats, error
    cdef readonly object matrices
    cdef list stores, labels, held, given
    cdef dict curves, rooms
    cdef bint busy, zeroing, adding
    cdef bint unnoted  # where a step writes has changed since it was noted
    cdef bint collecting  # gradients are wanted as arrays
    cdef int64_t every  # measure IN_A_ROW of so many steps; 0: all, and refuse what cannot be
    cdef uint64_t apart  # where the gradients were when they were last found to be apart

    def __cinit__(self, int rule, list stores, list labels, tree, Py_ssize_t n_groups):
        cdef Py_ssize_t i, dims = 0
        cdef cnp.ndarray p
        self.n, self.n_groups = len(stores), n_groups
        # Views of our own: what is done to the caller's array objects changes nothing here.
        self.params = [store.p.view(np.ndarray) for store in stores]
        self.stores, self.labels, self.tree = stores, labels, tree
        self.held, self.given, self.curves, self.rooms = [], [], {}, {}
        for p in self.params:
            dims += cnp.PyArray_NDIM(p)
        self.tensors = <lrc_tensor *>PyMem_Calloc(self.n + 1, sizeof(lrc_tensor))
        self.groups = <lrc_group *>PyMem_Calloc(n_groups + 1, sizeof(lrc_group))
        self.dims = <int64_t *>PyMem_Calloc(2 * dims + 1, sizeof(int64_t))
        self.seen = <span *>PyMem_Calloc(self.n + 1, sizeof(span))
        self.written = <span *>PyMem_Calloc(
            self.n * (5 + 2 * LRC_MAX_STATES + LRC_AVERAGES + MATRICES) + 1, sizeof(span))
        if not (self.tensors and self.groups and self.dims and self.seen and self.written):
            raise MemoryError
        dims = 0
        for i in range(self.n):
            p = self.params[i]
            self.tensors[i].g_shape = self.dims + dims
            self.tensors[i].g_stride = self.dims + dims + cnp.PyArray_NDIM(p)
            dims += 2 * cnp.PyArray_NDIM(p)
            self._fill(&self.tensors[i], p, stores[i])
        self._note_written()
        self.plan = lrc_plan_new(rule, self.n, self.tensors, n_groups, self.groups)
        if self.plan == NULL:
            raise MemoryError

    cdef int _fill(self, lrc_tensor *x, cnp.ndarray p, store) except -1:
        """One parameter and the arrays that belong to it."""
        cdef Py_ssize_t j
        x.p = cnp.PyArray_DATA(p)
        x.n = cnp.PyArray_SIZE(p)
        x.dtype = _dtype(p)
        x.group = store.group
        for j in range(len(store.states)):
            x.state[j] = _data(store.states[j])
            x.scale[j] = <uint8_t *>_data(store.scales[j])
            if store.states[j] is not None:
                x.state_dtype = _state_dtype(store.states[j])
        for j in range(LRC_AVERAGES):
            x.average[j] = _data(store.averages[j])
        x.master = _data(store.master)
        if store.master is not None:
            x.master_kind = LRC_SPLIT if store.master.dtype == np.uint16 else LRC_MASTER
        x.sum = _data(store.sum)
        x.trace = _data(store.trace)
        x.work = _data(store.work)
        x.lr_scale = store.lr_scale
        x.no_decay = not store.decays
        x.units = store.units
        x.unit_columns = not store.rows
        x.row = store.row
        x.height, x.width = store.matrix
        return 0

    cdef int _note_written(self) except -1:
        """Where in memory a step writes."""
        self.n_written = 0
        for store in self.stores:
            for a in (store.p, *store.states, *store.scales, *store.averages, store.master,
                      store.sum, store.trace, store.work, *store.matrices.values()):
                if a is not None:
                    self._write(a)
        qsort(self.written, self.n_written, sizeof(span), _by_low)
        memset(self.seen, 0, self.n * sizeof(span))
        self.unnoted = False
        return 0

    def rebind(self, Py_ssize_t i, store, int64_t age, list scalars):
        """Go on with other arrays beside parameter i, of the same kinds, after so many updates."""
        cdef int j
        self.stores[i] = store
        self._fill(&self.tensors[i], self.params[i], store)
        self.tensors[i].t, self.tensors[i].summed = age, 0
        for j in range(len(scalars)):
            self.tensors[i].scalar[j] = scalars[j]
        self.unnoted = True

    cdef int _write(self, cnp.ndarray a) except -1:
        cdef span s = _span(a)
        if s.low < s.high:
            self.written[self.n_written] = s
            self.n_written += 1
        return 0

    def __dealloc__(self):
        lrc_plan_free(self.plan)
        PyMem_Free(self.tensors)
        PyMem_Free(self.groups)
        PyMem_Free(self.dims)
        PyMem_Free(self.seen)
        PyMem_Free(self.written)

    # ------------------------------------------------------------ what a step uses

    def set_value(self, int group, int slot, value, interval, str who, str name):
        """A hyper-parameter: a number, None, or a Curve whose values `interval` will check."""
        self._set_number(group, slot, NAN if value is None else value, interval, who, name)

    def set_clip_value(self, int group, value, interval, str who):
        self._set_number(group, CLIP_VALUE, 0.0 if value is None else value, interval, who,
                         "clip_value")

    def set_clip_norm(self, int group, value, interval, str who):
        """Of a group, or with group -1 of all that have none of their own."""
        self._set_number(group, CLIP_NORM, 0.0 if value is None else value, interval, who,
                         "clip_norm")

    cdef int _set_number(self, int group, int slot, value, interval, str who, str name) except -1:
        cdef Curve curve = value if isinstance(value, Curve) else None
        cdef double *number = self._number(group, slot)
        cdef const lrc_schedule **schedule = self._schedule(group, slot)
        if curve is None:
            number[0] = value
            schedule[0] = NULL
            self.curves.pop((group, slot), None)
        else:
            schedule[0] = &curve.c
            self.curves[(group, slot)] = (curve, interval, who, name)
        return 0

    cdef double *_number(self, int group, int slot) noexcept:
        if group < 0:
            return &self.plan.clip_norm
        if slot == CLIP_NORM:
            return &self.groups[group].clip_norm
        if slot == CLIP_VALUE:
            return &self.groups[group].clip_value
        return &self.groups[group].h[slot]

    cdef const lrc_schedule **_schedule(self, int group, int slot) noexcept:
        if group < 0:
            return &self.plan.clip_norm_schedule
        if slot == CLIP_NORM:
            return &self.groups[group].clip_norm_schedule
        if slot == CLIP_VALUE:
            return &self.groups[group].clip_value_schedule
        return &self.groups[group].schedule[slot]

    def set_group(self, int group, bint maximize, double agc, double agc_eps, int select,
                  int rounding):
        """What a group's step is beyond its hyper-parameters; agc 0: off."""
        cdef lrc_group *g = &self.groups[group]
        if agc != 0 and not lrc_plan_agc(self.plan):
            raise MemoryError
        g.maximize, g.agc, g.agc_eps, g.select, g.rounding = (
            maximize, agc, agc_eps, select, rounding)

    def set_matrices(self, matrices):
        """What makes the products of a rule with matrices, in two calls a step: ``enter(todo)`` and
        ``leave(todo)``, with the number, hyper-parameters and update t of each matrix."""
        self.matrices = matrices
        self.plan.matrices = _matrices
        self.plan.user = <void *>self

    cdef list _todo(self):
        """Those that have a gradient."""
        cdef double h[LRC_MAX_HYPERS]
        cdef Py_ssize_t i, j, count = len(_names(lrc_rules[self.plan.rule].hypers))
        out = []
        for i in range(self.n):
            if self.tensors[i].work != NULL and self.tensors[i].g != NULL:
                lrc_hypers(self.plan, &self.tensors[i], h)
                out.append((i, [h[j] for j in range(count)], self.tensors[i].t + 1))
        return out

    def set_options(self, int nonfinite, bint zero_grads, uint64_t seed):
        self.plan.nonfinite = nonfinite
        self.plan.zero_grads = self.zeroing = zero_grads
        self.plan.seed = seed

    def set_averages(self, lookahead, ema, swa):
        """(k, alpha), (decay, warmup), (start, every); None: off."""
        self.plan.lookahead, self.plan.lookahead_alpha = (0, 0) if lookahead is None else lookahead
        self.plan.ema_decay, self.plan.ema_warmup = (0, 0) if ema is None else ema
        self.plan.swa_start, self.plan.swa_every = (0, 0) if swa is None else swa

    def set_stats(self, rows, int64_t every):
        """Where to put the statistics: float64, a row of lrc_stats a parameter; None: nowhere."""
        self.stats = rows
        self.plan.stats = <lrc_stats *>_data(rows)
        self.plan.trace_every = every

    def measure(self, int64_t every):
        """Measure a few of `every` steps, none with a RowGrad; 0: all, and refuse RowGrads."""
        self.every = every
        if every == 0:
            self._measure(True)

    cdef int _measure(self, bint on) except -1:
        """Go on or stop to measure. What is not followed by the next step is no trace of it."""
        if self.stats is None or on == (self.plan.stats != NULL):
            return 0
        self.plan.stats = <lrc_stats *>_data(self.stats) if on else NULL
        if on:
            return 0
        for store in self.stores:
            memset(_data(store.trace), 0, cnp.PyArray_NBYTES(<cnp.ndarray>store.trace))
        return 0

    @property
    def measuring(self):
        """Whether the step being made, or the last one, is measured."""
        return self.plan.stats != NULL

    def record(self, cnp.ndarray out not None, Py_ssize_t i, double loss=NAN, double val_loss=NAN,
               double loss_after=NAN):
        """Write what RECORD names into row i of a C-contiguous float64 array: of the last step, NaN
        where that was not measured, and the losses; `loss_after` is of the same batch."""
        cdef double *row
        cdef lrc_totals *totals
        if (cnp.PyArray_TYPE(out) != cnp.NPY_DOUBLE or cnp.PyArray_NDIM(out) != 2
                or not cnp.PyArray_IS_C_CONTIGUOUS(out) or cnp.PyArray_DIM(out, 1) != RECORDED
                or not 0 <= i < cnp.PyArray_DIM(out, 0)):
            raise ValueError(f"record: out must have a row {i} of {RECORDED} float64 in C order")
        row = <double *>cnp.PyArray_DATA(out) + i * RECORDED
        totals = <lrc_totals *>(row + 4)
        lrc_total(self.plan, totals)
        row[0], row[1], row[2] = loss, val_loss, self.groups[0].h[0]
        row[3] = (loss_after - loss) / totals.slope if totals.slope != 0 else NAN

    cdef int _refresh(self) except -1:
        """Put the schedules' values for this update in place; refuse one out of its domain."""
        cdef Curve curve
        if not self.curves:
            return 0
        lrc_refresh(self.plan)
        errors = [curve.take_error() for curve, *_ in self.curves.values()]
        for error in errors:
            if error is not None:
                raise error
        for (group, slot), (curve, interval, who, name) in self.curves.items():
            interval.check(f"{who} at update {self.plan.t}", name,
                           self._number(group, slot)[0])
        return 0

    def hypers(self, int group):
        """h of a group, as the last refresh left it."""
        return [self.groups[group].h[i] for i in range(LRC_MAX_HYPERS)]

    # ------------------------------------------------------------------- gradients

    cdef int _match(self, tree, grads) except -1:
        """Put the gradients, in the structure of the parameters, into the tensors."""
        cdef Py_ssize_t i
        if type(tree) is int:
            return self._set(tree, grads)
        label, keys, children = tree
        if grads is None:
            for child in <tuple>children:
                self._match(child, None)
            return 0
        if keys is None:
            if not isinstance(grads, (list, tuple)):
                raise TypeError(f"{label}: must be a list or tuple of {len(children)}, "
                                f"got {type(grads).__name__}")
            if len(grads) != len(<tuple>children):
                raise ValueError(f"{label}: must have {len(children)} entries, got {len(grads)}")
            for i in range(len(<tuple>children)):
                if type(grads) is list:
                    self._match((<tuple>children)[i], (<list>grads)[i])
                else:
                    self._match((<tuple>children)[i], grads[i])
            return 0
        if not isinstance(grads, (dict, Mapping)):
            raise TypeError(f"{label}: must be a dict with the keys of the parameters, "
                            f"got {type(grads).__name__}")
        for i in range(len(<tuple>children)):
            key = (<tuple>keys)[i]
            if key not in grads:
                raise ValueError(f"{label}: must have the key {key!r} (None leaves it alone), "
                                 f"got {list(grads)}")
            self._match((<tuple>children)[i], grads[key])
        if len(grads) != len(<tuple>children):
            extra = [key for key in grads if key not in <tuple>keys]
            raise ValueError(f"{label}: must have the keys of the parameters, got also {extra}")
        return 0

    cdef int _set(self, Py_ssize_t i, grad) except -1:
        cdef lrc_tensor *x = &self.tensors[i]
        cdef cnp.ndarray p = <cnp.ndarray>(<list>self.params)[i], g
        cdef int ndim = cnp.PyArray_NDIM(p), d, number
        cdef bint c_order = cnp.PyArray_IS_C_CONTIGUOUS(p), in_order
        cdef span s
        x.g = NULL
        x.rows = NULL
        if grad is None:
            return 0
        given = grad
        if not cnp.PyArray_Check(grad):
            if isinstance(grad, RowGrad):
                return self._set_rows(i, grad)
            if not self.zeroing and not self.collecting and self._set_foreign(i, grad):
                return 0
            grad = self._as_array(i, grad)
        g = grad
        if not cnp.PyArray_CheckExact(grad) and hasattr(grad, "mask"):
            raise TypeError(f"grads{self.labels[i]}: must have no mask; fill the array first")
        number = _dtype(g)
        if number < 0:
            raise TypeError(f"grads{self.labels[i]}: dtype must be float32, float64, float16 or "
                            f"bfloat16, got {g.dtype}")
        if cnp.PyArray_NDIM(g) != ndim:
            self._wrong_shape(i, g)
        for d in range(ndim):
            if cnp.PyArray_DIM(g, d) != cnp.PyArray_DIM(p, d):
                self._wrong_shape(i, g)
        if self.zeroing:
            self._check_zeroed(i, given, g)
        if not cnp.PyArray_ISALIGNED(g) or cnp.PyArray_ISBYTESWAPPED(g):
            g = np.array(g, g.dtype.newbyteorder("="))
        elif self.zeroing and _may_fold(g):
            g = g.copy()
        s = _span(g)
        if s.low != self.seen[i].low or s.high != self.seen[i].high:
            if not self._is_written(s):
                self.seen[i] = s
            elif self.zeroing:
                raise ValueError(f"grads{self.labels[i]}: must share no memory with parameters or "
                                 "state, since zero_grads sets it to zero")
            else:
                g = g.copy()
        in_order = cnp.PyArray_IS_C_CONTIGUOUS(g) if c_order else cnp.PyArray_IS_F_CONTIGUOUS(g)
        x.g_ndim = 0 if in_order else ndim
        if not in_order:
            for d in range(ndim):
                (<int64_t *>x.g_shape)[d] = cnp.PyArray_DIM(g, d if c_order else ndim - 1 - d)
                (<int64_t *>x.g_stride)[d] = cnp.PyArray_STRIDE(g, d if c_order else ndim - 1 - d)
        x.g = cnp.PyArray_DATA(g)
        x.g_dtype = number
        self.held.append(g)
        return 0

    cdef bint _set_foreign(self, Py_ssize_t i, grad) except -1:
        """A tensor of another library, if it can be read where it is; otherwise as an array."""
        cdef lrc_tensor *x = &self.tensors[i]
        cdef cnp.ndarray p = <cnp.ndarray>(<list>self.params)[i]
        cdef lrc_exchange *exchange = _exchange(grad)
        cdef lrc_foreign t
        cdef span s
        cdef int d, k, number, ndim = cnp.PyArray_NDIM(p)
        cdef bint c_order = cnp.PyArray_IS_C_CONTIGUOUS(p), in_order
        if exchange == NULL:
            return False
        exchange.describe(<void *>grad, &t)
        number = _foreign_dtype(&t)
        if t.device != DL_CPU and t.device != DL_CUDA_HOST or number < 0 or t.ndim != ndim:
            return False
        for d in range(ndim):
            if t.shape[d] != cnp.PyArray_DIM(p, d):
                return False
        s = _foreign_span(&t)
        if s.low % (t.bits // 8) != 0 or t.data == NULL and s.low != s.high:
            return False  # misaligned, or a tensor whose numbers are inside of another object
        if s.low != self.seen[i].low or s.high != self.seen[i].high:
            if self._is_written(s):
                return False
            self.seen[i] = s
        in_order = _is_dense(&t, c_order)
        x.g_ndim = 0 if in_order else ndim
        if not in_order:
            for d in range(ndim):
                k = d if c_order else ndim - 1 - d
                (<int64_t *>x.g_shape)[d] = t.shape[k]
                (<int64_t *>x.g_stride)[d] = _stride(&t, k) * (t.bits // 8)
        x.g = _first(&t) if _first(&t) != NULL else x.p  # of a tensor without elements
        x.g_dtype = number
        self.held.append(grad)
        return True

    cdef int _set_rows(self, Py_ssize_t i, grad) except -1:
        """The gradient of some rows."""
        cdef lrc_tensor *x = &self.tensors[i]
        cdef cnp.ndarray p = <cnp.ndarray>(<list>self.params)[i], g = grad.values, room
        cdef cnp.ndarray indices = grad.indices
        cdef Py_ssize_t n = cnp.PyArray_SIZE(indices)
        cdef int64_t bad
        self._check_rows(i, p)
        if grad.shape != (<object>p).shape:
            self._wrong_shape(i, grad)
        # What was checked when the RowGrad was made: its arrays may have been given other shapes.
        if (<object>g).shape != (n, *grad.shape[1:]) or cnp.PyArray_ITEMSIZE(indices) != 8:
            raise ValueError(f"grads{self.labels[i]}: indices and values must stay of the shapes "
                             "and dtypes that their RowGrad was made with")
        if not cnp.PyArray_IS_C_CONTIGUOUS(g) or not cnp.PyArray_ISBEHAVED_RO(g):
            g = np.array(g, g.dtype.newbyteorder("="), order="C")
        elif self._is_written(_span(g)):
            g = g.copy()
        room = self._room(i, 4 * n)
        bad = lrc_name_rows(x, cnp.PyArray_DIM(p, 0), n, <int64_t *>cnp.PyArray_DATA(indices),
                            <int64_t *>cnp.PyArray_DATA(room))
        if bad >= 0:
            raise IndexError(f"grads{self.labels[i]}: indices[{bad}] must be in "
                             f"[0, {cnp.PyArray_DIM(p, 0)}), got {indices[bad]}")
        x.g_ndim = 0
        x.g = cnp.PyArray_DATA(g)
        x.g_dtype = _dtype(g)
        self.held.append((indices, g))
        return 0

    cdef cnp.ndarray _room(self, Py_ssize_t i, Py_ssize_t n):
        """At least n numbers, kept from step to step: new memory costs more than what it is for."""
        cdef cnp.ndarray room = self.rooms.get(i)
        if room is None or cnp.PyArray_SIZE(room) < n:
            room = self.rooms[i] = np.empty(n + n // 4, np.int64)
        return room

    cdef int _check_rows(self, Py_ssize_t i, cnp.ndarray p) except -1:
        """Refuse the gradient of some rows where it has no meaning."""
        cdef lrc_tensor *x = &self.tensors[i]
        cdef const lrc_rule_info *row = &lrc_rules[self.plan.rule]
        cdef int j
        why = None
        if self.adding:
            why = "accumulate adds up whole gradients"
        elif self.zeroing:
            why = "zero_grads sets it to zero"
        elif self.plan.stats != NULL and not self.every:
            why = "stats measures whole parameters"
        elif self.groups[x.group].agc != 0:
            why = "agc looks at whole parameters"
        elif x.state_dtype == LRC_Q8:
            why = 'state_dtype "int8" keeps states in blocks, not in rows'
        elif not cnp.PyArray_IS_C_CONTIGUOUS(p):
            why = "the rows of a parameter in Fortran's order do not lie in one piece"
        for j in range(LRC_AVERAGES):
            if x.average[j] != NULL:
                why = "ema, swa and lookahead average whole parameters"
        if not _has_rows(row):
            why = ""
        if why is not None:
            raise TypeError(refused(row.name.decode(), self.labels[i], why))
        self._measure(False)
        return 0

    cdef int _check_zeroed(self, Py_ssize_t i, grad, cnp.ndarray g) except -1:
        """A gradient that the step is to set to zero."""
        if grad is not g and not (hasattr(grad, "__array__") and np.may_share_memory(grad, g)):
            raise TypeError(f"grads{self.labels[i]}: must be an array, since zero_grads sets it to "
                            f"zero, got {type(grad).__name__}")
        if not cnp.PyArray_ISWRITEABLE(g):
            raise ValueError(f"grads{self.labels[i]}: must be writable, since zero_grads sets it "
                             "to zero, got a read-only array")
        self.given.append((i, g))
        return 0

    cdef int _check_apart(self) except -1:
        """Gradients that are set to zero must not be read through another afterwards."""
        cdef Py_ssize_t i, m = len(self.given)
        cdef span *spans
        cdef uint64_t places = m
        cdef bint apart = True
        if m < 2:
            return 0
        spans = <span *>PyMem_Calloc(m, sizeof(span))
        if spans == NULL:
            raise MemoryError
        for i in range(m):
            spans[i] = _span((<list>self.given)[i][1])
            places = (places ^ spans[i].low) * 0x9e3779b97f4a7c15u
            places = (places ^ spans[i].high) * 0x9e3779b97f4a7c15u
        if places != self.apart:
            qsort(spans, m, sizeof(span), _by_low)
            for i in range(1, m):
                apart = apart and spans[i].low >= spans[i - 1].high
        PyMem_Free(spans)
        if not apart:
            self._check_interleaved()
        self.apart = places
        return 0

    def _check_interleaved(self):
        """Whether gradients that lie between each other, as columns do, share an element."""
        for i in range(1, len(self.given)):
            for j in range(i):
                if np.shares_memory(self.given[i][1], self.given[j][1]):
                    a, b = self.labels[self.given[i][0]], self.labels[self.given[j][0]]
                    raise ValueError(f"grads{a}: must share no memory with grads{b}, since "
                                     "zero_grads sets both to zero")

    def zero(self):
        """Set the gradients last given to zero, in whatever form they came."""
        for _, g in self.given:
            g[...] = 0
        self.given.clear()

    cdef bint _is_written(self, span s) noexcept:
        """Whether a step writes to any of these bytes."""
        cdef Py_ssize_t low = 0, high = self.n_written, middle
        while low < high:
            middle = (low + high) // 2
            if self.written[middle].high <= s.low:
                low = middle + 1
            else:
                high = middle
        return low < self.n_written and self.written[low].low < s.high

    def _as_array(self, Py_ssize_t i, grad):
        if isinstance(grad, (float, np.generic)) or hasattr(grad, "__array__"):
            return np.asarray(grad)
        raise TypeError(f"grads{self.labels[i]}: must be a NumPy array or None, "
                        f"got {type(grad).__name__}")

    def _wrong_shape(self, Py_ssize_t i, g):
        raise ValueError(f"grads{self.labels[i]}: shape must be {self.params[i].shape}, "
                         f"got {g.shape}")

    # ------------------------------------------------------------------------ steps

    cdef int _enter(self) except -1:
        with cython.critical_section(self):
            if self.busy:
                raise RuntimeError(
                    "an optimizer must be left alone while it makes a step: it was to be stepped "
                    "or changed by another thread, or by a schedule's function")
            self.busy = True
        return 0

    def __enter__(self):
        """Keep steps and changes from elsewhere out for the length of a `with`."""
        self._enter()

    def __exit__(self, *error):
        self._leave()

    cdef int _leave(self) except -1:
        self.held.clear()
        if self.zeroing:
            self.given.clear()
        self.busy = False
        return 0

    cdef int _take(self, grads, bint adding=False) except -1:
        """Check the gradients and put them in place; `adding` to what waits."""
        self.adding = adding
        if self.unnoted:
            self._note_written()
        if self.zeroing:
            self.given.clear()
        self._match(self.tree, grads)
        if self.zeroing:
            self._check_apart()
        return 0

    def step(self, grads, double loss=float("nan")):
        """Check, then update in place. True if the step was made, False if it was skipped.

        With None what has been accumulated is used. `loss` is for rules that use it.
        """
        cdef int made
        self._enter()
        try:
            if self.every:
                self._measure(self.plan.t % self.every < IN_A_ROW)
            if grads is not None or self.plan.micro == 0:
                self._take(grads)
            self._refresh()
            self.plan.loss = loss
            with nogil:
                made = lrc_update(self.plan)
            if made < 0:
                error, self.error = self.error, None
                raise error
            if not made and self.plan.nonfinite == LRC_RAISE:
                self.raise_nonfinite(self.plan.bad_tensor)
            if self.zeroing:
                self._zero_copied()
            return made != 0
        finally:
            self._leave()

    cdef int _zero_copied(self) except -1:
        """Gradients that were read through a copy are not zero yet."""
        cdef cnp.ndarray g
        for i, g in self.given:
            if self.tensors[<Py_ssize_t>i].g != cnp.PyArray_DATA(g):
                g[...] = 0
        return 0

    def accumulate(self, grads):
        """Check, then add to the sums."""
        self._enter()
        try:
            self._take(grads, True)
            with nogil:
                lrc_accumulate(self.plan)
            if self.zeroing:
                self._zero_copied()
        finally:
            self._leave()

    def drop(self):
        """Forget what has been accumulated."""
        lrc_drop(self.plan)

    @property
    def micro(self):
        """Calls of `accumulate` that wait for a step."""
        return self.plan.micro

    @micro.setter
    def micro(self, int64_t micro):
        self.plan.micro = micro

    @property
    def summed(self):
        """How many gradients each parameter's sum holds."""
        return [self.tensors[i].summed for i in range(self.n)]

    @summed.setter
    def summed(self, list summed):
        cdef Py_ssize_t i
        for i in range(self.n):
            self.tensors[i].summed = summed[i]

    @property
    def loss_scale(self):
        """What the gradients are divided by."""
        return self.plan.loss_scale if self.plan.loss_scale != 0 else 1.0

    @loss_scale.setter
    def loss_scale(self, double scale):
        self.plan.loss_scale = scale

    @property
    def bad_tensor(self):
        """After a refused step: the first parameter whose gradient is not finite."""
        return self.plan.bad_tensor

    def collect(self, grads, bint adding=False):
        """The gradients of a step, or `adding` to what waits, checked: for each parameter an array,
        indices and values of a RowGrad, or None."""
        cdef Py_ssize_t i, k = 0
        if self.every and not adding:
            self._measure(self.plan.t % self.every < IN_A_ROW)
        self.collecting = True
        try:
            self._take(grads, adding)
        finally:
            self.collecting = False
        held, self.held = self.held, []
        out = []
        for i in range(self.n):
            out.append(None if self.tensors[i].g == NULL else held[k])
            k += self.tensors[i].g != NULL
        return out

    def advance(self, double grad_norm):
        """Count an update that was made elsewhere: with what was accumulated, or else with the
        gradients last collected."""
        cdef Py_ssize_t i
        lrc_refresh(self.plan)
        for i in range(self.n):
            self.tensors[i].t += (self.tensors[i].summed > 0 if self.plan.micro
                                  else self.tensors[i].g != NULL)
        self.plan.t += 1
        self.plan.grad_norm = grad_norm

    def roofline(self, grads):
        """The memory traffic of a step with additions only; finite values stay as they are."""
        self._enter()
        try:
            self._take(grads)
            with nogil:
                lrc_roofline(self.plan)
        finally:
            self._leave()

    def raise_nonfinite(self, Py_ssize_t i):
        raise NonFiniteError(
            f"grads{self.labels[i]}: must be finite, got inf or NaN at update {self.plan.t}; "
            'nothing was changed (nonfinite="skip" skips such steps, "ignore" makes them)')

    @property
    def t(self):
        return self.plan.t

    @t.setter
    def t(self, int64_t t):
        self.plan.t = t

    @property
    def ages(self):
        """Updates each parameter has had."""
        return [self.tensors[i].t for i in range(self.n)]

    def age(self, Py_ssize_t i):
        """Updates that parameter i has had."""
        return self.tensors[i].t

    def kept(self, Py_ssize_t i):
        """What the rule keeps for parameter i, where it keeps numbers for each: a list."""
        cdef int j, count = len(_names(lrc_rules[self.plan.rule].scalars))
        return [self.tensors[i].scalar[j] for j in range(count)]

    @ages.setter
    def ages(self, list ages):
        cdef Py_ssize_t i
        for i in range(self.n):
            self.tensors[i].t = ages[i]

    @property
    def scalars(self):
        """What the rule keeps for each parameter or group, as its row says: a list of numbers."""
        cdef Py_ssize_t i
        cdef int j, count, scope = lrc_rules[self.plan.rule].scope
        count = len(_names(lrc_rules[self.plan.rule].scalars))
        if count == 0:
            return []
        if scope != LRC_GROUP:
            return [[self.tensors[i].scalar[j] for j in range(count)] for i in range(self.n)]
        return [[self.groups[i].scalar[j] for j in range(count)] for i in range(self.n_groups)]

    @scalars.setter
    def scalars(self, list scalars):
        cdef Py_ssize_t i
        cdef int j
        cdef double *place
        for i in range(len(scalars)):
            place = (self.groups[i].scalar if lrc_rules[self.plan.rule].scope == LRC_GROUP
                     else self.tensors[i].scalar)
            for j in range(len(scalars[i])):
                place[j] = scalars[i][j]

    @property
    def grad_norm(self):
        """Of the last step made, over the groups that are not clipped alone."""
        return self.plan.grad_norm

    @grad_norm.setter
    def grad_norm(self, double norm):
        self.plan.grad_norm = norm


@cython.final
cdef class FloatEnvironment:
    """Round to nearest and keep subnormals, as a step in C does, for the length of a `with`."""

    cdef uint64_t before

    def __enter__(self):
        self.before = lrc_fenv_set()

    def __exit__(self, *error):
        lrc_fenv_restore(self.before)


# ------------------------------------------------------ instruction sets and threads

def isas():
    """Instruction sets this machine runs, best first."""
    return [lrc_isa_name(i).decode() for i in range(lrc_isa_count())]


def get_isa():
    """The instruction set in use."""
    return lrc_get_isa().decode()


def set_isa(str name not None):
    """Use an instruction set by name, one of `isas()`. The results are the same bits."""
    if not lrc_set_isa(name.encode()):
        raise ValueError(f"set_isa: name must be one of {isas()} on this machine, got {name!r}")


def get_num_threads():
    """How many threads a step may use."""
    return lrc_get_num_threads()


def set_num_threads(n):
    """Let a step use up to `n` threads. The results are the same bits."""
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ValueError(f"set_num_threads: n must be an integer >= 1, got {n!r}")
    lrc_set_num_threads(min(n, 64))


def get_parallel_from():
    """Steps over fewer elements run on the caller's thread."""
    return lrc_get_parallel_from()


def set_parallel_from(int64_t elements):
    """Let steps over at least so many elements use threads."""
    lrc_set_parallel_from(elements)


def build_info():
    """Version, compiler and flags of this build."""
    return {"version": lrc_version().decode(), "compiler": lrc_compiler().decode(),
            "flags": lrc_flags().decode()}


include "_xla.pxi"
