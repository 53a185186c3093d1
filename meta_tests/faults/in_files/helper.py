"""Hosts on which a device, the helper or its access list is at fault."""

import errno
from dataclasses import replace

from meta_tests.samples.healthy_host import (
    EVERY_CAPABILITY,
    HELPER,
    ROOT,
    Fault,
    both,
    credentials,
    device,
    helper,
    machine,
    qemu,
)
from qemunet_tests.host.credentials import CAP_NET_ADMIN
from qemunet_tests.host.devices import TUN, VHOST_NET, Device
from qemunet_tests.host.helper_program import Helper

SETPERM = "sudo dpkg-statoverride --update --add root root 4755 /usr/lib/qemu/qemu-bridge-helper"

FAULTS = {
    # devices
    "no tun": Fault(
        "tun",
        "not",
        "there is no /dev/net/tun",
        "sudo modprobe tun",
        ("bridge", "lab"),
        change=lambda facts: replace(facts, tun=Device(TUN, False, open_errno=errno.ENOENT)),
    ),
    "no tun in the container": Fault(
        "tun",
        "not",
        "the container (podman) has no",
        "--cap-add NET_ADMIN",
        ("bridge", "lab"),
        change=both(
            machine(container="podman"),
            lambda facts: replace(facts, tun=Device(TUN, False, open_errno=errno.ENOENT)),
        ),
    ),
    "tun without driver": Fault(
        "tun",
        "not",
        "no driver is behind it",
        "reboot",
        ("bridge", "lab"),
        change=lambda facts: replace(facts, tun=device(TUN, 0o666, 0, failed=errno.ENODEV)),
    ),
    "tun closed": Fault(
        "tun",
        "not",
        "alice may not open /dev/net/tun (mode 0600",
        "chmod 0666",
        ("bridge", "lab"),
        change=lambda facts: replace(facts, tun=device(TUN, 0o600, 0, failed=errno.EACCES)),
    ),
    "tun is a file": Fault(
        "tun",
        "not",
        "is not a device node",
        "rm /dev/net/tun",
        ("bridge", "lab"),
        change=lambda facts: replace(facts, tun=Device(TUN, True)),
    ),
    "no vhost-net": Fault(
        "vhost-net",
        "not",
        "there is no /dev/vhost-net",
        "sudo modprobe vhost_net",
        change=lambda facts: replace(facts, vhost_net=Device(VHOST_NET, False, open_errno=errno.ENOENT)),
    ),
    # the helper
    "helper not built in": Fault(
        "helper", "not", "built without -netdev bridge", "QEMU", ("bridge",), change=qemu(helper_path=None)
    ),
    "no helper": Fault(
        "helper",
        "not",
        f"there is no {HELPER}",
        "qemu-system-common",
        ("bridge",),
        change=lambda facts: replace(facts, helper=Helper(HELPER, exists=False)),
    ),
    "helper elsewhere": Fault(
        "helper",
        "not",
        f"looks for its bridge helper at {HELPER}, but it is at /usr/libexec",
        "helper=/usr/libexec",
        ("bridge",),
        change=lambda facts: replace(
            facts, helper=Helper(HELPER, exists=False, elsewhere=("/usr/libexec/qemu-bridge-helper",))
        ),
    ),
    "helper of a group": Fault(
        "helper",
        "not",
        "may not be executed by this user (mode 4750",
        "chmod 4751",
        ("bridge",),
        change=helper(executable=False, mode=0o4750),
    ),
    "helper not setuid": Fault(
        "helper-privilege",
        "not",
        "is neither setuid root nor has it CAP_NET_ADMIN (mode 0755)",
        SETPERM,
        ("bridge",),
        change=helper(mode=0o755),
    ),
    "helper of another user": Fault(
        "helper-privilege",
        "not",
        "is setuid, but to user 1000 instead of root",
        "sudo chown root:root",
        ("bridge",),
        change=helper(uid=1000),
    ),
    "helper on nosuid": Fault(
        "helper-privilege",
        "not",
        "mounted nosuid, which makes the kernel ignore its setuid bit",
        "remount,suid",
        ("bridge",),
        change=helper(nosuid_mount=True),
    ),
    "helper with a capability on nosuid": Fault(
        "helper-privilege",
        "not",
        "ignore its file capability",
        "remount,suid",
        ("bridge",),
        change=helper(mode=0o755, capability=True, nosuid_mount=True),
    ),
    "no_new_privs": Fault(
        "helper-privilege",
        "not",
        "no_new_privs is set",
        "AmbientCapabilities=CAP_NET_ADMIN",
        ("bridge",),
        change=credentials(no_new_privileges=True),
    ),
    "capability bounded away": Fault(
        "helper-privilege",
        "not",
        "the container (docker) took CAP_NET_ADMIN away",
        "--cap-add NET_ADMIN",
        ("bridge",),
        change=both(machine(container="docker"), credentials(bounding=EVERY_CAPABILITY & ~(1 << CAP_NET_ADMIN))),
    ),
    "root without the capability": Fault(
        "helper-privilege",
        "not",
        "took CAP_NET_ADMIN away",
        "--cap-add NET_ADMIN",
        ("bridge",),
        change=lambda facts: replace(facts, credentials=replace(ROOT, permitted=0, effective=0, bounding=0)),
    ),
    "foreign user namespace": Fault(
        "helper-privilege",
        "not",
        "in a user namespace",
        "outside",
        ("bridge",),
        change=credentials(network_is_ours=False),
    ),
    # the access list
    "no list": Fault(
        "acl",
        "not",
        "/etc/qemu/bridge.conf cannot be read: No such file",
        "sudo install -d",
        ("bridge",),
        files={"/etc/qemu/bridge.conf": None},
    ),
    "list closed": Fault(
        "acl",
        "not",
        "cannot be read: Permission denied: the helper reads it as alice, setuid or not",
        "sudo chmod 0644 /etc/qemu/bridge.conf",
        ("bridge",),
        change=lambda facts: replace(
            facts,
            acl=replace(
                facts.acl,
                rules=(),
                problem=("/etc/qemu/bridge.conf cannot be read: Permission denied"),
                problem_errno=errno.EACCES,
            ),
        ),
    ),
    "list spoilt": Fault(
        "acl",
        "not",
        "line 2 of /etc/qemu/bridge.conf has one word only",
        "mend that line",
        ("bridge",),
        files={"/etc/qemu/bridge.conf": "allow br0\nallow=br1\n"},
    ),
    "bridge not in the list": Fault(
        "acl",
        "not",
        "allows no bridge called br0",
        "echo 'allow br0' | sudo tee -a /etc/qemu/bridge.conf",
        ("bridge",),
        files={"/etc/qemu/bridge.conf": "allow virbr0\n"},
    ),
    "bridge denied": Fault(
        "acl",
        "not",
        "line 2 of /etc/qemu/bridge.conf denies every bridge",
        "take that deny out",
        ("bridge",),
        files={"/etc/qemu/bridge.conf": "allow br0\ndeny all\n"},
    ),
    "comment behind the name": Fault(
        "acl",
        "not",
        "a bridge called 'br0 # LAN'",
        "allow br0",
        ("bridge",),
        files={"/etc/qemu/bridge.conf": "allow br0 # LAN\n"},
    ),
}
