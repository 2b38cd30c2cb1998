"""What the pump goes through before the cuts: every kind of record is written while the operations are counted."""

import binascii

from doseloop import auth, records
from doseloop.journal import STREAMS
from powercut.rig import Rig, prepare

MINUTE = 60_000
BOLUS = {"bolus_volume": "50000nl", "bolus_time": "60s", "bolus_lockout": "3600s", "bolus_allowance": "100000ng"}
KEYS = (b"s" * 32, b"o" * 32, b"p" * 32)  # the service key, the operator's, and its next
_PER_FILE = 63
_SHORT_OF_A_TURN = {"log": 20, "acct": 6, "marks": 2}  # records before the ring has turned once more


def stage(rig, day_ng):
    rig.do("PROG:NEW", name="p")
    rig.do("PROG:SET", conc="500mcg/ml")
    for name, value in BOLUS.items():
        rig.do("PROG:SET", **{name: value})
    rig.do("PROG:SEG", day="all", from_="00:00", dose="%dng" % day_ng)
    return rig.ask("PROG:CHECK?")[1]["hash"]


def calibrate(rig, spm=100_000):
    fields = {"rate_min": "0nl/h", "rate_max": "100000nl/h", "date": "2027-05-01", "tube": "T1"}
    rig.do("CAL:SET", spm=spm, points=5, spread_ppm=3000, tube_hours=1, hours=20_000, volume="100000000ul", **fields)
    rig.calibrated(spm)


def begin(kind, flash):
    """A therapy in progress whose rings are about to turn."""
    flash.writing_down = False
    Rig.service_key = auth.default_key("service")
    prepare(kind, flash)
    rig = Rig(kind, flash).boot().connect()
    key(rig, "operator", KEYS[1])
    key(rig, "service", KEYS[0])
    rig.do("TIME", set="%ds" % rig.unix(), offset="0min")
    calibrate(rig)
    digest = stage(rig, 600_000)
    rig.do(
        "THER:IMPORT", population="spinal", birth="1980-05-01", phase="titration", hash=digest, screen="50mcg", effect="short",
        increase_ago="100000s", volume="18000000nl", conc="500mcg/ml", lot="L1", expiry="2029-01-01",
    )  # fmt: skip
    rig.do("RUN")
    _fill_rings(rig)
    rig.advance(MINUTE)
    flash.writing_down = True
    return rig


def _fill_rings(rig):
    keeper, ends = rig.pump.keeper, {name: files * _PER_FILE - _SHORT_OF_A_TURN[name] for name, files in STREAMS.items()}
    while keeper.journal.newest("log")[0] < ends["log"]:
        keeper.log(records.CHANGE, "filler")
        keeper.write_log()
    while keeper.journal.newest("acct")[0] < ends["acct"]:
        rig.pump.write_sample()
        rig.advance(MINUTE // 4)


def bolus(rig, wait_ms):
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(wait_ms)


def refill(rig, withdrawn="15000000nl"):
    fields = {"path": "septum", "fluid": "drug", "drug": "baclofen", "conc": "500mcg/ml", "lot": "L2", "expiry": "2029-01-01"}
    rig.do("RES:REFILL", volume="10000000nl", withdrawn=withdrawn, stored="ok", attended="yes", **fields)


def port(rig):
    """An open port cuts a bolus short; closed and acknowledged."""
    rig.advance(61 * MINUTE)
    bolus(rig, 20_000)
    rig.hal.reads_open = True
    rig.turn()
    rig.advance(2_000)
    rig.hal.reads_open = False
    rig.advance(5_000)
    rig.do("ALAR:ACK", id="PORT_OPEN")
    rig.ask("STAT?")


def upkeep(rig):
    """Stopped: moved and calibrated with water, then another tube and catheter, filled and primed; then on again."""
    rig.do("STOP")
    rig.do("EMPTY")
    rig.do("LINE:NEW", part="both")
    rig.do("RES:REFILL", path="septum", fluid="test", volume="5000000nl", withdrawn="0nl")
    rig.do("CAL:MOVE", steps=500, rate="200/s")
    rig.advance(5_000)
    calibrate(rig, 101_000)
    rig.do("EMPTY")
    rig.do("LINE:NEW", part="both")
    refill(rig, "0nl")
    rig.do("DOSE:PRIME", volume="20000nl", path="pump", connected="no")
    rig.advance(20_000)
    rig.do("RUN")


def commit(rig):
    rig.do("PROG:COMMIT", hash=stage(rig, 540_000), attended="yes", route="intrathecal")


def key(rig, role, new):
    """A role's key is changed by service; it ends the session."""
    check = auth.mac_text(new, (rig.session + "check " + role).encode()).lower()
    stream = auth.hmac_sha256(rig.service_key, ("KEY " + rig.session + role + check).encode())
    masked = bytes([a ^ b for a, b in zip(new, stream)])
    rig.do("KEY:SET", role=role, key=binascii.hexlify(masked).decode(), check=check)
    if role == "service":
        Rig.service_key = new
    rig.connect()


SCENES = (
    ("basal", lambda rig: rig.advance(20 * MINUTE)),
    ("bolus", lambda rig: bolus(rig, 70_000)),
    ("refill", refill),
    ("commit", commit),
    ("basal", lambda rig: rig.advance(16 * MINUTE)),
    ("phase", lambda rig: rig.do("THER:PHASE", phase="maintenance")),
    ("key", lambda rig: key(rig, "operator", KEYS[2])),
    ("clock", lambda rig: rig.do("TIME", set="%ds" % (rig.unix() + 7), offset="60min")),
    ("alarm", port),
    ("upkeep", upkeep),
    ("refused", lambda rig: rig.send("DOSE:BOLUS", volume="50000nl", path="port")),
    ("basal", lambda rig: rig.advance(20 * MINUTE)),
)


def tell(rig, scene=lambda name: None):
    for name, play in SCENES:
        scene(name)
        play(rig)
