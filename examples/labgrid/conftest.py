"""The fixtures of a suite on a labgrid place."""

import pytest


@pytest.fixture(scope="session")
def pump(target):
    return target.get_driver("DosingPumpDriver")


@pytest.fixture(scope="session")
def balance(target):
    return target.get_driver("BalanceDriver")
