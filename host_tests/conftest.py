"""One hypothesis profile for all: no deadlines (machines differ), a fixed number of examples."""

from hypothesis import settings

settings.register_profile("doseloop", deadline=None, max_examples=60)
settings.load_profile("doseloop")
