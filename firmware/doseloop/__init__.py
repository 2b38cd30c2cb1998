"""The platform-free firmware: dosing rules, dosing loop, account, wire. Runs unchanged on CPython, the unix port and boards."""
