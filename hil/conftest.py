"""`pytest hil --target unix|emulated|URL`: the shipped scenarios as tests."""

pytest_plugins = ["hil.pytest_plugin"]
