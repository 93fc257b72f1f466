"""lrcore.torch in two processes: DDP, ZeroRedundancyOptimizer, FSDP, and memory that is shared.

The checks are in torch_processes and torch_shards; two processes run all of one of them,
by torch_runner.
"""

import ast
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from oracles.harness import framework

pytestmark = pytest.mark.frameworks
torch = framework("torch")
framework("lrcore.torch")

HERE = Path(__file__).parent
#: Seconds that both processes have for all checks of a program; 15 suffice on an idle machine.
LIMIT = 300


def checks_of(program):
    """The names of the functions marked as checks, read and not run."""
    tree = ast.parse((HERE / program).read_text())
    return [
        (program, node.name)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id == "check" for d in node.decorator_list)
    ]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the two processes of a program found, by the name of the check; each is run once."""

    @cache
    def run(program):
        folder = tmp_path_factory.mktemp(program)
        path = os.pathsep.join(str(x) for x in sys.path if x)
        env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        logs = [(folder / f"log{rank}").open("w") for rank in range(2)]
        both = [
            subprocess.Popen(
                [sys.executable, str(HERE / program), str(rank), str(folder)],
                env=env,
                stdout=log,
                stderr=log,
            )
            for rank, log in enumerate(logs)
        ]
        try:
            for process in both:
                process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{program}: two processes must be done in {LIMIT} s")
        finally:
            for process, log in zip(both, logs, strict=True):
                process.kill()
                process.wait()
                log.close()
        out = []
        for rank in range(2):
            result = folder / f"found{rank}.json"
            assert result.exists(), (folder / f"log{rank}").read_text()
            out.append(json.loads(result.read_text()))
        return out

    return run


@pytest.mark.parametrize(
    ("program", "name"),
    [*checks_of("torch_processes.py"), *checks_of("torch_shards.py")],
    ids=lambda x: x,
)
def test_two_processes(found, program, name):
    for rank, said in enumerate(found(program)):
        assert said[name] == "", f"process {rank}: {said[name]}"
