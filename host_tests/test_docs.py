"""The pages people read: generated ones are not stale, and every command, target and place that a page names is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from doseloop.alarms import PRIORITIES, TABLE
from doseloop.commands import VERBS
from hil import cli
from tools import pages

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"\.venv/bin/python -m hil ([^`\n#]+)")


def test_the_generated_pages_are_what_the_tables_say_now() -> None:
    assert not pages.stale(), "make docs"


def test_a_change_of_either_table_makes_its_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERBS, "STOP", ("service", {}))
    assert [path.name for path in pages.stale()] == ["wire.md"]


def test_every_verb_and_every_alarm_has_its_line() -> None:
    wire, alarms = pages.wire(VERBS), pages.alarms(TABLE, PRIORITIES)
    assert all(f"\n| `{verb}` | " in wire for verb in VERBS) and all(f"\n| `{row[0]}` | {PRIORITIES[row[1]]} | " in alarms for row in TABLE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_one_that_the_parser_takes(page: Path) -> None:
    for line in COMMAND.findall(page.read_text("utf-8")):
        assert cli._parser().parse_args(shlex.split(line.strip().removesuffix("&"))).do


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_and_every_linked_file_of_a_page_is_there(page: Path) -> None:
    text, made = page.read_text("utf-8"), (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"(?:^\s*|`)make ([a-z-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", made, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link


def test_the_labgrid_suite_of_the_page_is_the_one_that_is_run() -> None:
    assert (ROOT / "examples/labgrid/test_bench.py").read_text("utf-8") in (ROOT / "docs/benches.md").read_text("utf-8")
