# NumPy arrays as C sees them: which bytes they take, and in which format.


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
