"""The talk with a doseloop that runs on the board: who is there, the way to its prompt (MAINT), and the greeting of the new firmware."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hil import auth
from hil import keys as key_files
from hil.channel import SerialChannel
from hil.errors import BenchError, LinkError, Refused
from hil.link import Link, Patience
from tools.flashing import FlashError
from tools.flashing.prompt import Gone, SerialPrompt

QUESTION = b"\r*IDN?\r"  # typed: it opens no session, and to a prompt or another instrument it is harmless
WHOLE_HASH = re.compile(r"hash=\S+\s")  # the answer comes in packets, which end anywhere
LISTEN_SHARE, LISTEN_MOST_S = 1 / 30, 30  # of the patience: 3 s for an answer to `*IDN?`, and then again
REPLY_SHARE = 1 / 6  # of it: 15 s for a reply, three times
BACK_S = 90.0  # a board is back within seconds of a reset; an emulated one takes minutes of ours: --patience
WAIT, GOOD = "wait", ("pass", "none")  # of SELF?; none: this board has no way to tell
MAY_STOP_FOR_MAINT = ("idle", "stopped")


@dataclass(frozen=True)
class Heard:
    """What the port answered to `*IDN?`: the fields of a doseloop, or else its own words."""

    fields: dict[str, str]
    words: str


def read_keys(path: Path | None) -> dict[str, bytes]:
    """Keys of the roles from a key file, or the default keys."""
    try:
        return key_files.find_keys(path) or auth.default_keys()
    except (BenchError, OSError) as error:
        raise FlashError(str(error)) from None


def listen(port: str, patience_s: float = BACK_S) -> Heard:
    """Asks who is on the port, without disturbing whoever is. patience_s: what the board has to be back from a reset."""
    channel = SerialChannel(port)
    try:
        channel.receive(0.2)  # what lay there
        channel.send(QUESTION)
        deadline, text = time.monotonic() + min(patience_s * LISTEN_SHARE, LISTEN_MOST_S), ""
        while time.monotonic() < deadline and not WHOLE_HASH.search(text):
            text += channel.receive(0.2).decode("ascii", "replace")
    finally:
        channel.close()
    fields = dict(re.findall(r"(\w+)=([^\s\"]+)", text)) if "maker=doseloop" in text else {}
    plain = "".join(char if " " <= char <= "~" else " " for char in text.replace("*IDN?", ""))
    return Heard(fields, " ".join(plain.split())[:200])


def open_link(port: str, keys: Mapping[str, bytes], patience_s: float) -> Link:
    return Link(SerialChannel(port), keys=keys, patience=Patience(patience_s * REPLY_SHARE, 3))


def ask_for_prompt(port: str, keys: Mapping[str, bytes], patience_s: float = BACK_S) -> None:
    """MAINT, which a doseloop obeys only while stopped; its reset opens the prompt."""
    link = open_link(port, keys, patience_s)
    try:
        link.hello()
        stat = link.ask("STAT?")
        state = stat["state"]
        if stat.get("key") == "default":
            link.use_keys(auth.default_keys())  # a file that was named holds those it is to have
        if state not in MAY_STOP_FOR_MAINT:
            raise FlashError(
                f"the pump is delivering (state={state}): flashing would interrupt a therapy. STOP it if that is meant"
                f" (type STOP on {port}, or python -m serial.tools.miniterm --eol LF {port}), then flash again"
            )
        with contextlib.suppress(LinkError):  # the reset may have taken the answer with it: the prompt will tell
            link.command("MAINT", role=auth.SERVICE)
    except Refused as refused:
        raise FlashError(f"the pump does not let us in: {refused}. Nothing was changed{_way_in(refused)}") from None
    finally:
        link.channel.close()


def _way_in(refused: Refused) -> str:
    """For a pump whose keys are damaged: only hands at the board get it to its prompt."""
    if refused.code != "KEY_LOST":
        return ""
    return (
        ". Have its account read first (STAT?, LOG?): a bare MicroPython put on the board as if it were new may format its storage, and the"
        " pump begins with an empty journal. Then flash again with --key-file"
    )


def open_prompt(port: str, wait_s: float) -> SerialPrompt:
    """The prompt of a MicroPython; tries again until it is back from a reset."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return SerialPrompt(port)
        except Gone:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.5)


def greet(port: str, keys: Mapping[str, bytes], patience_s: float = BACK_S) -> Link:
    """A session with the firmware once it has started; FlashError with what the console says if it does not."""
    deadline, said = time.monotonic() + patience_s, ""
    while time.monotonic() < deadline:
        with contextlib.suppress(LinkError):
            heard = listen(port, patience_s)
            if heard.fields:
                return _session(port, keys, patience_s)
            said = heard.words or said
        if "DOES NOT START" in said:
            break
        time.sleep(0.5)
    silent = f"the new firmware is on the board and does not answer within {patience_s:.0f} s"
    raise FlashError(f"{silent}. Its console says:\n  {said or 'nothing'}")


def _session(port: str, keys: Mapping[str, bytes], patience_s: float) -> Link:
    link = open_link(port, keys, patience_s)
    link.hello()
    return link


@dataclass(frozen=True)
class Greeting:
    """What the started firmware says of itself."""

    identity: dict[str, str]
    self_test: dict[str, str]
    key: str


def settled_self_test(link: Link, patience_s: float) -> dict[str, str]:
    """Part -> word of SELF?, once all parts have been looked at: the code takes some seconds. After the patience, what there is."""
    deadline = time.monotonic() + patience_s
    while True:
        found = {name: word for name, word in link.ask("SELF?").items() if not name.endswith("_ago")}
        if WAIT not in found.values() or time.monotonic() >= deadline:
            return found
        time.sleep(0.5)


def check_started(link: Link, content: str, unix_s: int, offset_min: int, patience_s: float = BACK_S) -> Greeting:
    """The clock is set, the hash is the one installed, the self-test passed; else FlashError."""
    identity = link.ask("*IDN?")
    if identity.get("hash") != content:
        raise FlashError(f"the board runs hash={identity.get('hash')}, installed was {content}: is another firmware frozen in its image?")
    link.command("TIME", {"set": f"{unix_s}s", "offset": f"{offset_min}min"})
    self_test = settled_self_test(link, patience_s)
    failed = [f"{name}={word}" for name, word in self_test.items() if word not in GOOD]
    if failed:
        raise FlashError(
            f"the new firmware runs, but its self-test says {' '.join(failed)}: no bolus until it passes."
            " Check the wiring by the board's page under boards/, then reset the board and ask SELF?"
        )
    return Greeting(identity, self_test, link.ask("STAT?").get("key", "unknown"))
