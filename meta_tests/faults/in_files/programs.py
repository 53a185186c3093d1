"""Hosts on which a program besides the chosen QEMU is missing or confined, or everything is in a container."""

import errno
from dataclasses import replace
from pathlib import Path

from meta_tests.faults.in_files import of_files
from meta_tests.samples.healthy_host import credentials, machine, qemu, routes
from qemunet_tests.isolation.user_namespaces import NamespaceAttempt
from qemunet_tests.qemu.passt import Passt
from qemunet_tests.qemu.qemu_binaries import Emulator

WORKING = Emulator("/usr/bin/qemu-system-x86_64", "10.0.2", ("user", "bridge"))
NAMESPACES = ("lab",)

FAULTS = (
    of_files("a QEMU that does not run", "emulators", "caution",
             "no QEMU, or a broken one: /opt/qemu/bin/qemu-system-x86_64: found besides: "
             "/usr/bin/qemu-system-x86_64 10.0.2 (user, bridge)", "/opt/qemu/bin/qemu-system-x86_64 --version",
             change=lambda facts: replace(
                 facts, emulators=(WORKING, Emulator("/opt/qemu/bin/qemu-system-x86_64", None)))),
    of_files("QEMU from a snap", "emulators", "caution", "is a snap: it sees neither the system's bridge helper",
             "--qemu", change=qemu(path=Path("/snap/bin/qemu-system-x86_64")), kind="QEMU in a sandbox"),
    of_files("a container", "surroundings", "caution",
             "this is a container (docker) on a virtual machine (aws), a job of GitLab CI: ports, bridges",
             "--network host", change=machine(container="docker", virtualisation="aws", ci="GitLab CI")),
    of_files("WSL", "surroundings", "caution", "this is WSL", "user mode", change=machine(virtualisation="wsl")),
    of_files("SELinux confines this shell", "confinement", "caution",
             "confined (system_u:system_r:container_t:s0:c1,c2)", "unconfined shell",
             files={"/sys/fs/selinux/enforce": "1",
             "/proc/self/attr/current": "system_u:system_r:container_t:s0:c1,c2\0"}, kind="passt is confined"),
    of_files("AppArmor confines this shell", "confinement", "caution", "confined (docker-default (enforce))",
             "unconfined shell", files={"/sys/module/apparmor/parameters/enabled": "Y\n",
             "/proc/self/attr/current": "docker-default (enforce)\n"}, kind="passt is confined"),
    of_files("AppArmor confines dnsmasq", "confinement", "caution",
             "AppArmor may confine dnsmasq (/etc/apparmor.d/usr.sbin.dnsmasq)",
             "sudo aa-complain /etc/apparmor.d/usr.sbin.dnsmasq",
             files={"/sys/module/apparmor/parameters/enabled": "Y\n", "/proc/self/attr/current": "unconfined\n",
             "/etc/apparmor.d/usr.sbin.dnsmasq": "profile dnsmasq /usr/sbin/dnsmasq {\n}\n"}),
    of_files("no SMB server", "smb", "caution", "there is no /usr/sbin/smbd", "sudo apt-get install -y samba",
             change=lambda facts: replace(facts, smb_server=("/usr/sbin/smbd", False)), kind="smbd is missing"),
    of_files("no passt", "passt", "not", "there is no passt", "sudo apt-get install -y passt",
             change=lambda facts: replace(facts, passt=None), kind="passt is missing"),
    of_files("a passt that does not run", "passt", "not", "/usr/bin/passt does not run", "passt --version",
             change=lambda facts: replace(facts, passt=Passt("/usr/bin/passt", None))),
    of_files("a QEMU too old for passt", "passt", "caution", "has neither -netdev passt nor stream", "7.2",
             change=qemu(netdevs=frozenset({"user", "tap", "bridge"})), kind="passt is missing"),
    of_files("passt started by root", "passt", "caution", "passt that root starts becomes nobody", "ordinary user",
             change=credentials(uid=0, effective_uid=0), kind="passt runs as root"),
    of_files("passt without user namespaces", "passt", "caution",
             "passt shuts itself into a user namespace, and none can be made", "see namespaces", NAMESPACES,
             change=lambda facts: replace(facts, namespaces=NamespaceAttempt("user namespace", errno.ENOSPC))),
    of_files("passt without a route", "passt", "caution",
             "there is no default route: passt ends with 'No external routable interface", "-i INTERFACE",
             files={"/proc/net/route": routes("br0 0001A8C0 00000000 00FFFFFF")}, kind="passt has no route"),
    of_files("passt where the gateway resolves names", "passt", "caution",
             "the resolver 192.168.1.254 is the gateway as well", "--no-map-gw",
             files={"/proc/net/route": routes("br0 00000000 FE01A8C0 00000000")},
             kind="passt's gateway is the resolver"),
)  # fmt: skip
