# A step or a schedule as csrc/xla.c runs it for compiled JAX code, without Python.

from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy

cdef extern from "xla.h" nogil:
    enum:
        LRC_XLA_P
        LRC_XLA_STATE
        LRC_XLA_SCALE
        LRC_XLA_MASTER
        LRC_XLA_AVERAGE

    ctypedef struct lrc_xla_place:
        int64_t tensor
        int kind
        int number
        int64_t n

    ctypedef struct lrc_xla_number:
        int at
        int given
        double low
        double high
        int closed_low
        int closed_high
        const char *must

    ctypedef struct lrc_xla_program:
        int64_t key
        const lrc_plan *plan
        const lrc_schedule *schedule
        int64_t n_places
        int64_t n_numbers
        const lrc_xla_place *places
        const lrc_xla_number *numbers
        const char *who
        const char **labels
        int n_scalars
        int needs_loss
        int (*error)(void *user, char *text, size_t size) noexcept
        int (*host)(void *user, void **in_, void **out, char *text, size_t size) noexcept
        int64_t n_in
        int64_t n_out
        void *user

    void lrc_xla_add(lrc_xla_program *program)
    void lrc_xla_set_minor(int minor)
    void *lrc_xla_step(void *frame)
    void *lrc_xla_schedule(void *frame)
    int64_t lrc_xla_end()


#: What programs point to: it stays, since nobody knows how long a compiled function does.
_programs = []


cdef void *_room(size_t size) except NULL:
    cdef void *room = PyMem_Calloc(size + 1, 1)
    if room == NULL:
        raise MemoryError
    return room


cdef const char *_kept(str text):
    """The bytes of a text, which stay."""
    cdef bytes raw = text.encode()
    _programs.append(raw)
    return raw


cdef int _tell(error, char *text, size_t size) noexcept:
    """Put an exception into a text."""
    cdef bytes raw = f"{type(error).__name__}: {error}".encode()[: size - 1]
    memcpy(text, <const char *>raw, len(raw) + 1)
    return 1


cdef int _raised(void *user, char *text, size_t size) noexcept with gil:
    """What a schedule's function raised, as a text; 0: nothing."""
    cdef Curve curve
    owner = <object>user
    curves = [owner] if isinstance(owner, Curve) else [c for c, *_ in (<Plan>owner).curves.values()]
    for curve in curves:
        if (error := curve.take_error()) is not None:
            return _tell(error, text, size)
    return 0


cdef int _on_host(void *user, void **in_, void **out, char *text, size_t size) noexcept with gil:
    """A step that is made by a function of the addresses of operands and results."""
    cdef int64_t i
    function, n_in, n_out = <tuple>user
    try:
        function([<uintptr_t>in_[i] for i in range(n_in)],
                 [<uintptr_t>out[i] for i in range(n_out)])
    except BaseException as error:
        _tell(error, text, size)
        return 0
    return 1


def add_host(int64_t key, function, int64_t n_in, int64_t n_out):
    """Let calls that name `key` make a step by a function of addresses."""
    cdef lrc_xla_program *x = <lrc_xla_program *>_room(sizeof(lrc_xla_program))
    cdef tuple user = (function, n_in, n_out)
    _programs.append(user)
    x.key, x.host, x.n_in, x.n_out, x.user = key, _on_host, n_in, n_out, <void *>user
    lrc_xla_add(x)


def add_schedule(int64_t key, Curve curve not None, str who not None):
    """Let calls that name `key` evaluate a schedule."""
    cdef lrc_xla_program *x = <lrc_xla_program *>_room(sizeof(lrc_xla_program))
    x.key, x.schedule, x.who = key, &curve.c, _kept(who)
    x.error, x.user = _raised, <void *>curve
    _programs.append(curve)
    lrc_xla_add(x)


def add_step(int64_t key, Plan plan not None, str who not None, list places, list numbers,
             int n_scalars, bint needs_loss):
    """Let calls that name `key` make a step like the plan's, which has one group.

    `places` are what is written to, in the order of the operands: tensor, "p", "state", "scale",
    "master" or "average", of several which, elements. `numbers` are looked at before each step:
    place in h (or -1, -2), whether it is handed over, the interval, its name.
    """
    cdef Py_ssize_t i
    cdef lrc_xla_program *x = <lrc_xla_program *>_room(sizeof(lrc_xla_program))
    cdef lrc_xla_place *place = <lrc_xla_place *>_room(len(places) * sizeof(lrc_xla_place))
    cdef lrc_xla_number *number = <lrc_xla_number *>_room(len(numbers) * sizeof(lrc_xla_number))
    cdef const char **labels = <const char **>_room(plan.n * sizeof(char *))
    kinds = {"p": LRC_XLA_P, "state": LRC_XLA_STATE, "scale": LRC_XLA_SCALE,
             "master": LRC_XLA_MASTER, "average": LRC_XLA_AVERAGE}
    for i in range(plan.n):
        labels[i] = _kept(plan.labels[i])
    for i in range(len(places)):
        tensor, kind, which, n = places[i]
        place[i].tensor, place[i].kind = tensor, kinds[kind]
        place[i].number, place[i].n = which, n
    for i in range(len(numbers)):
        at, given, interval, name = numbers[i]
        number[i].at, number[i].given = at, given
        number[i].low, number[i].high = interval.low, interval.high
        number[i].closed_low, number[i].closed_high = interval.closed_low, interval.closed_high
        number[i].must = _kept(f"{name} must be {interval}")
    x.key, x.plan, x.who, x.labels = key, plan.plan, _kept(who), labels
    x.n_places, x.places, x.n_numbers, x.numbers = len(places), place, len(numbers), number
    x.n_scalars, x.needs_loss = n_scalars, needs_loss
    x.error, x.user = _raised, <void *>plan
    _programs.append(plan)
    lrc_xla_add(x)


def handlers(int minor):
    """The functions that XLA calls, by name, as capsules; its interface has version 0.`minor`."""
    lrc_xla_set_minor(minor)
    return {"lrcore_step": PyCapsule_New(<void *>lrc_xla_step, NULL, NULL),
            "lrcore_schedule": PyCapsule_New(<void *>lrc_xla_schedule, NULL, NULL)}


def end_calls():
    """Let no call begin any more; how many there still are."""
    return lrc_xla_end()
