"""Ports of the host for those of a container, reserved before it starts, each under the number that it will have."""

from __future__ import annotations

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import PublishedPort
from mydocker.runtime.network.port_relay import Reservation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.specs.model.parts import Port


def reserve(ports: Iterable[Port]) -> Reservation:
    """Bind PORTS, all or none. Raises LaunchError as `port_relay.reserve` does."""
    reservation = Reservation()
    try:
        for port in ports:
            _add(reservation, port)
    except BaseException:
        reservation.close()
        raise
    return reservation


def _add(reservation: Reservation, port: Port) -> None:
    """Bind PORT; where it has a range of numbers, the first one that is free."""
    wanted = PublishedPort(target=port.target, port=port.published or 0, host_ip=port.host_ip, protocol=port.protocol)
    last = port.last_published or wanted.port
    while True:
        try:
            return reservation.add(wanted)
        except LaunchError:
            if wanted.port >= last:
                raise
            wanted = wanted.replace(port=wanted.port + 1)


def written(port: PublishedPort) -> str:
    """PORT as the option -p has it."""
    address = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    return f"{address}:{port.port}:{port.target}/{port.protocol}".lstrip(":")


def read(text: str) -> PublishedPort:
    """The port that `written` has made TEXT of."""
    numbers, _, protocol = text.rpartition("/")
    rest, _, target = numbers.rpartition(":")
    address, _, port = rest.rpartition(":")
    return PublishedPort(target=int(target), port=int(port), host_ip=address.strip("[]"), protocol=protocol)
