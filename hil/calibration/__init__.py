"""Volume per step by weight: points over the range, the slope through them, what is kept of it, and how it compares with the last.

`points` (what is measured, kept after each), `fit` (the slope method), `record` (the file that is kept, expiry, drift against the last),
`procedure` (prime, tracer run, points, on a pump and a balance). The command is `python -m hil calibrate`.
"""
