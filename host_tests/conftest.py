"""One hypothesis profile for all: no deadlines (machines differ), a fixed number of examples.

A failing history is shrunk only on request (DOSELOOP_SHRINK=1): shrinking days of virtual time takes minutes.
"""

import os

from hypothesis import Phase, settings

PHASES = [Phase.explicit, Phase.reuse, Phase.generate] + ([Phase.shrink] if os.getenv("DOSELOOP_SHRINK") else [])
settings.register_profile("doseloop", deadline=None, max_examples=60, phases=PHASES)
settings.load_profile("doseloop")

pytest_plugins = ["tools.tracing.plugin"]  # notes what each test showed, for `make trace`
