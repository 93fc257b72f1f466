# A schedule as C evaluates it: Curve.


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
