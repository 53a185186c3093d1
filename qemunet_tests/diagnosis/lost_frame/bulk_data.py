"""Causes why bulk data stalls or crawls where small packets pass: shaping, policing, a queue that fills."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import queues
from qemunet_tests.diagnosis.lost_frame.filters_on_path import FilterOnPath, PacketOnPath, more_than, path_counts
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.route_lookup import link_to
from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.process import tap_of
from qemunet_tests.observe.tcp import BulkTransfer, bulk

#: So much is sent once more, for so long: enough to fill a queue.
SAMPLE_BYTES, SAMPLE_SECONDS = 2 * 1024 * 1024, 8
REST = 3
#: Between two looks at the queues meanwhile.
LOOK_SECONDS = 0.3


def held_up(failure: Failure) -> Obstacle | None:
    """What has counted packets that it dropped or held back while bulk data was sent once more."""
    guest, station = failure.guest, failure.bench.station
    if guest is None or not guest.nics:
        return None
    service = failure.target.neighbour_echo.by("TCP")
    links = _links(failure, guest, service.address)
    before = path_counts(station, links)
    seen, looks = _watched(station, links, lambda: bulk(guest, service, SAMPLE_BYTES, SAMPLE_SECONDS, again=False))
    if seen.intact:
        return None
    risen = more_than(before, path_counts(station, links))
    asked = PacketSeen("tcp", None, service.address, None, service.port, state="established")
    there, back = (PacketOnPath(station, packet, risen, bulk=True) for packet in (asked, asked.answer()))
    found = [*_met(failure, there, links), *_met(failure, back, links[::-1])]
    acted = [each.obstacle for each in found if each.acted]
    # What the guest sends leaves the host by the last of the links, and what it gets leaves it by the first.
    ways = (
        zip(links, seen.nic_bytes[::-1], strict=False)
        if failure.on_lan
        else ((each, seen.nic_bytes[0]) for each in links)
    )
    acted += [each for link, ours in ways for each in queues.held_up(link, [look[link] for look in looks], ours)]
    if not acted:
        return None
    names = "; and ".join(dict.fromkeys(each.reason for each in acted[:REST]))
    held = f"bulk data is held up where small packets pass ({seen})"
    return Obstacle(f"{held}, by what counted it: {names}", acted[0].remedy)


def _watched(
    station: Station, links: Sequence[str], send: Callable[[], BulkTransfer]
) -> tuple[BulkTransfer, list[dict[str, queues.Queues]]]:
    """A transfer, and what the queues of the links counted before, now and then meanwhile, and after it."""

    def look() -> dict[str, queues.Queues]:
        return {link: queues.queues(station, link) for link in links}

    looks = [look()]
    with ThreadPoolExecutor(1) as beside:
        sending = beside.submit(send)
        while not wait([sending], timeout=LOOK_SECONDS).done:
            looks.append(look())
    return sending.result(), [*looks, look()]


def _links(failure: Failure, guest: Guest, address: str) -> list[str]:
    """The interfaces of the host that the guest's packets pass, nearest first."""
    if not failure.on_lan:
        link = link_to(failure.bench.station.ask, address, failure.bench.identity.uid)
        below = failure.bridge(link) if link else None
        return [link, *(port.name for port in below.uplinks if port.up)] if link and below else [link] if link else []
    tap, bridge = tap_of(guest), failure.bridge()
    uplinks = [port.name for port in bridge.uplinks if port.up][:1] if bridge else []
    return [tap, *uplinks] if tap else uplinks


def _met(failure: Failure, way: PacketOnPath, links: list[str]) -> Iterator[FilterOnPath]:
    """Coming in at the first of the links, or of the host's own, and leaving by the last."""
    if not failure.on_lan:
        yield from way.of_the_host(leaving=way.packet.destination is not None)
        for link in links:
            yield from way.at_link(link, leaving=True)
            yield from way.at_link(link, leaving=False)
        return
    yield from way.at_link(links[0], leaving=False)
    if len(links) > 1:
        yield from way.within_bridge(failure.target.bridge, (links[0], links[-1]), 0)
        yield from way.at_link(links[-1], leaving=True)
