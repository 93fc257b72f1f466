"""What the compiler made of the kernels, read from the installed library: no fused multiply-add
anywhere, vector registers of the full width in every rule, packed roots and divides where a rule
has them, packed loops in every stage and codec, and no import that could round otherwise, allocate
or print."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import ROOT, missing, require, run

import lrcore

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="NOT TESTED: reads ELF objects with binutils"
)

#: A register of the full width, as objdump writes it, by instruction set.
WIDE = {"sse2": r"%xmm\d", "avx2": r"%ymm\d", "avx512": r"%zmm\d", "neon": r"\bv\d+\.(4s|2d)"}
#: Packed instructions for what is written as sqrt() and / in a rule.
PACKED = {"sqrt": r"v?sqrtp[sd]|fsqrt", "divide": r"v?divp[sd]|fdiv"}
FUSED = re.compile(r"fn?m(add|sub)|fn?ml[as]|fcmla")

#: A vector register of any width: a codec's loop over doubles goes through floats.
VECTOR = r"%[xyz]mm|\bv\d+\."
MULTIPLY = r"v?mulp[sd]|fmul"
SHIFT = r"v?ps(rl|ll|ra)d|[su]?sh[rl]l?2?\b|shrn|[su]li|[su]ri"
MOVE = r"v?p(unpck|ack|shuf|mov|srl|and|erm)|zip|uzp|u?xtn|[su]?shll?|shrn"
#: Packed instructions that a function must have at least, by what they do: as many as there are of
#: them in the source, which the compiler may unroll.
LOOPS = {
    "scale": {MULTIPLY: 1},
    "couple": {MULTIPLY: 1},
    "scale_units": {MULTIPLY: 2},
    "agreeing": {MULTIPLY: 1},
    "cautious": {MULTIPLY: 2},
    "grams": {MULTIPLY: 2},
    "average": {MULTIPLY: 1},
    "gather": {MULTIPLY: 1},
    "decode": {MULTIPLY: 2, SHIFT: 2},
    "encode": {MULTIPLY: 9, SHIFT: 9, r"v?cvttps2dq|fcvtzs": 2},
    "join": {MOVE: 2},
    "split": {MOVE: 2},
    "draw": {r"v?pmul(ld|udq)|mul\b|mla\b": 3, SHIFT: 2},
}

#: What compilers leave scalar: two doubles at a time are not worth a count in 32 bits.
SCALAR = {("agreeing", "sse2")}

RULES = list(lrcore._core.rules())
BITS = (32, 64)


@dataclass
class Member:
    """One object of the library."""

    name: str
    defined: set[str] = field(default_factory=set)
    undefined: set[str] = field(default_factory=set)
    functions: dict[str, list[str]] = field(default_factory=dict)

    def fused(self):
        return [i for code in self.functions.values() for i in code if FUSED.search(i.split()[0])]

    def count(self, function, mnemonic, register):
        """How many instructions of a function are of this kind and touch such a register."""
        return sum(
            re.match(mnemonic, i) is not None and re.search(register, i) is not None
            for i in self.functions[function]
        )


def read_objects(path):
    """The members of a static library, or the one object."""
    text = run(require("objdump"), "-d", "-t", "--no-show-raw-insn", path).stdout
    members, function = [], []
    for line in text.splitlines():
        if found := re.match(r"(\S+):\s+file format", line):
            members.append(Member(found[1]))
        elif found := re.match(r"[0-9a-f]{8,} (.{7}) (\S+)\s+[0-9a-f]+ (?:\.\w+ )?(\S+)$", line):
            flags, section, name = found.groups()
            if section == "*UND*":
                members[-1].undefined.add(name)
            elif flags[0] in "gw":
                members[-1].defined.add(name)
        elif found := re.match(r"[0-9a-f]{8,} <(.+)>:$", line):
            function = members[-1].functions.setdefault(found[1], [])
        elif found := re.match(r"\s+[0-9a-f]+:\s+(\S.*)", line):
            function.append(found[1])
    return members


@pytest.fixture(scope="module")
def members():
    found = read_objects(lrcore.get_library())
    assert found
    return found


def kernel(members, rule, bits, isa):
    (member,) = (m for m in members if f"lrc_{rule}_f{bits}_{isa}" in m.defined)
    return member


def built():
    """Every instruction set of the library, also those this machine does not run."""
    machine = platform.machine()
    return {"x86_64": ["sse2", "avx2", "avx512"], "aarch64": ["neon"]}.get(machine, ["generic"])


def flags_of(rule, bits, isa):
    return [f"-DREAL_BITS={bits}", f"-DISA={isa}", f"-DTHIS_RULE={rule}", "-I", ROOT / "csrc"]


def wanted(rule, bits, isa):
    """How many roots and divides the text of a rule's update() has, macros expanded."""
    source = ROOT / "csrc" / "rules" / f"{rule}.c"
    text = run(require("cc"), "-E", "-P", *flags_of(rule, bits, isa), source).stdout
    text = text[text.index("static void update(") :]
    body = text[: text.index("\n}")]
    return {"sqrt": len(re.findall(r"\bsqrtf?\s*\(", body)), "divide": body.count("/")}


