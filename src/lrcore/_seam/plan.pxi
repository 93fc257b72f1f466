# The class Plan: what a step works on, its options, the calls that make steps. What it does with
# arrays, numbers and gradients is in tensors, numbers, gradients and rows.pxi.

from libc.math cimport NAN


class NonFiniteError(FloatingPointError):
    """A gradient held inf or NaN; parameters, state and counters are as they were."""


cdef enum:
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
    cdef recent last  # of the gradients of a step
    cdef Py_ssize_t n, n_groups, n_written
    cdef readonly list params
    cdef object tree, stats, error
    cdef readonly object matrices
    cdef list stores, labels, held, given
    cdef dict curves, rooms
    cdef bint busy, zeroing, adding
    cdef bint unnoted  # where a step writes has changed since it was noted
    cdef bint collecting  # gradients are wanted as arrays
    cdef public bint strict  # a tensor of another library must have the dtype of its parameter
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
            _fill(&self.tensors[i], p, stores[i])
        _note_written(self)
        self.plan = lrc_plan_new(rule, self.n, self.tensors, n_groups, self.groups)
        if self.plan == NULL:
            raise MemoryError

    def rebind(self, Py_ssize_t i, store, int64_t age, list scalars):
        """Go on with other arrays beside parameter i, of the same kinds, after so many updates."""
        cdef int j
        self.stores[i] = store
        _fill(&self.tensors[i], self.params[i], store)
        self.tensors[i].t, self.tensors[i].summed = age, 0
        for j in range(len(scalars)):
            self.tensors[i].scalar[j] = scalars[j]
        self.unnoted = True

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
        _set_number(self, group, slot, NAN if value is None else value, interval, who, name)

    def set_clip_value(self, int group, value, interval, str who):
        _set_number(self, group, CLIP_VALUE, 0.0 if value is None else value, interval, who,
                    "clip_value")

    def set_clip_norm(self, int group, value, interval, str who):
        """Of a group, or with group -1 of all that have none of their own."""
        _set_number(self, group, CLIP_NORM, 0.0 if value is None else value, interval, who,
                    "clip_norm")

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

    def hypers(self, int group):
        """h of a group, as the last refresh left it."""
        return [self.groups[group].h[i] for i in range(LRC_MAX_HYPERS)]

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
            _note_written(self)
        if self.zeroing:
            self.given.clear()
        _match(self, self.tree, grads)
        if self.zeroing:
            _check_apart(self)
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
            _refresh(self)
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

    def zero(self):
        """Set the gradients last given to zero, in whatever form they came."""
        for _, g in self.given:
            g[...] = 0
        self.given.clear()

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

    # ------------------------------------------------- what is kept between steps

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

    def age(self, Py_ssize_t i):
        """Updates that parameter i has had."""
        return self.tensors[i].t

    def kept(self, Py_ssize_t i):
        """What the rule keeps for parameter i, where it keeps numbers for each: a list."""
        cdef int j, count = len(_names(lrc_rules[self.plan.rule].scalars))
        return [self.tensors[i].scalar[j] for j in range(count)]

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

    @property
    def grad_norm(self):
        """Of the last step made, over the groups that are not clipped alone."""
        return self.plan.grad_norm

    @grad_norm.setter
    def grad_norm(self, double norm):
        self.plan.grad_norm = norm
