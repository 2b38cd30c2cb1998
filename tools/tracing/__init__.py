"""Requirements traced to the code that enforces them and to the evidence that ran: `make trace`.

`plugin.py` (and `watch.py`) note during the tests what each one showed; `requirements.py` reads `host_tests/requirements.toml`;
`evidence.py` reads what the tests, the scenarios, the campaign and the emulated Pico left under build/; `matrix.py` joins the two and
names every hole; `page.py` writes it down.
"""
