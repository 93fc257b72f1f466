"""The library in a process: forks, threads, shutdown, signals, the floating-point environment,
environment variables and the cost of the import. Each case runs in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
from support import missing, python, require, run

import lrcore

posix = pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: for POSIX")

#: `train(seed)` returns the bits of parameters and state after some steps on many chunks.
PRELUDE = """
import atexit, hashlib, os, signal, sys, threading, time
import numpy as np
import lrcore
from lrcore import schedules

def optimizer(seed, n=100_003, **options):
    w = np.random.default_rng(seed).standard_normal(n).astype(np.float32)
    lr = schedules.Cosine(1e-2, steps=20, warmup=3)
    return lrcore.AdamW(w, lr=lr, clip_norm=50.0, **options), w

def steps(opt, w, count):
    for _ in range(count):
        opt.step(w * np.float32(0.5))

def bits(opt, w):
    (state,) = opt.state.values()
    arrays = [w, *state.values()]
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()

def train(seed, count=8):
    opt, w = optimizer(seed)
    steps(opt, w, count)
    return bits(opt, w)

def alone(seed, count=8):
    lrcore.set_num_threads(1)
    out = train(seed, count)
    lrcore.set_num_threads(3)
    return out

def hurry():
    if hasattr(signal, "alarm"):
        signal.alarm(50)  # a hang ends the process, a child of a fork too

hurry()
lrcore._core.set_parallel_from(0)
lrcore.set_num_threads(3)
"""


def script(code, **environment):
    return python(PRELUDE + code, **environment).split()


# ---------------------------------------------------------------------------- processes


@posix
def test_parent_and_child_step_on_after_a_fork():
    told = script("""
expected = alone(1)
opt, w = optimizer(1)
steps(opt, w, 4)
child = os.fork()
hurry()
steps(opt, w, 4)
same = bits(opt, w) == expected and train(1) == expected
if child == 0:
    grandchild = os.fork()
    hurry()
    same = same and train(1) == expected
    if grandchild:
        same = same and os.waitpid(grandchild, 0)[1] == 0
    os._exit(not same)
print(same, os.waitpid(child, 0)[1])
""")
    assert told == ["True", "0"]


@posix
def test_fork_while_another_thread_is_stepping():
    told = script("""
expected = alone(1)
stop = threading.Event()
def busy():
    opt, w = optimizer(2, 1_000_000)
    while not stop.is_set():
        steps(opt, w, 1)
thread = threading.Thread(target=busy)
thread.start()
statuses = []
for i in range(12):
    time.sleep(0.003 * i)
    child = os.fork()
    if child == 0:
        hurry()
        os._exit(train(1) != expected)
    statuses.append(os.waitpid(child, 0)[1])
stop.set()
thread.join()
print(set(statuses), train(1) == expected)
""")
    assert told == ["{0}", "True"]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_multiprocessing(tmp_path, method):
    main = tmp_path / "main.py"
    main.write_text(
        PRELUDE
        + f"""
if __name__ == "__main__":
    import multiprocessing
    expected = [alone(seed) for seed in range(4)]
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print(pool.map(train, range(4)) == expected)
"""
    )
    assert run(sys.executable, main).stdout == "True\n"


# ------------------------------------------------------------------------------ threads


def test_threads_with_an_optimizer_each():
    told = script("""
expected = {seed: alone(seed, 20) for seed in range(6)}
got = {}
threads = [threading.Thread(target=lambda s=s: got.update({s: train(s, 20)})) for s in expected]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(got == expected)
""")
    assert told == ["True"]


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_threads_with_one_optimizer_take_turns_or_are_told(backend):
    told = script(f"""
sys.setswitchinterval(1e-5)
opt, w = optimizer(1, backend={backend!r})
g = np.ones_like(w)
made, refused, other = [], [], []
def step():
    for _ in range(30):
        try:
            made.append(opt.step(g))
        except RuntimeError as error:
            refused.append(str(error))
        except BaseException as error:
            other.append(error)
