# Gradients: checked, and put in place for a step; copied where they cannot be read as they are.

from collections.abc import Mapping

from lrcore._rows import RowGrad


cdef int _match(Plan plan, tree, grads) except -1:
    """Put the gradients, in the structure of the parameters, into the tensors."""
    cdef Py_ssize_t i
    if type(tree) is int:
        return _set(plan, tree, grads)
    label, keys, children = tree
    if grads is None:
        for child in <tuple>children:
            _match(plan, child, None)
        return 0
    if keys is None:
        if not isinstance(grads, (list, tuple)):
            raise TypeError(f"{label}: must be a list or tuple of {len(children)}, "
                            f"got {type(grads).__name__}")
        if len(grads) != len(<tuple>children):
            raise ValueError(f"{label}: must have {len(children)} entries, got {len(grads)}")
        for i in range(len(<tuple>children)):
            if type(grads) is list:
                _match(plan, (<tuple>children)[i], (<list>grads)[i])
            else:
                _match(plan, (<tuple>children)[i], grads[i])
        return 0
    if not isinstance(grads, (dict, Mapping)):
        raise TypeError(f"{label}: must be a dict with the keys of the parameters, "
                        f"got {type(grads).__name__}")
    for i in range(len(<tuple>children)):
        key = (<tuple>keys)[i]
        if key not in grads:
            raise ValueError(f"{label}: must have the key {key!r} (None leaves it alone), "
                             f"got {list(grads)}")
        _match(plan, (<tuple>children)[i], grads[key])
    if len(grads) != len(<tuple>children):
        extra = [key for key in grads if key not in <tuple>keys]
        raise ValueError(f"{label}: must have the keys of the parameters, got also {extra}")
    return 0


