# ruff: noqa: PTH123, SIM115, UP031 (MicroPython)
"""A pump that is no pump: just enough of the wire and the lock-step for tests of the bench alone.

Runs on the unix port in place of firmware/main.py. STAT? tells what it saw; BEAT makes a lease of 10 pulses;
CRASH dies, RESET restarts, SLOW answers the second time only, EVENT speaks unasked.
"""

import binascii
import os
import select
import struct
import sys

TX = open(int(os.getenv("DOSELOOP_TX")), "wb")
RX = open(int(os.getenv("DOSELOOP_RX")), "rb")
SERIAL = sys.stdin.buffer
OUT = sys.stdout.buffer
POLL = select.poll()
POLL.register(sys.stdin, select.POLLIN)


def cell(tag, a=0, b=0, c=0):
    return struct.pack("<4I", tag, a, b, c)


def ask(data):
    TX.write(data)
    return struct.unpack("<12I", RX.read(48))


def reply(text):
    OUT.write(b"%s*%08X\n" % (text.encode(), binascii.crc32(text.encode())))


def answer(line, inputs, seen):
    if not line.startswith(b">"):
        OUT.write(b"you typed %s\r\n" % line)
        return
    body, _, crc = line.rpartition(b"*")
    if b"%08X" % binascii.crc32(body) != crc:
        reply('<0000 ERR FRAME "crc"')
        return
    words = body.decode().split(" ")
    seq, verb = words[0][1:], words[1]
    seen.append(body)
    if verb == "HELLO":
        reply("<0000 OK boot=%08x sess=0000beef proto=1 fw=fake board=unix uid=0 nonce=0123456789abcdef" % inputs[9])
    elif verb == "CRASH":
        raise SystemExit("crashed as told")
    elif verb == "RESET":
        TX.write(cell(7, 3))
        sys.exit(3)
    elif verb == "BEAT":
        TX.write(cell(2, 60000) + cell(1, 10, 500000, 100000))
        reply("<%s OK" % seq)
    elif verb == "SLOW" and seen.count(body) < 2:
        pass
    elif verb == "EVENT":
        reply("!0007 ALARM id=TEST")
        reply("<%s OK" % seq)
    elif verb == "NO":
        reply('<%s ERR LOCKOUT "wait 3 h" left=3' % seq)
    else:
        reply("<%s OK ticks=%d count=%d seen=%d cause=%d line=%s" % (seq, inputs[0], inputs[2], len(seen), inputs[10], '"%s"' % verb))


def main():
    inputs = ask(cell(9, 1))
    line = b""
    seen = []
    while True:
        more = False
        for _ in range(16):
            if not POLL.poll(0):
                break
            more = True
            byte = SERIAL.read(1)
            if byte in b"\r\n":
                if line:
                    answer(line, inputs, seen)
                line = b""
            else:
                line += byte
        inputs = ask(cell(8, 8000) + cell(6, 0 if more else 1000, 0))


main()
