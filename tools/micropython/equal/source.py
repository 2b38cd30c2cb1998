"""Runs on MicroPython and CPython alike: cases from a seed, and the digest of what the firmware answers to them.

tools/equal.py puts this text before a section's (cases_*.py) and a last line that calls `report`; so one text runs on every
interpreter, also from the prompt of a board. A section has one function, `cases(draw, tried)`, which yields answers for ever.
"""

import binascii
import gc
import hashlib

from doseloop.units import Refusal

MASK = 0x3FFFFFFF
BLOCK = 100  # answers that share a digest, so that a difference can be found


class Draw:
    """A xorshift of 30 bits, shifts 7, 11, 16: it runs through all 2^30 - 1 states, and no number on the way is larger."""

    def __init__(self, seed):
        self._state = (seed * 2654435 + 88172645) & MASK or 1

    def bits(self):
        x = self._state
        x ^= (x & 0x7FFFFF) << 7
        x ^= x >> 11
        x ^= (x & 0x3FFF) << 16
        self._state = x
        return x

    def below(self, n):
        """0 to n - 1."""
        if n <= 0x1FFFFFFF:
            return self.bits() % n
        return ((self.bits() << 30) + self.bits()) % n

    def between(self, least, most):
        return least + self.below(most - least + 1)

    def one_in(self, n):
        return self.bits() % n == 0

    def pick(self, values):
        return values[self.bits() % len(values)]


def tried(do, *args):
    """What it answers, or code, sentence and fields of its refusal."""
    try:
        return do(*args)
    except Refusal as refusal:
        return "refused", refusal.code, refusal.text, refusal.fields


def plain(value):
    """The same text on every interpreter: nothing of repr, no order of a dict."""
    if isinstance(value, str):
        return value
    if value is None or value is True or value is False or isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return binascii.hexlify(value).decode()
    if isinstance(value, dict):
        return "{" + " ".join([plain(key) + "=" + plain(value[key]) for key in sorted(value)]) + "}"
    if isinstance(value, (list, tuple)):
        return "(" + " ".join([plain(each) for each in value]) + ")"
    return plain(value.num) + "/" + plain(value.den)  # a Ratio


def report(cases, name, count, seed, shown=None):
    """Print name, count and digest; with `shown` every block's digest, and the answers of block number `shown`."""
    total = hashlib.sha256()
    block = hashlib.sha256()
    number = 0
    for answer in cases(Draw(seed), tried):
        text = plain(answer)
        if shown is not None and number // BLOCK == shown:
            print("answer", number, text)
        block.update((text + "\n").encode())
        number += 1
        if number % BLOCK == 0 or number == count:
            digest = binascii.hexlify(block.digest()).decode()
            if shown is not None:
                print("block", (number - 1) // BLOCK, digest)
            total.update(digest.encode())
            block = hashlib.sha256()
            gc.collect()
        if number == count:
            break
    print("equal", name, number, binascii.hexlify(total.digest()).decode())
