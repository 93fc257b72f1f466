# The numbers of a plan's groups: set once, or by a Curve before each step.

#: Numbers of a group beyond its hyper-parameters, as if they were further places of h.
cdef enum:
    CLIP_VALUE = -1
    CLIP_NORM = -2


cdef int _set_number(Plan plan, int group, int slot, value, interval, str who, str name) except -1:
    cdef Curve curve = value if isinstance(value, Curve) else None
    cdef double *number = _number(plan, group, slot)
    cdef const lrc_schedule **schedule = _schedule(plan, group, slot)
    if curve is None:
        number[0] = value
        schedule[0] = NULL
        plan.curves.pop((group, slot), None)
    else:
        schedule[0] = &curve.c
        plan.curves[(group, slot)] = (curve, interval, who, name)
    return 0


cdef double *_number(Plan plan, int group, int slot) noexcept:
    if group < 0:
        return &plan.plan.clip_norm
    if slot == CLIP_NORM:
        return &plan.groups[group].clip_norm
    if slot == CLIP_VALUE:
        return &plan.groups[group].clip_value
    return &plan.groups[group].h[slot]


cdef const lrc_schedule **_schedule(Plan plan, int group, int slot) noexcept:
    if group < 0:
        return &plan.plan.clip_norm_schedule
    if slot == CLIP_NORM:
        return &plan.groups[group].clip_norm_schedule
    if slot == CLIP_VALUE:
        return &plan.groups[group].clip_value_schedule
    return &plan.groups[group].schedule[slot]


cdef int _refresh(Plan plan) except -1:
    """Put the schedules' values for this update in place; refuse one out of its domain."""
    cdef Curve curve
    if not plan.curves:
        return 0
    lrc_refresh(plan.plan)
    errors = [curve.take_error() for curve, *_ in plan.curves.values()]
    for error in errors:
        if error is not None:
            raise error
    for (group, slot), (curve, interval, who, name) in plan.curves.items():
        interval.check(f"{who} at update {plan.plan.t}", name, _number(plan, group, slot)[0])
    return 0
