"""One hypothesis profile for all: no deadlines (machines differ), a fixed number of examples; one for `make mutation`: always the same.

A failing history is shrunk only on request (DOSELOOP_SHRINK=1): shrinking days of virtual time takes minutes.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: two workers, small matrices, threads only wait for each other

PHASES = [Phase.explicit, Phase.reuse, Phase.generate] + ([Phase.shrink] if os.getenv("DOSELOOP_SHRINK") else [])
settings.register_profile("doseloop", deadline=None, max_examples=60, phases=PHASES)
settings.register_profile(
    "mutation", deadline=None, max_examples=25, phases=[Phase.explicit, Phase.generate], derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
settings.load_profile("doseloop")

pytest_plugins = ["tools.tracing.plugin"]  # notes what each test showed, for `make trace`


def pytest_collection_modifyitems(items):
    """What needs an image and an emulated Pico runs by `make emulated-tests` alone."""
    if not os.getenv("DOSELOOP_EMULATED"):
        for item in items:
            if item.get_closest_marker("emulated"):
                item.add_marker(pytest.mark.skip(reason="EMULATED: NOT RUN (make emulated-tests runs it)"))
