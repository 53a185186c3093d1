"""Faults of vhost-user: memory that is not shared, words that are left out, and a monitor that tells otherwise."""

from meta_tests.faults.fault import fault
from meta_tests.faults.monitor import carry_out, say_yes
from meta_tests.faults.wrapper import alter_qemu, reworded
from qemunet_tests.network import Lab
from qemunet_tests.qemu.qmp import Monitor

OTHERS = ("vhost-user/chardev-needed", "vhost-user/vhostforce")
CARD = "mac=52:54:00:aa:bb:cc"

REWORDED = (
    reworded("vhost-user/virtio-only", "rtl8139,netdev=lan", "virtio-net-pci,netdev=lan", "QEMU starts with .*rtl8139",
             *OTHERS),
    reworded("vhost-user/backend-absent",
             ("socket,id=c,path=/nonexistent/socket", "-netdev", "vhost-user,id=lan,chardev=c"), ("null,id=c",),
             "QEMU starts with -chardev", *OTHERS),
    reworded("vhost-user/queues", "chardev=lan-socket,queues=2", "chardev=lan-socket",
             "of queues there are vhost-user0$", *OTHERS),
    reworded("vhost-user/queues-range", ("-netdev", "vhost-user,id=lan,chardev=c,queues=1025"), (),
             "QEMU starts with .*queues=1025", *OTHERS),
    reworded("vhost-user/chardev-needed", ("-netdev", "vhost-user,id=lan"), (),
             "QEMU starts with -netdev vhost-user,id=lan", "vhost-user/vhostforce", "vhost-user/queues"),
    reworded("vhost-user/needs-unix-chardev", ("null,id=c", "-netdev", "vhost-user,id=lan,chardev=c"), ("null,id=c",),
             "QEMU starts with -chardev null", *OTHERS),
)  # fmt: skip


@fault(
    "vhost-user/needs-shared-memory", "vhost-user/backend-restarts", cause=r"52:54:00:aa:bb:cd asks", sentinels=OTHERS
)
def running_machines_have_another_card(lab: Lab) -> None:
    """A wrapper in QEMU's place gives a NIC another address."""
    alter_qemu(lab, lambda words: [word.replace(CARD, f"{CARD[:-1]}d") for word in words])


@fault("vhost-user/guest", cause="the guest got no lease", sentinels=OTHERS)
def shared_memory_is_private(lab: Lab) -> None:
    """A wrapper in QEMU's place shares no memory, whatever it was told."""
    alter_qemu(lab, lambda words: [word.replace(",share=on", ",share=off") for word in words])


@fault(
    "vhost-user/vhostforce", cause="with vhostforce= {", sentinels=("vhost-user/chardev-needed", "vhost-user/queues")
)
def forced_backends_have_another_card(lab: Lab) -> None:
    """A wrapper in QEMU's place gives a NIC another address where `vhostforce=on` stands."""

    def otherwise(words: list[str]) -> list[str]:
        forced = any("vhostforce=on" in word for word in words)
        return [word.replace(CARD, f"{CARD[:-1]}d") if forced else word for word in words]

    alter_qemu(lab, otherwise)


@fault("vhost-user/migration-blocked", cause="of a migration: it is migrated", sentinels=OTHERS)
def migrations_never_refused(lab: Lab) -> None:
    """A monitor says of every migration that it has begun."""
    carry_out("migrate", say_yes)


@fault("vhost-user/events", cause="the monitor tells of nothing", sentinels=OTHERS)
def no_events_of_backends(lab: Lab) -> None:
    """A monitor tells of nothing by itself."""
    Monitor.events = lambda _self: []


UNBREAKABLE = {
    f"af-xdp/{slug}": "no QEMU at hand was built with it"
    for slug in ("no-interface", "queues", "inhibit", "no-privilege", "generic-veth", "program-removed")
}