threads = [threading.Thread(target=step) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
again, v = optimizer(1)
for _ in made:
    again.step(g)
assert not other and all("left alone while it makes a step" in r for r in refused)
print(opt.t == len(made), len(made) + len(refused), bits(opt, w) == bits(again, v))
""")
    assert told == ["True", "120", "True"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="NOT TESTED: reads /proc")
def test_workers_start_late_and_take_no_signals():
    told = python("""
import os, numpy as np
def tasks():
    return set(os.listdir("/proc/self/task"))
def blocked(task):
    with open(f"/proc/self/task/{task}/status") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith("SigBlk"))
before = tasks()
import lrcore
lrcore.set_num_threads(3)
w = np.ones(200_000)
opt = lrcore.SGD(w, lr=0.1)
small = np.ones(1000)
lrcore.SGD(small, lr=0.1).step(small.copy())
late = tasks() == before
opt.step(w.copy())
new = tasks() - before
print(late, len(new), all(blocked(task) >> 1 & 1 and blocked(task) >> 14 & 1 for task in new))
""")
    assert told.split() == ["True", "2", "True"]  # SIGINT is 2, SIGTERM 15


# ----------------------------------------------------------------------------- shutdown


def test_step_at_exit():
    told = script("""
expected = alone(1)
opt, w = optimizer(1)
@atexit.register
def last():
    steps(opt, w, 8)
    print(bits(opt, w) == expected)
""")
    assert told == ["True"]


def test_step_while_the_interpreter_shuts_down():
    told = script("""
class Last:
    def __init__(self):
        self.opt, self.w = optimizer(1)
        self.g = self.w * np.float32(0.5)
        self.write, self.finalizing = os.write, sys.is_finalizing
        self.me = self  # a cycle: collected at the very end

    def __del__(self):
        made = self.opt.step(self.g)
        self.write(1, f"{made} {self.opt.t} {self.finalizing()}".encode())

last = Last()
""")
    assert told == ["True", "1", "True"]


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.1])
def test_exit_while_a_daemon_thread_steps(delay):
    told = script(f"""
opt, w = optimizer(1, 2_000_000)
started = threading.Event()
def run():
    while True:
        steps(opt, w, 1)
        started.set()
threading.Thread(target=run, daemon=True).start()
started.wait()
time.sleep({delay})
print("done")
""")
    assert told == ["done"]


# ------------------------------------------------------------------------------ signals


@posix
def test_ctrl_c_arrives():
    """Between two steps, with a whole number of them made."""
    code = (
        PRELUDE
        + """
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
w = np.ones(8_000_000, np.float32)
g = np.full_like(w, 0.25)
opt = lrcore.Adam(w, lr=1e-3)
print("ready", flush=True)
try:
    while True:
        opt.step(g)
except KeyboardInterrupt:
    one = np.ones(1, np.float32)
    again = lrcore.Adam(one, lr=1e-3)
    while again.t < opt.t:
        again.step(g[:1])
    print(opt.t > 0, (w == one).all())
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        told = process.communicate(timeout=30)[0].split()
    assert told == ["True", "True"]
    assert process.returncode == 0
    assert time.monotonic() - sent < 15


@posix
def test_ctrl_c_in_a_schedule_of_ones_own():
    told = script("""
signal.signal(signal.SIGINT, signal.default_int_handler)
def lr(t):
    if t == 2:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(10):  # the interpreter looks for signals here
            time.sleep(0.01)
    return 0.1
w = np.ones(3)
opt = lrcore.SGD(w, lr=schedules.Lambda(lr))
try:
    for _ in range(5):
        before = w.copy()
        opt.step(np.ones(3))
except KeyboardInterrupt:
    print(opt.t, (w == before).all())
""")
    assert told == ["2", "True"]


# ------------------------------------------------------ the floating-point environment

