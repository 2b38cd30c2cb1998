"""python -m fuzz [options of libFuzzer] FOLDER...: new inputs go into the first folder. PYTHONPATH=firmware:.:host_tests"""

import sys

import atheris

with atheris.instrument_imports(include=["doseloop", "fuzz.oracle"]):
    from fuzz.oracle import check

atheris.Setup(sys.argv, check)
atheris.Fuzz()
