"""Hosts on which QEMU, its accelerator or its memory is at fault."""

import errno
from dataclasses import replace
from pathlib import Path

from meta_tests.faults.in_files import of_files
from meta_tests.samples.healthy_host import KVM_HANGS, both, credentials, device, kvm, machine, qemu
from qemunet_tests.host.devices import KVM, Device
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.resources import Memory

NO_KVM = Device(KVM, False, open_errno=errno.ENOENT)
#: The group a user was added to counts from his next login on.
OUTSIDE_THE_GROUP = credentials(groups=(1000,))
CGROUPS = "24 23 0:22 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n"

FAULTS = (
    of_files("no QEMU", "qemu", "not", "QEMU is not installed", "apt-get install", ("user", "bridge", "lab"),
             change=lambda facts: replace(facts, qemu=None, qemu_obstacle=Obstacle("QEMU is not installed",
             "sudo apt-get install -y qemu-system-x86"))),
    of_files("KVM unproven", "kvm", "caution", "unproven", "qemunet doctor --deep",
             change=lambda facts: replace(facts, trial=None)),
    of_files("KVM hangs", "kvm", "not", "hangs at stage 'real mode' after 12 s; in software it needs 4.0 s", "kernel",
             change=lambda facts: replace(facts, trial=KVM_HANGS), kind="KVM hangs"),
    of_files("KVM not built in", "kvm", "not", "built without KVM", "QEMU",
             change=qemu(accelerators=frozenset({"tcg"}))),
    of_files("KVM not permitted", "kvm", "not", "alice may not open /dev/kvm (mode 0660, group kvm)",
             "sudo usermod -aG kvm alice, then log in again", change=both(kvm(device=replace(device(KVM,
             failed=errno.EACCES), members=())), OUTSIDE_THE_GROUP), kind="KVM is not permitted"),
    of_files("in the group since login", "kvm", "not", "was added to the group kvm of /dev/kvm after logging in",
             "newgrp kvm", change=both(kvm(device=device(KVM, failed=errno.EACCES)), OUTSIDE_THE_GROUP),
             kind="KVM is not permitted"),
    of_files("KVM in a container with a strange group", "kvm", "not", "belongs to group 993", "--group-add 993",
             change=both(kvm(device=device(KVM, gid=993, failed=errno.EACCES)), machine(container="docker")),
             kind="KVM in a container"),
    of_files("KVM of an unmapped group", "kvm", "not", "a group that this user namespace does not know",
             "keep-groups", change=both(kvm(device=device(KVM, gid=65534, failed=errno.EACCES)),
             credentials(in_user_namespace=True)), kind="KVM in a container"),
    of_files("KVM kept by the device rules", "kvm", "not", "device rules of the container", "--device /dev/kvm",
             change=both(kvm(device=device(KVM, failed=errno.EPERM)), machine(container="docker"))),
    of_files("KVM on nodev", "kvm", "not", "/dev/kvm is on a filesystem mounted nodev", "remount,dev",
             change=kvm(device=replace(device(KVM, failed=errno.EACCES), nodev=True))),
    of_files("KVM closed in spite of its mode", "kvm", "not",
             "though its mode allows it (mode 0660, group kvm): an access list or a security module",
             "getfacl /dev/kvm", change=kvm(device=device(KVM, failed=errno.EACCES))),
    of_files("KVM in CI", "kvm", "not", "may not open", "99-kvm4all.rules", change=both(kvm(device=replace(device(KVM,
             failed=errno.EACCES), members=())), OUTSIDE_THE_GROUP, machine(ci="GitHub Actions")), kind="KVM in CI"),
    of_files("KVM node without driver", "kvm", "not", "no driver is behind it", "modprobe kvm",
             change=kvm(device=device(KVM, failed=errno.ENODEV))),
    of_files("KVM module not loaded", "kvm", "not", "though the processor could do it", "sudo modprobe kvm_intel",
             change=kvm(device=NO_KVM), kind="KVM is not there"),
    of_files("AMD module not loaded", "kvm", "not", "though the processor could do it", "sudo modprobe kvm_amd",
             change=kvm(device=NO_KVM, extension="svm")),
    of_files("KVM not nested", "kvm", "not", "a virtual machine whose host does not pass virtualisation on",
             "nested=1", change=kvm(device=NO_KVM, extension=None, nested=True), kind="KVM is not there"),
    of_files("KVM off in firmware", "kvm", "not", "the processor offers no virtualisation", "VT-x",
             change=kvm(device=NO_KVM, extension=None), kind="KVM is not there"),
    of_files("KVM not in the container", "kvm", "not", "the container (docker) has no /dev/kvm", "--device /dev/kvm",
             change=both(kvm(device=NO_KVM), machine(container="docker"))),
    of_files("KVM off in WSL", "kvm", "not", "there is no /dev/kvm", "nestedVirtualization=true",
             change=both(kvm(device=NO_KVM), machine(virtualisation="wsl")), kind="KVM is not there"),
    of_files("KVM on another processor", "kvm", "not", "this is a aarch64 machine", "x86", change=kvm(device=NO_KVM,
             architecture="aarch64")),
    of_files("KVM busy", "kvm", "not", "KVM is busy: vboxdrv has", "modprobe -r vboxdrv",
             change=kvm(create_errno=errno.EBUSY, modules=("kvm", "vboxdrv")), kind="KVM is in use"),
    of_files("KVM is something else", "kvm", "not", "/dev/kvm is not KVM", "ls -l",
             change=kvm(create_errno=errno.ENOTTY)),
    of_files("no ROMs", "roms", "caution", "does not find the option ROMs of e1000", "ipxe-qemu",
             change=qemu(data_folders=(Path("/nonexistent"),))),
    of_files("no memory", "memory", "not", "200 MB of 4000 MB", "end what", ("user", "bridge", "lab"),
             change=lambda facts: replace(facts, memory=Memory(4000, 200))),
    of_files("little memory", "memory", "caution", "700 MB of 4000 MB", "end what",
             files={"/proc/meminfo": "MemTotal: 4096000 kB\nMemAvailable: 716800 kB\n"}),
    of_files("memory limit", "memory", "not", "156 MB of 256 MB", "end what", ("user", "bridge", "lab"),
             files={"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": CGROUPS,
                    "/sys/fs/cgroup/memory.max": "268435456\n", "/sys/fs/cgroup/memory.current": "104857600\n"}),
)  # fmt: skip
