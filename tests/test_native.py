"""The C library outside Python: a C program, a C++ program and a Cython module built against the
installed package (nothing of the checkout but their own source) return the bits of the classes."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from support import INCLUDE, LINK, STRICT, compile_c, missing, require, run

import lrcore
from lrcore import _cases, _verify, schedules
from lrcore.reference.storage import random16

SOURCES = Path(__file__).parent / "c"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="NOT TESTED: builds with cc")


def classes_do_the_example(n, steps, watched=False):
    """What example.c and example.pyx do, by the Python classes."""
    w = np.zeros(n, np.float32)
    i = np.arange(n)
    curve = (1 << i % 4).astype(np.float32)
    target = ((i % 100) / 64).astype(np.float32)
    lr = schedules.Cosine(0.05, steps, warmup=20)
    options = {"ema": 0.99, "stats": True} if watched else {}
    opt = lrcore.AdamW(w, lr=lr, weight_decay=1e-4, clip_norm=100.0, **options)
    for _ in range(steps):
        opt.step(curve * (w - target))
    return w, target, lr, opt


def checksum(w):
    total = 0
    for bits in w.view(np.uint32).tolist():
        total = (total * 31 + bits) & 0xFFFFFFFF
    return total


def test_c_program_returns_the_bits_of_the_classes(tmp_path):
    program = compile_c(SOURCES / "example.c", tmp_path / "example")
    told = dict(line.rsplit(": ", 1) for line in run(program).stdout.splitlines())
    w, _, lr, opt = classes_do_the_example(20_000, 300)
    assert told == {
        "updates": str(opt.t),
        "last learning rate": hexadecimal(lr(299)),
        "last gradient norm": hexadecimal(opt.grad_norm),
        "last weights": " ".join(hexadecimal(x) for x in w[-3:]),
        "checksum of the weights": f"{checksum(w):08x}",
    }


def classes_do_the_narrow_example(n, steps):
    """What narrow.c does, by the Python classes."""
    if not _verify.has_bfloat16():
        missing("ml_dtypes")
    w = np.zeros(n, _cases.dtype_of("bfloat16"))
    i = np.arange(n)
    curve, target = (1 << i % 4).astype(np.float32), ((i % 100) / 64).astype(np.float32)
    opt = lrcore.AdamW(
        w,
        lr=schedules.Cosine(0.05, steps, end=0.001, warmup=20),
        weight_decay=1e-4,
        state_dtype="int8",
        rounding="stochastic",
        seed=7,
        ema=0.9,
        loss_scale=1024.0,
        stats=True,
    )
    for _ in range(steps):
        opt.step(np.float32(1024) * (curve * (w.astype(np.float32) - target)))
    off = w.astype(np.float64) - target
    loss = np.add.accumulate(0.5 * curve * off * off)[-1]
    return w, loss, opt


def byte_checksum(a):
    total = 0
    for byte in a.tobytes():
        total = (total * 31 + byte) & 0xFFFFFFFF
    return f"{total:08x}"


def test_c_program_in_16_and_8_bits_returns_the_bits_of_the_classes(tmp_path):
    """narrow.c itself exits with 1 where its numbers are not what they should be."""
    program = compile_c(SOURCES / "narrow.c", tmp_path / "narrow")
    told = dict(line.rsplit(": ", 1) for line in run(program).stdout.splitlines())
    w, loss, opt = classes_do_the_narrow_example(20_000, 200)
    own = opt.state[""]
    row = opt._layout.stats[0]
    assert told == {
        "updates": str(opt.t),
        "loss": hexadecimal(loss),
        "statistics": " ".join([*map(hexadecimal, row[:7]), *(f"{x:g}" for x in row[7:9])]),
        "last weights": " ".join(hexadecimal(x) for x in w[-3:]),
        "their averages": " ".join(hexadecimal(x) for x in opt.averages()[-3:]),
        "checksum of the weights": byte_checksum(w),
        "checksum of the state": " ".join(
            byte_checksum(own[name]) for name in ("m", "m_scale", "v", "v_scale")
        ),
    }
    assert row[9:].tolist() == [1.0, 1024.0]


def hexadecimal(x):
    """A float as C's %a writes it."""
    digits, exponent = float(x).hex().split("p")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return f"{digits}p{exponent}"


