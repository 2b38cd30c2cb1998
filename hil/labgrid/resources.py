"""What a bench has, as an exporter tells it. A serial port that labgrid itself exports (USBSerialPort) serves the drivers as well."""

from __future__ import annotations

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.resource import Resource
from labgrid.resource.base import SerialPort
from labgrid.util.proxy import proxymanager

TEXT = attr.validators.instance_of(str)


@target_factory.reg_resource
@attr.s(eq=False)
class DosingPump(Resource):
    """A pump behind any pyserial URL, and what bench.toml says of one: the build it must have, and what stands around it.

    `has` is text, parts divided by commas ("port switch, back pressure"): an exporter sends no lists.
    """

    url: str = attr.ib(validator=TEXT)
    firmware: str = attr.ib(default="", validator=TEXT)
    has: str = attr.ib(default="", validator=TEXT)


@target_factory.reg_resource
@attr.s(eq=False)
class WeighingBalance(Resource):
    """A balance by what `--balance` takes: `/dev/ttyUSB0`, `rfc2217://bench7:4001`, `sbi:/dev/ttyUSB1#baud=1200,bits=7,parity=O`."""

    url: str = attr.ib(validator=TEXT)


def url_of(line: Resource) -> str:
    """What the bench calls the line; a port of another machine goes through labgrid's proxy where one is asked for."""
    if isinstance(line, (DosingPump, WeighingBalance)):
        return str(line.url)
    if isinstance(line, SerialPort):
        return str(line.port)
    host, port = proxymanager.get_host_and_port(line)
    # ser2net, which labgrid's exporter starts, does not confirm every change of DTR and RTS.
    return f"socket://{host}:{port}" if line.protocol == "raw" else f"rfc2217://{host}:{port}?ign_set_control"


def resolved(driver: Driver, path: str) -> str:
    """A file that an environment names, told from its folder."""
    env = driver.target.env
    return str(env.config.resolve_path(path)) if env else path
