"""A rightful host that sends whatever it is told, rightly signed, to the whole firmware in the middle of a therapy."""

from pump_rig import PumpRig, flat

from doseloop.commands import VERBS
from hil.errors import Refused
from hil.frames import FrameError

DATED = {"id", "at", "ttl"}


class Host:
    def __init__(self):
        self.rig = PumpRig().take_over(flat(200_000), bolus=(10_000, 60, 3600, 40_000)).run()
        self.rig.connect("service")
        self.count = 0

    def send(self, verb, fields):
        """The refusal's code, or OK. Whatever the table asks for and `fields` have not is filled in with something plausible."""
        rig, table = self.rig, VERBS[verb][1]
        if table.get("id") == ("h", 8):
            fields = {**fields, "id": rig.link.new_id()}
        if "at" in table:
            fields = {**fields, "at": f"{int(rig.unix())}s", "ttl": "30s"}
        try:
            if VERBS[verb][0] == "ask":
                rig.link.ask(verb, fields)
            else:
                rig.link.command(verb, fields, role="service")
        except Refused as refused:
            return refused.code
        except FrameError:
            return "TOO_LONG"
        finally:
            rig.advance(1000)
        return "OK"
