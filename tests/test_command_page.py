"""docs/command-line.md: its commands, statuses and examples."""

import doctest
import importlib.util
import re
import shlex

import pytest
from support import ROOT

from lrcore import cli
from lrcore.cli.diagnose import STATUS, WARNING
from lrcore.instruments.diagnosis.verdict import VERDICTS

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def commands():
    spec = importlib.util.spec_from_file_location("commands", ROOT / "docs" / "commands.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_of_the_page_can_be_asked_for(commands):
    found = [command for command in commands.commands(PAGE) if command != commands.STATUS]
    assert {command.split()[1] for command in found} >= {
        "find", "train", "diagnose", "watch", "sweep", "compare",
    }  # fmt: skip
    for command in found:
        cli._parser().parse_args(shlex.split(command)[1:])


def test_the_page_is_filled_and_compared_by_its_words(commands):
    page = "a\n```console\n$ lrcore diagnose none.csv\nold\n$ echo $?\n```\nb\n"
    filled = commands.filled(page)
    assert filled == (
        "a\n```console\n$ lrcore diagnose none.csv\nlrcore diagnose: none.csv: no such file\n"
        "$ echo $?\n64\n```\nb\n"
    )
    assert commands.shape("loss  0.5 (93%)\n") == commands.shape("loss 1.25e-3 (7%)\n")
    assert commands.shape("a 1\n") != commands.shape("b 1\n")


@pytest.mark.slow
def test_the_page_says_what_its_commands_print(commands):
    assert commands.main(["--check"]) == 0


def test_the_statuses_of_the_page_are_those_of_the_command():
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.M))
    said = {name: int(n) for n, row in table.items() for name in re.findall(r"`(\w+)`", row)}
    assert said == {name: STATUS.get(name, WARNING) for name in VERDICTS}


def test_the_examples_of_the_page():
    result = doctest.testfile(str(ROOT / "docs" / "command-line.md"), module_relative=False)
    assert (result.failed, result.attempted) == (0, 4)