cdef int _set(Plan plan, Py_ssize_t i, grad) except -1:
    cdef lrc_tensor *x = &plan.tensors[i]
    cdef cnp.ndarray p = <cnp.ndarray>(<list>plan.params)[i], g
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
            return _set_rows(plan, i, grad)
        if not plan.zeroing and not plan.collecting and _set_foreign(plan, i, grad):
            return 0
        if plan.strict:
            raise TypeError(f"grads{plan.labels[i]}: must be a tensor of the parameter's dtype "
                            f"that can be read where it is, got {type(grad).__name__}")
        grad = _as_array(plan, i, grad)
    g = grad
    if not cnp.PyArray_CheckExact(grad) and hasattr(grad, "mask"):
        raise TypeError(f"grads{plan.labels[i]}: must have no mask; fill the array first")
    number = _dtype(g)
    if number < 0:
        raise TypeError(f"grads{plan.labels[i]}: dtype must be float32, float64, float16 or "
                        f"bfloat16, got {g.dtype}")
    if cnp.PyArray_NDIM(g) != ndim:
        _wrong_shape(plan, i, g)
    for d in range(ndim):
        if cnp.PyArray_DIM(g, d) != cnp.PyArray_DIM(p, d):
            _wrong_shape(plan, i, g)
    if plan.zeroing:
        _check_zeroed(plan, i, given, g)
    if not cnp.PyArray_ISALIGNED(g) or cnp.PyArray_ISBYTESWAPPED(g):
        g = np.array(g, g.dtype.newbyteorder("="))
    elif plan.zeroing and _may_fold(g):
        g = g.copy()
    s = _span(g)
    if s.low != plan.seen[i].low or s.high != plan.seen[i].high:
        if not _is_written(plan, s):
            plan.seen[i] = s
        elif plan.zeroing:
            raise ValueError(f"grads{plan.labels[i]}: must share no memory with parameters or "
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
    plan.held.append(g)
    return 0


cdef bint _set_foreign(Plan plan, Py_ssize_t i, grad) except -1:
    """A tensor of another library, if it can be read where it is; otherwise as an array."""
    cdef lrc_tensor *x = &plan.tensors[i]
    cdef cnp.ndarray p = <cnp.ndarray>(<list>plan.params)[i]
    cdef lrc_exchange *exchange = _exchange(grad, &plan.last)
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
    if plan.strict and number != _dtype(p):
        return False
    for d in range(ndim):
        if t.shape[d] != cnp.PyArray_DIM(p, d):
            return False
    s = _foreign_span(&t)
    if s.low % (t.bits // 8) != 0 or t.data == NULL and s.low != s.high:
        return False  # misaligned, or a tensor whose numbers are inside of another object
    if s.low != plan.seen[i].low or s.high != plan.seen[i].high:
        if _is_written(plan, s):
            return False
        plan.seen[i] = s
    in_order = _is_dense(&t, c_order)
    x.g_ndim = 0 if in_order else ndim
    if not in_order:
        for d in range(ndim):
            k = d if c_order else ndim - 1 - d
            (<int64_t *>x.g_shape)[d] = t.shape[k]
            (<int64_t *>x.g_stride)[d] = _stride(&t, k) * (t.bits // 8)
    x.g = _first(&t) if _first(&t) != NULL else x.p  # of a tensor without elements
    x.g_dtype = number
    plan.held.append(grad)
    return True


cdef int _check_zeroed(Plan plan, Py_ssize_t i, grad, cnp.ndarray g) except -1:
    """A gradient that the step is to set to zero."""
    if grad is not g and not (hasattr(grad, "__array__") and np.may_share_memory(grad, g)):
        raise TypeError(f"grads{plan.labels[i]}: must be an array, since zero_grads sets it to "
                        f"zero, got {type(grad).__name__}")
    if not cnp.PyArray_ISWRITEABLE(g):
        raise ValueError(f"grads{plan.labels[i]}: must be writable, since zero_grads sets it "
                         "to zero, got a read-only array")
    plan.given.append((i, g))
    return 0


cdef int _check_apart(Plan plan) except -1:
    """Gradients that are set to zero must not be read through another afterwards."""
    cdef Py_ssize_t i, m = len(plan.given)
    cdef span *spans
    cdef uint64_t places = m
    cdef bint apart = True
    if m < 2:
        return 0
    spans = <span *>PyMem_Calloc(m, sizeof(span))
    if spans == NULL:
        raise MemoryError
    for i in range(m):
        spans[i] = _span((<list>plan.given)[i][1])
        places = (places ^ spans[i].low) * 0x9e3779b97f4a7c15u
        places = (places ^ spans[i].high) * 0x9e3779b97f4a7c15u
    if places != plan.apart:
        qsort(spans, m, sizeof(span), _by_low)
        for i in range(1, m):
            apart = apart and spans[i].low >= spans[i - 1].high
    PyMem_Free(spans)
    if not apart:
        _check_interleaved(plan)
    plan.apart = places
    return 0


cdef int _check_interleaved(Plan plan) except -1:
    """Whether gradients that lie between each other, as columns do, share an element."""
    for i in range(1, len(plan.given)):
        for j in range(i):
            if np.shares_memory(plan.given[i][1], plan.given[j][1]):
                a, b = plan.labels[plan.given[i][0]], plan.labels[plan.given[j][0]]
                raise ValueError(f"grads{a}: must share no memory with grads{b}, since "
                                 "zero_grads sets both to zero")
    return 0


cdef _as_array(Plan plan, Py_ssize_t i, grad):
    if isinstance(grad, (float, np.generic)) or hasattr(grad, "__array__"):
        return np.asarray(grad)
    raise TypeError(f"grads{plan.labels[i]}: must be a NumPy array or None, "
                    f"got {type(grad).__name__}")


cdef int _wrong_shape(Plan plan, Py_ssize_t i, g) except -1:
    raise ValueError(f"grads{plan.labels[i]}: shape must be {plan.params[i].shape}, "
                     f"got {g.shape}")
