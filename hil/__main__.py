"""The bench's command line: `python -m hil COMMAND`, or `hil COMMAND` where it was installed."""

from __future__ import annotations

import sys


def main() -> int:
    """The doctor needs nothing of the bench; all else says in a sentence what it lacks."""
    if sys.argv[1:2] == ["doctor"]:
        from hil.doctor import command

        return command.main(sys.argv[2:])
    try:
        from hil import cli
    except ModuleNotFoundError as error:
        more = "`python -m hil doctor` says what else is missing"
        print(f"error: {error.name} is not installed: pip install -e '.[bench]'; {more}", file=sys.stderr)
        return 2
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
