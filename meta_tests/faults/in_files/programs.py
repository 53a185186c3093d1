"""Hosts on which a program besides the chosen QEMU is missing or confined, or everything is in a container."""

import errno
from dataclasses import replace
from pathlib import Path

from meta_tests.samples.healthy_host import Fault, credentials, machine, qemu, routes
from qemunet_tests.host.passt import Passt
from qemunet_tests.isolation.user_namespaces import NamespaceAttempt
from qemunet_tests.qemu.qemu_binaries import Emulator

WORKING = Emulator("/usr/bin/qemu-system-x86_64", "10.0.2", ("user", "bridge"))
NAMESPACES = ("lab",)

FAULTS = {
    "a QEMU that does not run": Fault(
        "emulators",
        "caution",
        "no QEMU, or a broken one: /opt/qemu/bin/qemu-system-x86_64: found besides: /usr/bin/qemu-system-x86_64 10.0.2 "
        "(user, bridge)",
        "/opt/qemu/bin/qemu-system-x86_64 --version",
        change=lambda facts: replace(
            facts, emulators=(WORKING, Emulator("/opt/qemu/bin/qemu-system-x86_64", None))
        ),
    ),
    "QEMU from a snap": Fault(
        "emulators",
        "caution",
        "is a snap: it sees neither the system's bridge helper",
        "--qemu",
        change=qemu(path=Path("/snap/bin/qemu-system-x86_64")),
    ),
    "a container": Fault(
        "surroundings",
        "caution",
        "this is a container (docker) on a virtual machine (aws), a job of GitLab CI: ports, bridges",
        "--network host",
        change=machine(container="docker", virtualisation="aws", ci="GitLab CI"),
    ),
    "WSL": Fault(
        "surroundings", "caution", "this is WSL", "user mode", change=machine(virtualisation="wsl")
    ),
    "SELinux confines this shell": Fault(
        "confinement",
        "caution",
        "confined (system_u:system_r:container_t:s0:c1,c2)",
        "unconfined shell",
        files={
            "/sys/fs/selinux/enforce": "1",
            "/proc/self/attr/current": "system_u:system_r:container_t:s0:c1,c2\0",
        },
    ),
    "AppArmor confines this shell": Fault(
        "confinement",
        "caution",
        "confined (docker-default (enforce))",
        "unconfined shell",
        files={
            "/sys/module/apparmor/parameters/enabled": "Y\n",
            "/proc/self/attr/current": "docker-default (enforce)\n",
        },
    ),
    "AppArmor confines dnsmasq": Fault(
        "confinement",
        "caution",
        "AppArmor may confine dnsmasq (/etc/apparmor.d/usr.sbin.dnsmasq)",
        "sudo aa-complain /etc/apparmor.d/usr.sbin.dnsmasq",
        files={
            "/sys/module/apparmor/parameters/enabled": "Y\n",
            "/proc/self/attr/current": "unconfined\n",
            "/etc/apparmor.d/usr.sbin.dnsmasq": "profile dnsmasq /usr/sbin/dnsmasq {\n}\n",
        },
    ),
    "no SMB server": Fault(
        "smb",
        "caution",
        "there is no /usr/sbin/smbd",
        "sudo apt-get install -y samba",
        change=lambda facts: replace(facts, smb_server=("/usr/sbin/smbd", False)),
    ),
    "no passt": Fault(
        "passt",
        "not",
        "there is no passt",
        "sudo apt-get install -y passt",
        change=lambda facts: replace(facts, passt=None),
    ),
    "a passt that does not run": Fault(
        "passt",
        "not",
        "/usr/bin/passt does not run",
        "passt --version",
        change=lambda facts: replace(facts, passt=Passt("/usr/bin/passt", None)),
    ),
    "a QEMU too old for passt": Fault(
        "passt",
        "caution",
        "has neither -netdev passt nor stream",
        "7.2",
        change=qemu(netdevs=frozenset({"user", "tap", "bridge"})),
    ),
    "passt started by root": Fault(
        "passt",
        "caution",
        "passt that root starts becomes nobody",
        "ordinary user",
        change=credentials(uid=0, effective_uid=0),
    ),
    "passt without user namespaces": Fault(
        "passt",
        "caution",
        "passt shuts itself into a user namespace, and none can be made",
        "see namespaces",
        NAMESPACES,
        change=lambda facts: replace(facts, namespaces=NamespaceAttempt("user namespace", errno.ENOSPC)),
    ),
    "passt without a route": Fault(
        "passt",
        "caution",
        "there is no default route: passt ends with 'No external routable interface",
        "-i INTERFACE",
        files={"/proc/net/route": routes("br0 0001A8C0 00000000 00FFFFFF")},
    ),
    "passt where the gateway resolves names": Fault(
        "passt",
        "caution",
        "the resolver 192.168.1.254 is the gateway as well",
        "--no-map-gw",
        files={"/proc/net/route": routes("br0 00000000 FE01A8C0 00000000")},
    ),
}  # fmt: skip
