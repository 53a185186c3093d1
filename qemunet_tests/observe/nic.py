"""Network interfaces, seen from inside a guest."""

from dataclasses import dataclass

from qemunet_tests import timeouts
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest import Guest
from qemunet_tests.observe.command_place import GuestPlace, Place
from qemunet_tests.timeouts import turns, whole


def interfaces(guest: Guest) -> list[str]:
    """The guest's network interfaces without loopback."""
    return sorted(name for name in guest.check("ls /sys/class/net").split() if name != "lo")


def driver(guest: Guest, interface: str = "eth0") -> str:
    """The kernel driver behind an interface; empty where the interface does not exist."""
    return guest.run(f"basename $(readlink /sys/class/net/{interface}/device/driver)").text


@dataclass(frozen=True)
class SeenNic:
    """What a guest's kernel says of an interface, empty where it says nothing.

    `device` is what its bus knows the NIC by, as lspci(8) and lsusb(8) write it: `8086:100e (rev 03)`.
    """

    driver: str = ""
    device: str = ""
    mac: str = ""


#: From the interface's device, which may be one that its driver has made, up to the one that is on a bus.
_SEEN = (
    "d=$(readlink -f /sys/class/net/{0}/device) && readlink $d/driver && cat /sys/class/net/{0}/address && "
    "until [ -e $d/revision ] || [ -e $d/idVendor ]; do d=${{d%/*}}; done && "
    "cd $d && cat vendor device revision idVendor idProduct 2>/dev/null; true"
)


def seen_nic(guest: Guest, within_seconds: float, interface: str = "eth0") -> SeenNic:
    """What a guest makes of a NIC that was plugged in, with the driver that it loads for it; waited for."""
    appears = f"n=0; until [ -e /sys/class/net/{interface} ] || [ $n = 10 ]; do {guest.tools.load_drivers.format()}; "
    await_it = f"{appears} n=$((n+1)); usleep 50000; done; {_SEEN.format(interface)}"
    said: list[str] = []

    def appeared() -> bool:
        said[:] = guest.run(await_it).text.split()
        return len(said) > 3

    if not Deadline(guest.pace.seconds(within_seconds), "a driver to find the NIC").sees(appeared):
        return SeenNic()
    driver, mac, vendor, device, *revision = (each.removeprefix("0x") for each in said)
    known = " ".join([f"{vendor}:{device}", *(f"(rev {each})" for each in revision)])
    return SeenNic(driver.rpartition("/")[2], known, mac)


def virtio_features(guest: Guest, interface: str = "eth0") -> set[int]:
    """The numbers of the feature bits that a virtio NIC and its driver agree on."""
    bits = guest.check(f"cat /sys/class/net/{interface}/device/features")
    return {number for number, bit in enumerate(bits) if bit == "1"}


def setting(guest: Guest, name: str, interface: str = "eth0") -> str:
    """What the kernel says of an interface, `mtu` or `speed` for instance; empty where it has no such thing."""
    return guest.run(f"cat /sys/class/net/{interface}/{name}").text


def carrier(guest: Guest, interface: str = "eth0") -> bool | None:
    """Whether the cable is in; None where the interface is not up and so nobody knows."""
    return {"1": True, "0": False}.get(guest.run(f"cat /sys/class/net/{interface}/carrier").text)


#: A guest's addresses by which others can be called. Those that libslirp announces, fec0::/64, are of scope site; one
#: that is still tentative (RFC 4862, 5.4) may not be used.
USABLE = {
    4: "ip -4 -o addr show {of} scope global",
    6: "ip -6 -o addr show {of} | grep -v -e 'scope link' -e 'scope host' -e tentative",
}


def family_awaited(version: int, wait_seconds: int) -> str:
    """A command, to be put before one that calls others: it ends when an address of that IP is there, or in the end.

    A lease is awaited otherwise; what a router announces comes seconds after it.
    """
    usable = USABLE[version].format(of="")
    awaited = f"n=0; until {usable} | grep -q inet || [ $n = {wait_seconds * 2} ]; do n=$((n+1)); sleep 0.5; done; "
    return awaited if version == 6 else ""


def address_on(place: Place, interface: str, wait_seconds: int = 20, version: int = 4) -> str:
    """The address with prefix on an interface, of IPv4 or IPv6, waited for; empty when none came."""
    show = USABLE[version].format(of=f"dev {interface}")
    for patience_seconds in turns(wait_seconds):
        wait = whole(patience_seconds)
        command = f"n=0; until {show} | grep inet || [ $n = {wait} ]; do n=$((n+1)); sleep 1; done"
        words = place.run(command, within_seconds=wait + 5).text.split()
        if (word := "inet6" if version == 6 else "inet") in words:
            return words[words.index(word) + 1]
    return ""


def address_given(place: GuestPlace, interface: str, least_questions: int, wait_seconds: int = 20) -> str:
    """The same, for a guest whose frames nobody captures; empty where it asked for an address and got none.

    Raises HarnessError where its own DHCP client asked less often, or its NIC sent fewer frames than that: whoever
    did not ask was not refused.
    """
    if address_on(place, interface, wait_seconds):
        # Linux takes address and mask one after the other, and for a moment the mask is that of the address's class.
        place.run(place.tools.await_leases.format(), within_seconds=20)
        return address_on(place, interface)
    asked, sent = place.tools.lease_questions.format(interface=interface), f"/sys/class/net/{interface}/statistics"
    words = place.run(f"{asked}; cat {sent}/tx_packets", within_seconds=20).text.split()
    counts = [int(word) for word in words if word.isdigit()]
    if len(counts) < 2 or min(counts) < least_questions:
        told = f"its DHCP client asked and its NIC sent {' and '.join(words) or 'nobody knows how many'} times"
        raise HarnessError(f"the guest has no address on {interface}, but did not ask often enough: {told}")
    return ""


def addresses(place: Place, wait_seconds: int = 8, version: int = 4) -> dict[str, str]:
    """The address of every interface but loopback, empty where it has none, a moment after one got the first.

    Their DHCP clients start together: who has none by then has nobody to ask. The moment is a second, and longer as the
    machine is slower.
    """
    show = USABLE[version].format(of="")
    found: dict[str, str] = {}
    for patience_seconds in turns(wait_seconds):
        wait, more = whole(patience_seconds), whole(timeouts.crowding())
        command = f"n=0; until {show} | grep -q inet || [ $n = {wait} ]; do n=$((n+1)); sleep 1; done; sleep {more}"
        listed = place.run(f"{command}; {show}; echo; ls /sys/class/net", within_seconds=wait + more + 5).text
        shown, _, names = listed.rpartition("\n\n")
        with_address = {words[1]: words[3] for words in map(str.split, shown.splitlines())}
        found = {name: with_address.get(name, "") for name in names.split() if name != "lo"}
        if any(found.values()):
            break
    return found
