# What applies to the process: the floating-point environment, instruction sets, threads, the build.

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
    uint64_t lrc_fenv_set()
    void lrc_fenv_restore(uint64_t before)


@cython.final
cdef class FloatEnvironment:
    """Round to nearest and keep subnormals, as a step in C does, for the length of a `with`."""

    cdef uint64_t before

    def __enter__(self):
        self.before = lrc_fenv_set()

    def __exit__(self, *error):
        lrc_fenv_restore(self.before)


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