MODE = """
#if defined(__x86_64__)
#include <xmmintrin.h>
unsigned get(void) { return _mm_getcsr() & ~0x3fu; } /* without the flags of what has happened */
void set(unsigned mode) { _mm_setcsr(mode); }
#else
unsigned get(void)
{
    unsigned long mode;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(mode));
    return (unsigned)mode;
}
void set(unsigned mode)
{
    __asm__ __volatile__("msr fpcr, %0" : : "r"((unsigned long)mode));
}
#endif
"""
MACHINE = os.uname().machine if hasattr(os, "uname") else ""
MODES = {
    "x86_64": {"flush to zero": 0x9FC0, "upwards": 0x5F80, "towards zero": 0x7F80, "trap": 0x1D00},
    "aarch64": {"flush to zero": 1 << 24, "upwards": 1 << 22, "towards zero": 3 << 22},
}.get(MACHINE, {})


@pytest.fixture(scope="module")
def mode_library(tmp_path_factory):
    if not MODES:
        missing(f"way to set the rounding mode on {MACHINE}")
    folder = tmp_path_factory.mktemp("mode")
    (folder / "mode.c").write_text(MODE)
    run(require("cc"), "-shared", "-fPIC", folder / "mode.c", "-o", folder / "mode.so")
    return str(folder / "mode.so")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_results_do_not_see_the_floating_point_environment(mode_library, mode, backend):
    """Nor does a step leave one behind: also not one that is refused."""
    told = script(f"""
import ctypes
mode = ctypes.CDLL({mode_library!r})
mode.get.restype = ctypes.c_uint

def run(wanted):
    rng = np.random.default_rng(1)
    w = rng.standard_normal(50_001).astype(np.float32)
    thirds = np.array([1, -1, 1e-38], np.float32)
    g = (rng.standard_normal(w.size) * 10.0 ** rng.integers(-44, 20, w.size)).astype(np.float32)
    w[::7] *= np.float32(1e-38)
    g[::5] = 0
    nan = np.full_like(g, np.nan)
    s = schedules.Polynomial(1e-3, 50, power=1.7, warmup=3)
    opt = lrcore.Adam(w, lr=s, eps=0.0, clip_norm=1e9, backend={backend!r})
    t = np.arange(50)
    before = mode.get()
    if wanted is not None:
        mode.set(ctypes.c_uint(wanted))
    thirds /= np.float32(3)
    values = s(t)
    one = s(7), s.reference(7)
    kept = mode.get() == (before if wanted is None else wanted)
    for _ in range(10):
        opt.step(g)
    kept = kept and mode.get() == (before if wanted is None else wanted)
    try:
        opt.step(nan)
        kept = False
    except lrcore.NonFiniteError:
        pass
    kept = kept and mode.get() == (before if wanted is None else wanted)
    mode.set(ctypes.c_uint(before))
    return kept, thirds.tobytes(), bits(opt, w), values.tobytes(), one

usual, odd = run(None), run({MODES[mode]})
print(usual[0], odd[0], usual[1] == odd[1], usual[2:] == odd[2:])
""")
    assert told == ["True", "True", str(mode == "trap"), "True"]


def test_workers_start_in_an_odd_environment(mode_library):
    """Threads inherit the environment of the one that starts them."""
    told = script(f"""
import ctypes
mode = ctypes.CDLL({mode_library!r})
lrcore.set_num_threads(4)
opt, w = optimizer(1)
g = w * np.float32(1e-39)
mode.set(ctypes.c_uint({MODES["flush to zero"]}))
opt.step(g)
mode.set(ctypes.c_uint({0x1F80 if MACHINE == "x86_64" else 0}))
lrcore.set_num_threads(1)
again, v = optimizer(1)
again.step(v * np.float32(1e-39))
print(bits(opt, w) == bits(again, v))
""")
    assert told == ["True"]


# ---------------------------------------------------------------- environment variables

