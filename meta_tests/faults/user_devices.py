"""Faults of network devices: a monitor that does nothing, one network twice, a QEMU that talks, no boot file."""

from typing import Any

from meta_tests.faults.fault import USER_SENTINELS, fault
from meta_tests.faults.wrapper import alter_qemu, replace_user_option, set_user_option
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.network import Lab


def _ignored(guest: Guest, *commands: str) -> None:
    """From now on a guest's monitor says that it has done these, and does nothing."""
    execute = guest.monitor.execute

    def swallow(command: str, *words: Any, **arguments: Any) -> Any:
        return {} if command in commands else execute(command, *words, **arguments)

    guest.monitor.execute = swallow


@fault("user/two-nics-two-networks", cause=r"10\.0\.2\.15/24 and 10\.0\.2\.15/24", sentinels=USER_SENTINELS)
def one_network_twice(lab: Lab) -> None:
    """A management tool gives all networks of a machine the same addresses."""
    replace_user_option(lab, "net", "10.0.2.0/24")


@fault("user/set-link", "user/netdev-del-in-use", cause="carrier, an answer", sentinels=("user/netdev-hotplug",))
def cables_stay(guest: Guest, bench: Bench) -> None:
    """A monitor pulls no cable, and takes away no network."""
    _ignored(guest, "set_link", "netdev_del")


@fault("user/netdev-hotplug", cause="no card", sentinels=("user/set-link", "user/address"))
def cards_do_not_come(guest: Guest, bench: Bench) -> None:
    """A monitor plugs in no card."""
    _ignored(guest, "device_add", "device_del")


@fault("user/log-quiet", cause="started with .*user,id=spare where", sentinels=("user/address", "user/gateway"))
def spare_network(lab: Lab) -> None:
    """A management tool adds a network that nobody is in, of which QEMU warns."""
    alter_qemu(lab, lambda words: [*words, "-netdev", "user,id=spare"] if "-device" in words else words)


@fault("user/network-boot", cause="the boot program says: nothing", sentinels=("user/tftp-read", "user/tftp-off"))
def another_boot_file(lab: Lab) -> None:
    """The boot file that is named is not there."""
    set_user_option(lab, "bootfile", "gone.0")
