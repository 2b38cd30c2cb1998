"""Steps of a therapy that several test files take, on the whole firmware of pump_rig.PumpRig."""

from pump_rig import HOUR_MS, PumpRig

from hil.errors import Refused

MINUTE_MS = 60_000


def new_patient(population="spinal", birth="1980-05-01", injury="none", conc=50, **rig):
    """A pump with clock, calibration, a record and a reservoir ready for screening."""
    made = PumpRig(**rig).set_up()
    made.do("THER:RECORD", population=population, birth=birth, injury=injury)
    fill(made, conc)
    made.advance(2000)  # the port switch is believed after a second
    return made


def fill(rig, conc, volume_nl=18_000_000, **more):
    """Evacuate, then fill by the septum."""
    rig.do("EMPTY")
    fields = dict(
        path="septum", fluid="drug", drug="baclofen", volume=f"{volume_nl}nl", conc=f"{conc}mcg/ml", lot="L1", expiry="2029-01-01",
        withdrawn="0nl", stored="ok", attended="yes",
    )  # fmt: skip
    fields.update(more)
    return rig.do("RES:REFILL", **fields)


def code_of(rig, verb, **fields):
    """OK or the refusal's code."""
    try:
        rig.do(verb, **fields)
    except Refused as refusal:
        return refusal.code
    return "OK"


def refusal_of(rig, verb, **fields):
    try:
        rig.do(verb, **fields)
    except Refused as refusal:
        return refusal
    raise AssertionError(f"{verb} was not refused")


def screen_code(rig, mcg, **more):
    """Ask for a screening dose; OK or the refusal's code. Lets a dose run to its end."""
    fields = dict(dose=f"{mcg}mcg", path="pump", attended="yes")
    fields.update(more)
    code = code_of(rig, "DOSE:SCREEN", **fields)
    if code == "OK":
        rig.advance(61_000)
    return code


def respond_code(rig, **fields):
    return code_of(rig, "SCREEN:RESPONSE", **fields)


def screened(population="spinal", mcg=50, effect="short", conc=2000, **more):
    """A patient who responded to the first dose; the reservoir is filled for the chronic program, the line is new."""
    rig = new_patient(population, **more)
    assert screen_code(rig, mcg) == "OK"
    rig.advance(8 * HOUR_MS)
    assert respond_code(rig, result="positive", effect=effect) == "OK"
    fill(rig, conc)
    return rig


def caps(rig):
    return rig.status("caps")