CONFIG = "import lrcore; print(lrcore.get_num_threads(), lrcore.get_isa())"


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({"LRCORE_NUM_THREADS": "2"}, 2),
        ({"LRCORE_NUM_THREADS": "5", "OMP_NUM_THREADS": "3"}, 5),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "3,2"}, 3),
        ({"LRCORE_NUM_THREADS": "", "OMP_NUM_THREADS": "3"}, 3),
        ({"LRCORE_NUM_THREADS": "100000"}, 64),
    ],
    ids=str,
)
def test_number_of_threads_from_the_environment(variables, threads):
    assert python(CONFIG, **variables).split()[0] == str(threads)


@pytest.mark.parametrize("value", ["", "0", "-2", "many"])
def test_odd_omp_num_threads_is_not_ours_to_refuse(value):
    assert python(CONFIG, OMP_NUM_THREADS=value) == python(CONFIG)


@pytest.mark.parametrize("isa", ["", *lrcore.isas()])
def test_instruction_set_from_the_environment(isa):
    assert python(CONFIG, LRCORE_ISA=isa).split()[1] == (isa or lrcore.isas()[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("LRCORE_NUM_THREADS", v) for v in ("0", "-1", "two", "1.5", " ", "0x2", "²")),
        *(("LRCORE_ISA", v) for v in ("avx9000", "AVX2", "0", " ", "sse2,avx2")),
    ],
)
def test_nonsense_in_the_environment_is_refused_in_one_sentence(name, value):
    done = subprocess.run(
        [sys.executable, "-c", "import lrcore"],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ValueError: {name} must be ")
    assert last.endswith(f"got {value!r}")


# ------------------------------------------------------------------------------- import

OPTIONAL = ("matplotlib", "rich", "sklearn", "scipy", "pandas", "torch", "jax", "optax")


def test_import_takes_no_optional_dependency():
    told = python("import sys, lrcore, lrcore.schedules; print(*sys.modules)").split()
    assert "lrcore" in told
    assert set(OPTIONAL) & {name.split(".")[0] for name in told} == set()


def test_import_is_quick():
    """Beyond `import numpy`; the processor's time, and the least of several runs, since a busy
    machine only ever adds.
    """
    code = """
import time, numpy
start = time.thread_time()
import lrcore
print(time.thread_time() - start)
"""
    least = min(float(python(code)) for _ in range(7))
    assert least < 0.050, f"import lrcore took {least * 1e3:.0f} ms"


# --------------------------------------------------------------------------- workers

WORKERS = """
def others():
    return [int(t) for t in os.listdir("/proc/self/task") if int(t) != threading.get_native_id()]
def ticks(task):
    with open(f"/proc/self/task/{task}/stat") as stat:
        return sum(int(x) for x in stat.read().rsplit(")", 1)[1].split()[11:13])
cores = os.sched_getaffinity(0)
before = set(others())
lrcore.set_num_threads(2)
opt, w = optimizer(1, n=4_000_000)
g = w * np.float32(0.5)
"""
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="NOT TESTED: reads /proc")


@linux
def test_workers_do_their_part_and_keep_off_the_callers_core():
    told = script(f"""{WORKERS}
for _ in range(5):
    time.sleep(0.05)
    for _ in range(20):
        opt.step(g)
(worker,) = set(others()) - before
mine = os.sched_getaffinity(worker)
print(len(cores) == 1 or ticks(worker) > 0, os.sched_getaffinity(0) == cores)
print(mine <= cores and len(mine) == max(1, len(cores) - 1))
""")
    assert told == ["True", "True", "True"]


@linux
@posix
def test_a_forked_child_has_workers_of_its_own():
    told = script(f"""{WORKERS}
opt.step(g)
child = os.fork()
if child == 0:
    alone = len(others())
    opt.step(g)
    print(alone, len(others()), flush=True)
    os._exit(0)
os.waitpid(child, 0)
""")
    assert told == ["0", "1"]
