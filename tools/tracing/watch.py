"""Notes which functions a test entered, at next to no cost: a function is watched until its first call, then it runs as it was.

An armed function's code is swapped for a stub that notes the entry, puts the code back and calls it. This reaches a function by
whatever name another module imported it.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)  # the constant that is called is replaced by the watched function's hook
    _STUB = eval("lambda *args, **named: 'hook'(*args, **named)")


OWN = __package__ or "tools.tracing"  # the watch does not watch itself


class Watched:
    """One function: its place, and its code of both kinds."""

    def __init__(self, place: str, function: FunctionType, entered: set[str]) -> None:
        self.place = place
        self.function = function
        self.entered = entered
        self.code = function.__code__
        self.stub = _stub(self)
        function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]  # for those who ask while it is armed

    def arm(self) -> None:
        self.function.__code__ = self.stub

    def disarm(self) -> None:
        self.function.__code__ = self.code

    def __call__(self, *args: Any, **named: Any) -> Any:
        self.disarm()
        self.entered.add(self.place)
        return self.function(*args, **named)


def _stub(hook: Watched) -> CodeType:
    code: CodeType = _STUB.__code__
    consts = tuple(hook if const == "hook" else const for const in code.co_consts)
    return code.replace(co_consts=consts, co_name=hook.code.co_name, co_filename=hook.code.co_filename)


class Watch:
    """All functions of the watched packages that were imported by now."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self.packages = packages
        self.entered: set[str] = set()
        self.watched: dict[FunctionType, Watched] = {}
        self._modules = 0  # how many were imported at the last look

    def find(self) -> None:
        """Takes in what was imported since the last call."""
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        for name, module in sorted(sys.modules.items()):
            if name.split(".")[0] in self.packages and not name.startswith(OWN):
                for place, function in functions_of(module):
                    self.take_in(place, function)

    def take_in(self, place: str, function: FunctionType) -> None:
        if inspect.iscoroutinefunction(function):  # known by a flag of its code: a framework asks for it while it is armed
            return
        if function not in self.watched and not function.__code__.co_freevars:
            self.watched[function] = Watched(place, function, self.entered)

    def start(self) -> None:
        self.entered.clear()
        for watched in self.watched.values():
            watched.arm()

    def stop(self) -> list[str]:
        """What was entered since start."""
        for watched in self.watched.values():
            watched.disarm()
        return sorted(self.entered)


def functions_of(module: ModuleType | SimpleNamespace) -> Iterator[tuple[str, FunctionType]]:
    """The functions and methods written in a module, as `package/module.py:Class.method`."""
    file = module.__name__.replace(".", "/") + ".py"
    for name, thing in list(vars(module).items()):
        if getattr(thing, "__module__", None) != module.__name__:
            continue
        if isinstance(thing, FunctionType):
            yield f"{file}:{name}", thing
        elif inspect.isclass(thing):
            for inner, method in list(vars(thing).items()):
                for function in _behind(method):
                    yield f"{file}:{name}.{inner}", function


def _behind(thing: object) -> list[FunctionType]:
    """The functions behind a method, a class or static method, or a property."""
    if isinstance(thing, property):
        return [each for each in (thing.fget, thing.fset) if isinstance(each, FunctionType)]
    if isinstance(thing, (staticmethod, classmethod)):
        thing = thing.__func__
    return [thing] if isinstance(thing, FunctionType) else []
