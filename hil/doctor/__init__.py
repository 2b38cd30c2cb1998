"""`python -m hil doctor`: what is here, what is missing, and what to do next.

It runs where half of the packages are missing, so nothing in here imports more than the standard library until it is needed.
"""
