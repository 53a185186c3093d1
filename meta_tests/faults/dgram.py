"""Faults of dgram mode: what stands between two QEMUs that talk by UDP, and what one is started with."""

from meta_tests.faults.fault import USER_SENTINELS, fault
from meta_tests.faults.wrapper import alter_qemu
from qemunet_tests.errors import HarnessError
from qemunet_tests.network import Lab

#: For all UDP that is sent on the loopback.
GUARD = "table inet fault {{ chain output {{ type filter hook output priority 0; oif lo meta l4proto udp {}; }}; }}"


def _on_loopback(lab: Lab, verdict: str) -> None:
    done = lab.host.run(f"nft '{GUARD.format(verdict)}'")
    if not done.succeeded:
        raise HarnessError(f"the fault cannot be planted: {done.complaint}")


@fault("dgram/inet", cause="60 bytes to the far one lost; .*65000 bytes to the near one lost", sentinels=USER_SENTINELS)
def datagrams_lost(lab: Lab) -> None:
    """The host's firewall lets no UDP pass on the loopback."""
    _on_loopback(lab, "drop")


@fault("dgram/inet", cause="to the near one altered", sentinels=USER_SENTINELS)
def datagrams_altered(lab: Lab) -> None:
    """Something on the host rewrites a byte of what passes by."""
    _on_loopback(lab, "@th,400,8 set 0xa5")


@fault("dgram/remote-optional", cause="local.port", sentinels=USER_SENTINELS)
def local_port_left_out(lab: Lab) -> None:
    """A wrapper in QEMU's place does not know local ports and leaves them out."""
    alter_qemu(lab, lambda words: [word.partition(",local.port=")[0] for word in words])