SETUP = """
import lrcore
from Cython.Build import cythonize
from setuptools import Extension, setup

setup(ext_modules=cythonize([Extension(
    "example", ["example.pyx"], include_dirs=[lrcore.get_include()],
    extra_objects=[lrcore.get_library()], libraries=["m", "pthread"])]))
"""


def test_cython_module_returns_the_bits_of_the_classes(tmp_path):
    require("cc")
    for module in ("Cython", "setuptools"):
        if find_spec(module) is None:
            missing(module)
    shutil.copy(SOURCES / "example.pyx", tmp_path)
    (tmp_path / "setup.py").write_text(SETUP)
    run(sys.executable, "setup.py", "build_ext", "--inplace", cwd=tmp_path)
    built = tmp_path / f"example{sysconfig.get_config_var('EXT_SUFFIX')}"
    spec = spec_from_file_location("example", built)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)

    expected, target, lr, opt = classes_do_the_example(5000, 120, watched=True)
    w, m, v, average = np.zeros((4, 5000), np.float32)
    last, squares = module.fit(w, target, m, v, average, 120)
    assert last == lr(119)
    assert np.sqrt(squares) == opt.stats.total.param_norm
    assert w.tobytes() == expected.tobytes()
    assert average.tobytes() == opt.averages().tobytes()


def test_host_with_threads_of_its_own(tmp_path):
    """More threads than cores, and lrc_set_parallel_for with threads that round upwards."""
    run(compile_c(SOURCES / "host.c", tmp_path / "host"))


def test_random_words_of_elements_beyond_32_bits(tmp_path):
    starts = (0, 2**32 - 1024, 2**32, 5 * 2**32 + 7168)
    draws = [
        [random16(0xFEDCBA9876543210, 77, 5, 1024, draw, start) for start in starts]
        for draw in (6, 7)
    ]
    low, high = (np.concatenate(rows).astype(np.uint32) for rows in draws)
    for isa in lrcore.isas():
        for real in ("f32", "f64"):
            flag = f"-DDRAW=lrc_draw_{real}_{isa}"
            program = compile_c(SOURCES / "words.c", tmp_path / "words", flag)
            words = np.array(run(program).stdout.split(), np.uint32)
            np.testing.assert_array_equal(words, high << 16 | low)


CPP = """
#include <lrcore.h>
#include <cstdio>

int main()
{
    lrc_schedule s = {};
    s.kind = LRC_EXPONENTIAL;
    s.arg[0] = 0.5;
    s.arg[1] = 0.9;
    std::printf("%a %s %d\\n", lrc_schedule_at(&s, 7), lrc_rules[LRC_ADAMW].name, LRC_RULES);
}
"""


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_cpp_program(tmp_path, standard):
    source, program = tmp_path / "main.cpp", tmp_path / "main"
    source.write_text(CPP)
    run(require("c++"), f"-std={standard}", *STRICT, source, *INCLUDE, *LINK, "-o", program)
    value, rule, rules = run(program).stdout.split()
    assert float.fromhex(value) == schedules.Exponential(0.5, 0.9)(7)
    assert rule == "adamw"
    assert int(rules) == len(lrcore._core.rules())


def test_header_and_library_are_those_of_the_package():
    package = Path(lrcore.__file__).parent
    assert Path(lrcore.get_include()) == package / "include"
    assert Path(lrcore.get_library()).parent == package / "lib"
    assert {p.name for p in (package / "include").iterdir()} == {
        "lrcore.h",
        "rules.def",
        "schedules.def",
    }
    assert (package / "__init__.pxd").exists()
