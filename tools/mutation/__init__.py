"""Mutation testing: small changes of the firmware that a host test has to see. See README.md beside this."""
