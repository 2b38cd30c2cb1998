"""The program being staged over the wire: it belongs to one session and dies with it, or after 5 minutes (DESIGN, "The wire")."""

from doseloop.taper import make_program
from doseloop.units import Refusal, collect_garbage, const

STAGING_MS = const(300_000)


class Stage:
    """What is staged, whose session it is, and when it was last touched (elapsed ms)."""

    def __init__(self, staging, sess, now):
        self.staging = staging
        self.sess = sess
        self.touched = now


def staging_of(pump, sess):
    """The program.Staging of this session, or Refusal STATE; touching it keeps it alive."""
    stage = pump.stage
    if stage is None or stage.sess != sess or pump.clock.elapsed - stage.touched > STAGING_MS:
        raise Refusal("STATE", "no program is staged in this session; PROG:NEW name=.. first")
    stage.touched = pump.clock.elapsed
    return stage.staging


def staged_program(pump, sess):
    """The staged lines as a checked Program or Taper."""
    collect_garbage()
    return make_program(staging_of(pump, sess).lines())
