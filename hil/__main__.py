"""The bench's command line: `python -m hil COMMAND`, or `hil COMMAND` where it was installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hil.places import about

NOWHERE = Path(os.devnull)
UNUSABLE = 2
NOBODY_READS = 141  # as a shell has it of a program whose pipe was closed


def main() -> int:
    """Ends in a word and an exit code, also where Ctrl-C comes early, and where nobody reads what is said."""
    sys.stdout = sys.stdout or NOWHERE.open("w", encoding="utf-8")  # closed by whoever started us
    sys.stderr = sys.stderr or NOWHERE.open("w", encoding="utf-8")
    try:
        code = _command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return UNUSABLE
    except OSError as error:  # the last of what was said went nowhere: `hil list | head -1`, a full disk
        os.dup2(os.open(NOWHERE, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return NOBODY_READS
        print(f"error: {about(error)}", file=sys.stderr)
        return UNUSABLE
    return code


def _command() -> int:
    """The doctor needs nothing of the bench; all else says in a sentence what it lacks."""
    if sys.argv[1:2] == ["doctor"]:
        from hil.doctor import command

        return command.main(sys.argv[2:])
    try:
        from hil import cli
    except ModuleNotFoundError as error:
        more = "`python -m hil doctor` says what else is missing"
        print(f"error: {error.name} is not installed: pip install -e '.[bench]'; {more}", file=sys.stderr)
        return UNUSABLE
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
