"""NICs that are plugged into a guest while it runs, and taken out again: one at a time."""

from typing import Any

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest.guest import Guest
from qemunet_tests.qemu.netdev import Nic
from qemunet_tests.qemu.qmp import Monitor

#: What its device, its backend, what writes down its wire, and the controller of its bus are called.
DEVICE, BACKEND, CAPTURE, CONTROLLER = "card", "net0", "wire0", "bus"
#: One for all that are plugged in, so that a LAN's server does not run out of addresses.
MAC = "52:54:00:72:00:01"
#: What brings the bus of a model that is on none of a PC's own.
BUSES = {"usb-net": "qemu-xhci"}
#: On a machine that is not slowed down.
TAKEN_OUT_SECONDS = 3.0


def plug_in(guest: Guest, nic: Nic, mac: str, **properties: object) -> None:
    """Give a guest without a NIC one on a backend of its own, which is called as a booted guest's is.

    A property that is None is left out. Whether the guest notices is another question. Its `nics` stay those it was
    started with.
    Raises HarnessError where QEMU refuses one of the two.
    """
    monitor = guest.monitor
    _add_backend(monitor, nic.netdev.spell(BACKEND))
    file = str(guest.folder / f"{BACKEND}.pcap")
    capture: dict[str, Any] = {"qom-type": "filter-dump", "id": CAPTURE, "netdev": BACKEND, "file": file}
    monitor.execute("object-add", **capture)
    bus = BUSES.get(nic.model)
    if bus and CONTROLLER not in _devices(monitor):
        monitor.execute("device_add", driver=bus, id=CONTROLLER)
    # Only what is on PCI has a ROM.
    rom = {} if bus else {"romfile": ""}
    given = {"netdev": BACKEND, "mac": mac, **rom, **properties}
    words: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    monitor.execute("device_add", driver=nic.model, id=DEVICE, **words)


def _add_backend(monitor: Monitor, spelled: str) -> None:
    kind, *words = spelled.split(",")
    if not any("." in word.partition("=")[0] for word in words):
        if refusal := monitor.ask(f"netdev_add {spelled}").strip():
            raise HarnessError(f"netdev_add {spelled}: {refusal}")
        return
    # The human monitor reads no dotted names, as addresses have them; QMP would want to be told each word's type.
    told: dict[str, Any] = {"type": kind}
    for name, _, value in (word.partition("=") for word in words):
        *places, last = name.split(".")
        place = told
        for each in places:
            place = place.setdefault(each, {})
        place[last] = {"on": True, "off": False}.get(value, value)
    monitor.execute("netdev_add", **told)


def take_out(guest: Guest, model: str) -> None:
    """Take the NIC out again, with its backend. Raises TimedOut where the guest does not let go of it, HarnessError."""
    if not unplugged(guest, model):
        raise TimedOut(f"the guest does not let go of its {model}")


def unplugged(guest: Guest, model: str) -> bool:
    """Take the NIC out again; with it goes its backend, where the guest lets go of it in time. Raises HarnessError."""
    monitor = guest.monitor
    # The controller of a bus stays for the next one: a guest does not let go of it at once.
    monitor.events()
    monitor.execute("device_del", id=DEVICE)
    gone = Deadline(guest.pace.seconds(TAKEN_OUT_SECONDS), f"the guest to let go of its {model}")
    if not gone.sees(lambda: DEVICE in deleted(monitor.events()), interval_seconds=0.02):
        return False
    monitor.execute("object-del", id=CAPTURE)
    monitor.execute("netdev_del", id=BACKEND)
    return True


def _devices(monitor: Monitor) -> set[str]:
    """The ids of the devices that were given one."""
    return {str(each["name"]) for each in monitor.execute("qom-list", path="/machine/peripheral")}


def deleted(events: list[dict[str, object]]) -> list[str]:
    """The ids of the devices that are gone by these events."""
    told = (event["data"] for event in events if event["event"] == "DEVICE_DELETED")
    return [str(data["device"]) for data in told if isinstance(data, dict) and "device" in data]
