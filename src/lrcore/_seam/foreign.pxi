# Tensors of other libraries, looked into through DLPack's exchange table; Watch.

from cpython.object cimport Py_TYPE
from cpython.pycapsule cimport PyCapsule_GetPointer

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


#: How the tensors of a type are looked into, by type; None: in no way that costs next to nothing.
cdef dict exchanges = {}

#: Of DLPack.
cdef enum:
    DL_VERSION = 1
    DL_CPU = 1
    DL_CUDA_HOST = 3
    DL_FLOAT = 2
    DL_BFLOAT = 4


#: The type that was asked for last, which `exchanges` keeps, and its table: most come in rows.
cdef struct recent:
    void *kind
    lrc_exchange *exchange


cdef inline lrc_exchange *_exchange(x, recent *last) except? NULL:
    """DLPack's table of the type of an object; NULL where it has none that is understood here."""
    if <void *>Py_TYPE(x) != last.kind:
        last.exchange = _exchange_of(type(x))
        last.kind = <void *>Py_TYPE(x)
    return last.exchange


cdef lrc_exchange *_exchange_of(kind) except? NULL:
    cdef lrc_exchange *found = NULL
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
        cdef recent last = [NULL, NULL]
        if len(tensors) != n:
            return min(<Py_ssize_t>len(tensors), n)
        for i in range(n):
            if tensors[i] is not self.tensors[i]:
                return i
            if not self._same(tensors[i], <cnp.ndarray>self.arrays[i], <tuple>self.axes[i], &last):
                return i
        return -1

    cdef bint _same(self, tensor, cnp.ndarray a, tuple axes, recent *last) except -1:
        cdef lrc_foreign t
        cdef lrc_exchange *exchange = _exchange(tensor, last)
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
