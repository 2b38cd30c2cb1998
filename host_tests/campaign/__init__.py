"""The firmware's rules and the bench's oracle through the same random histories: decision, code and figures must be equal.

    make campaign N=20000 EVENTS=60 SEED=1 JOBS=2      (PYTHON_CAMPAIGN=pypy3: any Python from 3.9 on, standard library alone)

| module | what it does |
|---|---|
| `events` `stories` `shapes` | a history from seed and number: who is treated, what happens, programs by shape; plain data |
| `firmware` `stub_board` | a pump: time that jumps, requests, power cuts |
| `oracle` | hil.oracle's Therapy, its orders and figures |
| `pair` `orders` | each event on both, and what is compared after it |
| `run` | a history to its end or first disagreement; the shortest of it that still disagrees |
| `coverage` | which answers must have come, and which never did |
| `found` | the shortest histories of old disagreements; test_campaign.py plays them all |

After each event are compared: the code, every figure a refusal gives (most, least, limit, wait, next, want), notes, the program last
run, the phase, the advisory of R-MNT-4, the observation timer, and all of STAT? part=caps, which is what each next commit could have.

Real: Pump and all its parts, Commands.dispatch and every handler, confirmation tokens, at-most-once ids, state through dump, JSON and
load, and the whole boot with its replay of the account at each power cut; dosing.Dosing: pieces, remainders, bridge, first steps.
Stubbed (stub_board.py):
- leases: steps are made exactly when they are due, as far as time has jumped. Nothing is put ahead and no reservation is open, so a
  power cut leaves one step in doubt, and what a delivery had covered. test_against_oracle.py goes through the real motion.
- the journal's flash: records in memory; one a jump of at most 4 h instead of each 15 min, and one at every change of rate of the last
  25 h. What a boot reads back of the last 24 h must be what was to a step; then it is replaced by that, and R-DOSE-2 judged exactly.
- alarms, port and calibration are inputs of both sides; the rules that raise them are left to test_watch.py and test_alarms.py. The
  reservoir is filled in time: what it does when empty is an alarm's action too.
- the wire, sessions, roles and staging verbs; the limits of the board (R-BOL-3); the wall clock's offset.
Mostly time goes on to the first step of what takes force with it; an order in a "hurry" leaves the next ones to fall before it.
"""