def lacking(member, rule, bits, isa):
    """Sentences on what is not vectorised in a rule's update()."""
    wide = WIDE[isa]
    out = [] if member.count("update", r".", wide) else [f"no {isa} register"]
    for what, number in wanted(rule, bits, isa).items():
        found = member.count("update", PACKED[what], wide)
        if found < number:
            out.append(f"{number} {what} in the source, {found} packed in the object")
    return out


def test_library_holds_every_kernel_of_every_instruction_set(members):
    for rule in RULES:
        for bits in BITS:
            for isa in built():
                assert "update" in kernel(members, rule, bits, isa).functions


def test_no_fused_multiply_add(members):
    assert {m.name: m.fused() for m in members if m.fused()} == {}
    assert sum(len(code) for m in members for code in m.functions.values()) > 10_000


@pytest.mark.parametrize("isa", built())
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("rule", RULES)
def test_update_is_vectorised(members, rule, bits, isa):
    if isa not in WIDE:
        missing(f"name for the vector registers of {platform.machine()}")
    assert lacking(kernel(members, rule, bits, isa), rule, bits, isa) == []


def unpacked(members, bits, isa):
    """Functions around the rules that have too few packed instructions."""
    out = {}
    for name, least in LOOPS.items():
        symbol = f"lrc_{name}_f{bits}_{isa}"
        for member in (m for m in members if symbol in m.defined and (name, isa) not in SCALAR):
            found = {kind: member.count(symbol, kind, VECTOR) for kind in least}
            if any(found[kind] < n for kind, n in least.items()):
                out[symbol] = found
    return out


@pytest.mark.parametrize("isa", built())
@pytest.mark.parametrize("bits", BITS)
def test_stages_and_codecs_are_vectorised(members, bits, isa):
    if isa not in WIDE:
        missing(f"name for the vector registers of {platform.machine()}")
    for name in [*LOOPS, "roofline"]:
        assert sum(f"lrc_{name}_f{bits}_{isa}" in m.defined for m in members) == 1
    assert unpacked(members, bits, isa) == {}


#: What an object may need of others. Square roots are correctly rounded wherever they are computed.
ANY = {"sqrt", "sqrtf", "memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
MORE = {
    "plan.c": r"malloc|calloc|free|str\w+",
    "dispatch.c": r"strcmp",
    "threads.c": r"pthread_\w+|sched_\w+|__sched_cpucount|sigfillset|sysconf",
}


def test_imports(members):
    """Nothing of libm but roots; memory in plan.c alone; no printing anywhere."""
    own = set().union(*(m.defined for m in members))
    for m in members:
        more = MORE.get(m.name.removesuffix(".o"), r"(?!)")
        odd = {s for s in m.undefined - own - ANY if not re.fullmatch(more, s)}
        assert odd == set(), m.name
    public = {name for m in members for name in m.defined}
    assert {name for name in public if not name.startswith("lrc_")} == set()


# The checks themselves: each sees what it is there to see.


def compiled(folder, source, *flags):
    if platform.machine() != "x86_64":
        missing("x86-64 compiler for the check of the checks")
    target = Path(folder) / "one.o"
    run(require("cc"), *flags, "-std=c11", "-mavx2", "-c", ROOT / "csrc" / source, "-o", target)
    (member,) = read_objects(target)
    return member


def build(folder, *flags):
    member = compiled(folder, "rules/adam.c", *flags_of("adam", 32, "avx2"), *flags)
    assert member.defined == {"lrc_adam_f32_avx2"}
    assert member.undefined - {"lrc_pow", "_GLOBAL_OFFSET_TABLE_"} <= {"sqrt", "sqrtf"}
    return member


def test_check_finds_fused_instructions(tmp_path):
    assert build(tmp_path, "-O3", "-mfma", "-ffp-contract=fast").fused()
    assert build(tmp_path, "-O3", "-mfma", "-ffp-contract=off").fused() == []


EXACT = ["-O3", "-ffp-contract=off", "-fno-trapping-math"]


def test_check_finds_loops_that_are_not_vectorised(tmp_path):
    assert lacking(build(tmp_path, *EXACT, "-fno-math-errno"), "adam", 32, "avx2") == []
    assert len(lacking(build(tmp_path, *EXACT, "-fno-tree-vectorize"), "adam", 32, "avx2")) == 3


@pytest.mark.parametrize("source", ["storage.c", "stages.c"])
def test_check_finds_stages_and_codecs_that_are_not_vectorised(tmp_path, source):
    flags = ["-DREAL_BITS=32", "-DISA=avx2", "-I", ROOT / "csrc", *EXACT, "-fno-math-errno"]
    assert unpacked([compiled(tmp_path, source, *flags)], 32, "avx2") == {}
    scalar = compiled(tmp_path, source, *flags, "-fno-tree-vectorize", "-fno-tree-slp-vectorize")
    names = {f"lrc_{name}_f32_avx2" for name in LOOPS} & scalar.defined
    assert set(unpacked([scalar], 32, "avx2")) == names
