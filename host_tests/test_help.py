"""`--help` teaches by examples that work, and shells complete what the parser knows."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hil import cli, teaching

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = dict(teaching.commands_of(cli._parser()))


def test_every_command_has_examples_and_no_example_is_of_a_command_that_is_gone() -> None:
    assert set(COMMANDS) == set(teaching.EXAMPLES)


@pytest.mark.parametrize("line", sorted({line for lines in teaching.EXAMPLES.values() for line in lines}))
def test_every_example_is_a_line_that_the_parser_takes(line: str) -> None:
    assert cli._parser().parse_args(shlex.split(line.partition(" > ")[0])).do


@pytest.mark.parametrize("name", sorted(teaching.EXAMPLES))
def test_help_shows_the_examples_one_a_line_with_this_command_first(name: str) -> None:
    shown = COMMANDS[name].format_help()
    lines = teaching.EXAMPLES[name]
    assert f"{teaching.TITLE}\n" + "\n".join(f"  {teaching.PREFIX} {line}" for line in lines) in shown
    assert all(line.startswith(name) for line in lines)


def test_every_argument_of_every_command_says_what_it_is() -> None:
    every = [(name, action) for name, parser in COMMANDS.items() for action in parser._actions]
    silent = [(name, action.dest) for name, action in every if not action.help and action.metavar not in ("COMMAND", "ACTION")]
    assert not silent


@pytest.mark.parametrize("shell", teaching.SHELLS)
def test_completion_prints_a_script_that_knows_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("metrology", "--probe-balances", "compile"):
        assert word in script


def test_bash_completes_a_command_and_an_option_by_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["completion", "bash"])
    script = tmp_path / "hil.sh"
    script.write_text(capsys.readouterr().out)
    function = '$(complete -p hil | sed "s/.*-F \\([^ ]*\\).*/\\1/"); echo "${COMPREPLY[@]}"'
    ask = f"source {script}; COMP_WORDS=(hil met); COMP_CWORD=1; {function}; COMP_WORDS=(hil doctor --pr); COMP_CWORD=2; {function}"
    done = subprocess.run(["bash", "--norc", "-c", ask], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["metrology", "--probe-balances"], done.stderr


def test_a_bench_whose_packages_are_missing_says_so_in_a_sentence() -> None:
    code = "import sys; sys.modules['tqdm'] = None; sys.argv = ['hil', 'list']; from hil.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "tqdm is not installed: pip install" in done.stderr and "Traceback" not in done.stderr
