# A parameter and the arrays beside it as C is told of them, and where in memory a step writes.


cdef int _fill(lrc_tensor *x, cnp.ndarray p, store) except -1:
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


cdef int _note_written(Plan plan) except -1:
    """Where in memory a step writes."""
    plan.n_written = 0
    for store in plan.stores:
        for a in (store.p, *store.states, *store.scales, *store.averages, store.master,
                  store.sum, store.trace, store.work, *store.matrices.values()):
            if a is not None:
                _write(plan, a)
    qsort(plan.written, plan.n_written, sizeof(span), _by_low)
    memset(plan.seen, 0, plan.n * sizeof(span))
    plan.unnoted = False
    return 0


cdef int _write(Plan plan, cnp.ndarray a) except -1:
    cdef span s = _span(a)
    if s.low < s.high:
        plan.written[plan.n_written] = s
        plan.n_written += 1
    return 0


cdef bint _is_written(Plan plan, span s) noexcept:
    """Whether a step writes to any of these bytes."""
    cdef Py_ssize_t low = 0, high = plan.n_written, middle
    while low < high:
        middle = (low + high) // 2
        if plan.written[middle].high <= s.low:
            low = middle + 1
        else:
            high = middle
    return low < plan.n_written and plan.written[low].low < s.high
