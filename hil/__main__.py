"""The bench's command line: `python -m hil run|serve|list|program`."""

from __future__ import annotations

import sys

from hil.cli import main

if __name__ == "__main__":
    sys.exit(main())
