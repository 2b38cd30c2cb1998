"""A coverage-guided run over what takes bytes from the line: `make fuzz`. The corpus is replayed by test_fuzz.py without the fuzzer."""
