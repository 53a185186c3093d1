"""The manual's examples, as printed, with what a host has put in: QEMUs whose machines stand still."""

import pytest

from qemunet_tests.network import lab_addresses
from qemunet_tests.observe.frame_sockets import listening
from qemunet_tests.observe.refused_commands import attempts

MAC, OTHER_MAC = "52:54:00:12:34:56", "52:54:00:12:34:57"
#: `{folder}` has a disk in it, at `{service}` somebody listens, and at the other ports nobody.
EXAMPLES = (
    "-netdev user,id=n1,ipv6=off -device e1000,netdev=n1,mac=52:54:98:76:54:32",
    "-nic user,ipv6=off,model=e1000,mac=52:54:98:76:54:32",
    "-nic user,dnssearch=mgmt.example.org,dnssearch=example.org",
    "-hda {folder}/linux.img -boot n -device e1000,netdev=n1 -netdev user,id=n1,tftp={folder},bootfile=/pxelinux.0",
    "-nic user,hostfwd=tcp:127.0.0.1:{port}-:6000",
    "-nic user,hostfwd=tcp::{port}-:23",
    "-nic user,guestfwd=tcp:10.0.2.100:1234-tcp:127.0.0.1:{service}",
    "-nic 'user,id=n1,guestfwd=tcp:10.0.2.100:1234-cmd:netcat 10.10.1.1 4321'",
    f"-device e1000,netdev=n1,mac={MAC} -netdev socket,id=n1,listen=:{{port}}",
    f"-device e1000,netdev=n2,mac={OTHER_MAC} -netdev socket,id=n2,connect=127.0.0.1:{{service}}",
    f"-device e1000,netdev=n1,mac={MAC} -netdev socket,id=n1,mcast=230.0.0.1:{{port}}",
    f"-device e1000,netdev=n1,mac={MAC} -netdev socket,id=n1,mcast=239.192.168.1:1102,localaddr={{address}}",
    "-device e1000,netdev=n1 -netdev l2tpv3,id=n1,src=127.0.0.1,dst=127.0.0.1,udp,srcport={port},dstport={other},"
    "rxsession=0xffffffff,txsession=0xffffffff,counter",
)


@pytest.mark.claim("net/manual-examples")
def test_the_manuals_examples_start(bench, lab, qemus_folder, claim):
    disk = qemus_folder / "linux.img"
    disk.write_bytes(bytes(1 << 20))
    disk.chmod(0o666)
    port, other, service = (lab.host.free_port("tcp", 7400) for _ in range(3))
    with listening(lab.host, service):
        places = {"folder": qemus_folder, "port": port, "other": other, "service": service}
        commands = [each.format(**places, address=lab_addresses.HOST) for each in EXAMPLES]
        tried = attempts(bench, commands)
    refused = [f"{command}: {each.complaints.refusal}" for command, each in tried.items() if not each.started]
    claim.sees(f"{len(tried) - len(refused)} of {len(commands)} start")
    assert not refused, f"of the manual's examples QEMU refuses {'; '.join(refused)}"
    assert claim.observed == claim.expected
