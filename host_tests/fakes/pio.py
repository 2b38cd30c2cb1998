"""PIO programs run cycle by cycle on the host: enough of a state machine for firmware/rp2_motion.py, written from the RP2040's data sheet.

Each instruction takes one cycle and its delay; `pull` and `wait` that block take one more for each cycle they wait; a `jmp` that is
taken costs nothing extra; wrapping is free.
"""

import ast
from collections import deque

WORD = 0xFFFFFFFF
MAY_DELAY = 32


class Op:
    """One instruction. `program[..][n]` in the source sets its delay."""

    def __init__(self, name, args):
        self.name, self.args, self.delay = name, args, 0

    def __getitem__(self, delay):
        assert 0 <= delay < MAY_DELAY
        self.delay = delay
        return self


class Program:
    """ops in order; labels and the wrap as places."""

    def __init__(self, function):
        self.ops, self.labels, self.target, self.end = [], {}, 0, None
        function(self)
        self.end = len(self.ops) - 1 if self.end is None else self.end


def read_program(source, name):
    """The function `name` of a module's source, its body run with the words of the assembler."""
    tree = ast.parse(source)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    function.decorator_list = []
    module = ast.fix_missing_locations(ast.Module([function], []))

    def assemble(program):
        scope = _words(program)
        exec(compile(module, name, "exec"), scope)
        scope[name]()

    return Program(assemble)


def _words(program):
    def op(name):
        def add(*args):
            program.ops.append(Op(name, args))
            return program.ops[-1]

        return add

    words = {name: op(name) for name in ("set", "pull", "push", "mov", "jmp", "nop", "wait", "out", "in_")}
    words.update({name: name for name in ("pins", "x", "y", "osr", "isr", "pc", "pin", "x_dec", "y_dec", "block", "noblock")})
    words["label"] = lambda name: program.labels.update({name: len(program.ops)})
    words["wrap_target"] = lambda: setattr(program, "target", len(program.ops))
    words["wrap"] = lambda: setattr(program, "end", len(program.ops) - 1)
    words["invert"] = lambda register: ("invert", register)
    return words


class Machine:
    """A state machine of one program. `edges`: cycles of each change of its pin as (cycle, level); `fifo`: what it may pull."""

    def __init__(self, program, fifo=()):
        self.program, self.fifo = program, deque(fifo)
        self.registers = {"x": 0, "y": 0, "osr": 0, "isr": 0}
        self.cycle, self.pc, self.level, self.edges = 0, program.target, 0, []
        self.input = lambda cycle: 0

    def run(self, until):
        """One instruction after the other until that cycle."""
        while self.cycle < until:
            here = self.pc
            self.pc = self.program.target if here == self.program.end else here + 1
            op = self.program.ops[here]
            if getattr(self, "_" + op.name)(*op.args):
                self.pc = here  # it waits
                self.cycle += 1
            else:
                self.cycle += 1 + op.delay
        return self

    def rises(self):
        return [cycle for cycle, level in self.edges if level]

    # ---- instructions; true: it waits

    def _nop(self):
        return False

    def _set(self, where, value):
        assert where == "pins"
        if value != self.level:
            self.edges.append((self.cycle, value))
        self.level = value

    def _pull(self, how):
        if self.fifo:
            self.registers["osr"] = self.fifo.popleft()
        elif how == "block":
            return True
        else:
            self.registers["osr"] = self.registers["x"]
        return False

    def _mov(self, to, what):
        value = self.registers[what] if isinstance(what, str) else ~self.registers[what[1]] & WORD
        self.registers[to] = value

    def _jmp(self, *args):
        if len(args) == 1:
            self.pc = self.program.labels[args[0]]
            return
        condition, label = args
        register = condition[0]
        if self.registers[register]:
            self.pc = self.program.labels[label]
        self.registers[register] = (self.registers[register] - 1) & WORD

    def _wait(self, level, _what, _index):
        return self.input(self.cycle) != level
