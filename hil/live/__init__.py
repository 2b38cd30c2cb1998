"""The live page: pumps watched over their serial lines, shown in a browser.

`typed.py` asks without opening a session, `series.py` keeps the curves, `watcher.py` is one pump's thread, `server.py` the pages.
`page/` is what the browser gets. uPlot 1.6.32 (npm `uplot`, MIT, licence beside it) is in `page/vendor/`: no network is needed.
"""
