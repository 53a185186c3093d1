"""Hosts on which a device, the helper or its access list is at fault."""

import errno
from dataclasses import replace

from meta_tests.faults.in_files import of_files
from meta_tests.samples.healthy_host import (
    EVERY_CAPABILITY,
    HELPER,
    ROOT,
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

FAULTS = (
    # devices
    of_files("no tun", "tun", "not", "there is no /dev/net/tun", "sudo modprobe tun", ("bridge", "lab"),
             change=lambda facts: replace(facts, tun=Device(TUN, False, open_errno=errno.ENOENT))),
    of_files("no tun in the container", "tun", "not", "the container (podman) has no", "--cap-add NET_ADMIN",
             ("bridge", "lab"), change=both(machine(container="podman"), lambda facts: replace(facts, tun=Device(TUN,
             False, open_errno=errno.ENOENT)))),
    of_files("tun without driver", "tun", "not", "no driver is behind it", "reboot", ("bridge", "lab"),
             change=lambda facts: replace(facts, tun=device(TUN, 0o666, 0, failed=errno.ENODEV))),
    of_files("tun closed", "tun", "not", "alice may not open /dev/net/tun (mode 0600", "chmod 0666", ("bridge",
             "lab"), change=lambda facts: replace(facts, tun=device(TUN, 0o600, 0, failed=errno.EACCES))),
    of_files("tun is a file", "tun", "not", "is not a device node", "rm /dev/net/tun", ("bridge", "lab"),
             change=lambda facts: replace(facts, tun=Device(TUN, True))),
    of_files("no vhost-net", "vhost-net", "not", "there is no /dev/vhost-net", "sudo modprobe vhost_net",
             change=lambda facts: replace(facts, vhost_net=Device(VHOST_NET, False, open_errno=errno.ENOENT)),
             kind="vhost-net is missing"),
    # the helper
    of_files("helper not built in", "helper", "not", "built without -netdev bridge", "QEMU", ("bridge",),
             change=qemu(helper_path=None)),
    of_files("no helper", "helper", "not", f"there is no {HELPER}", "qemu-system-common", ("bridge",),
             change=lambda facts: replace(facts, helper=Helper(HELPER, exists=False))),
    of_files("helper elsewhere", "helper", "not",
             f"looks for its bridge helper at {HELPER}, but it is at /usr/libexec", "helper=/usr/libexec", ("bridge",
             ), change=lambda facts: replace(facts, helper=Helper(HELPER, exists=False,
             elsewhere=("/usr/libexec/qemu-bridge-helper",)))),
    of_files("helper of a group", "helper", "not", "may not be executed by this user (mode 4750", "chmod 4751",
             ("bridge",), change=helper(executable=False, mode=0o4750)),
    of_files("helper not setuid", "helper-privilege", "not",
             "is neither setuid root nor has it CAP_NET_ADMIN (mode 0755)", SETPERM, ("bridge",),
             change=helper(mode=0o755)),
    of_files("helper of another user", "helper-privilege", "not", "is setuid, but to user 1000 instead of root",
             "sudo chown root:root", ("bridge",), change=helper(uid=1000)),
    of_files("helper on nosuid", "helper-privilege", "not",
             "mounted nosuid, which makes the kernel ignore its setuid bit", "remount,suid", ("bridge",),
             change=helper(nosuid_mount=True)),
    of_files("helper with a capability on nosuid", "helper-privilege", "not", "ignore its file capability",
             "remount,suid", ("bridge",), change=helper(mode=0o755, capability=True, nosuid_mount=True)),
    of_files("no_new_privs", "helper-privilege", "not", "no_new_privs is set", "AmbientCapabilities=CAP_NET_ADMIN",
             ("bridge",), change=credentials(no_new_privileges=True)),
    of_files("capability bounded away", "helper-privilege", "not", "the container (docker) took CAP_NET_ADMIN away",
             "--cap-add NET_ADMIN", ("bridge",), change=both(machine(container="docker"),
             credentials(bounding=EVERY_CAPABILITY & ~(1 << CAP_NET_ADMIN)))),
    of_files("root without the capability", "helper-privilege", "not", "took CAP_NET_ADMIN away",
             "--cap-add NET_ADMIN", ("bridge",), change=lambda facts: replace(facts, credentials=replace(ROOT,
             permitted=0, effective=0, bounding=0))),
    of_files("foreign user namespace", "helper-privilege", "not", "in a user namespace", "outside", ("bridge",),
             change=credentials(network_is_ours=False)),
    # the access list
    of_files("no list", "acl", "not", "/etc/qemu/bridge.conf cannot be read: No such file", "sudo install -d",
             ("bridge",), files={"/etc/qemu/bridge.conf": None}),
    of_files("list closed", "acl", "not",
             "cannot be read: Permission denied: the helper reads it as alice, setuid or not",
             "sudo chmod 0644 /etc/qemu/bridge.conf", ("bridge",), change=lambda facts: replace(facts,
             acl=replace(facts.acl, rules=(), problem=("/etc/qemu/bridge.conf cannot be read: Permission denied"),
             problem_errno=errno.EACCES))),
    of_files("list spoilt", "acl", "not", "line 2 of /etc/qemu/bridge.conf has one word only", "mend that line",
             ("bridge",), files={"/etc/qemu/bridge.conf": "allow br0\nallow=br1\n"}),
    of_files("bridge not in the list", "acl", "not", "allows no bridge called br0",
             "echo 'allow br0' | sudo tee -a /etc/qemu/bridge.conf", ("bridge",),
             files={"/etc/qemu/bridge.conf": "allow virbr0\n"}),
    of_files("bridge denied", "acl", "not", "line 2 of /etc/qemu/bridge.conf denies every bridge",
             "take that deny out", ("bridge",), files={"/etc/qemu/bridge.conf": "allow br0\ndeny all\n"}),
    of_files("bridge denied in an included file", "acl", "not", "line 1 of /etc/qemu/users.conf denies br0",
             "take that deny out of /etc/qemu/users.conf", ("bridge",),
             files={"/etc/qemu/bridge.conf": "include /etc/qemu/users.conf\nallow br0\n",
                    "/etc/qemu/users.conf": "deny br0\n"}),
    of_files("comment behind the name", "acl", "not", "a bridge called 'br0 # LAN'", "allow br0", ("bridge",),
             files={"/etc/qemu/bridge.conf": "allow br0 # LAN\n"}),
)  # fmt: skip
