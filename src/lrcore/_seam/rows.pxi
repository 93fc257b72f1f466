# The gradient of some rows, a RowGrad: where it has a meaning, and how it is put in place.

from lrcore._rows import refused


cdef int _set_rows(Plan plan, Py_ssize_t i, grad) except -1:
    """The gradient of some rows."""
    cdef lrc_tensor *x = &plan.tensors[i]
    cdef cnp.ndarray p = <cnp.ndarray>(<list>plan.params)[i], g = grad.values, room
    cdef cnp.ndarray indices = grad.indices
    cdef Py_ssize_t n = cnp.PyArray_SIZE(indices)
    cdef int64_t bad
    _check_rows(plan, i, p)
    if grad.shape != (<object>p).shape:
        _wrong_shape(plan, i, grad)
    # What was checked when the RowGrad was made: its arrays may have been given other shapes.
    if (<object>g).shape != (n, *grad.shape[1:]) or cnp.PyArray_ITEMSIZE(indices) != 8:
        raise ValueError(f"grads{plan.labels[i]}: indices and values must stay of the shapes "
                         "and dtypes that their RowGrad was made with")
    if not cnp.PyArray_IS_C_CONTIGUOUS(g) or not cnp.PyArray_ISBEHAVED_RO(g):
        g = np.array(g, g.dtype.newbyteorder("="), order="C")
    elif _is_written(plan, _span(g)):
        g = g.copy()
    room = _row_room(plan, i, 4 * n)
    bad = lrc_name_rows(x, cnp.PyArray_DIM(p, 0), n, <int64_t *>cnp.PyArray_DATA(indices),
                        <int64_t *>cnp.PyArray_DATA(room))
    if bad >= 0:
        raise IndexError(f"grads{plan.labels[i]}: indices[{bad}] must be in "
                         f"[0, {cnp.PyArray_DIM(p, 0)}), got {indices[bad]}")
    x.g_ndim = 0
    x.g = cnp.PyArray_DATA(g)
    x.g_dtype = _dtype(g)
    plan.held.append((indices, g))
    return 0


cdef cnp.ndarray _row_room(Plan plan, Py_ssize_t i, Py_ssize_t n):
    """At least n numbers, kept from step to step: new memory costs more than what it is for."""
    cdef cnp.ndarray room = plan.rooms.get(i)
    if room is None or cnp.PyArray_SIZE(room) < n:
        room = plan.rooms[i] = np.empty(n + n // 4, np.int64)
    return room


cdef bint _has_rows(const lrc_rule_info *row):
    """Whether a rule takes the gradient of some rows."""
    return b"rows" in (<bytes>row.notes).split()


cdef int _check_rows(Plan plan, Py_ssize_t i, cnp.ndarray p) except -1:
    """Refuse the gradient of some rows where it has no meaning."""
    cdef lrc_tensor *x = &plan.tensors[i]
    cdef const lrc_rule_info *row = &lrc_rules[plan.plan.rule]
    cdef int j
    why = None
    if plan.adding:
        why = "accumulate adds up whole gradients"
    elif plan.zeroing:
        why = "zero_grads sets it to zero"
    elif plan.plan.stats != NULL and not plan.every:
        why = "stats measures whole parameters"
    elif plan.groups[x.group].agc != 0:
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
        raise TypeError(refused(row.name.decode(), plan.labels[i], why))
    plan._measure(False)
    return 0
