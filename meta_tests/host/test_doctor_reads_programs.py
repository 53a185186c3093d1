"""What the doctor learns of a host's programs, and of what confines them."""

import os
import resource
import time
from pathlib import Path

import pytest

from meta_tests.samples.host_files import program, tree
from qemunet_tests import timeouts
from qemunet_tests.host import guest_macs, paths_in_binary, security_modules
from qemunet_tests.host.security_modules import Confinement
from qemunet_tests.qemu import passt, qemu_binaries


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Confinement()),
        (
            {"/sys/fs/selinux/enforce": "1", "/proc/self/attr/current": "unconfined_u:unconfined_r:unconfined_t:s0\0"},
            Confinement(selinux="enforcing"),
        ),
        (
            {"/sys/fs/selinux/enforce": "0", "/proc/self/attr/current": "system_u:system_r:container_t:s0"},
            Confinement(selinux="permissive"),
        ),
        (
            {
                "/sys/module/apparmor/parameters/enabled": "Y\n",
                "/proc/self/attr/current": "unconfined\n",
                "/etc/apparmor.d/usr.bin.passt": "profile passt /usr/bin/passt{,.avx2} {}\n",
                "/etc/apparmor.d/usr.bin.man": "profile man /usr/bin/man {}\n",
                "/etc/apparmor.d/usr.sbin.dnsmasq": "profile dnsmasq flags=(attach_disconnected,complain) {}",
                "/etc/apparmor.d/disable/qemu": "",
                "/etc/apparmor.d/qemu": "profile qemu {}\n",
            },
            Confinement(apparmor=True, profiles=("/etc/apparmor.d/usr.bin.passt",)),
        ),
        (
            {"/sys/module/apparmor/parameters/enabled": "N\n", "/etc/apparmor.d/usr.bin.passt": "profile passt {}\n"},
            Confinement(),
        ),
    ],
    ids=["none", "SELinux", "SELinux permissive", "AppArmor", "AppArmor off"],
)
def test_confinement(tmp_path: Path, files: dict[str, str], expected: Confinement) -> None:
    assert security_modules.read(tree(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("words", "has"),
    [
        ("qemu-system-x86_64 -netdev bridge,id=n0,br=br0 -device e1000,netdev=n0", True),
        ("/usr/libexec/qemu-kvm -netdev tap,id=n0,ifname=tap3 -device virtio-net-pci,netdev=n0", True),
        ("qemu-system-x86_64 -nic bridge,br=br0,model=e1000", True),
        ("kvm -nic tap,mac=52:54:00:12:34:56", True),
        ("qemu-system-x86_64 -nic tap,mac=52:54:00:AB:CD:EF", False),
        ("qemu-system-x86_64 -netdev bridge,id=n0 -device e1000,netdev=n0,mac=02:71:6e:00:00:01", False),
        ("qemu-system-x86_64 -netdev user,id=n0 -device e1000,netdev=n0", False),
        ("qemu-system-x86_64 -netdev bridge,id=n0 -device virtio-rng-pci", False),
        ("less qemu-system-x86_64 -nic tap", False),
        ("", False),
    ],
)
def test_a_guest_with_the_default_mac(words: str, has: bool) -> None:
    assert guest_macs.gives(guest_macs.DEFAULT_MAC, words.split()) == has


def test_guests_of_another_network_do_not_count(tmp_path: Path) -> None:
    words = "qemu-system-x86_64\0-nic\0tap\0"
    for pid, network in (("self", "net:[1]"), ("41", "net:[1]"), ("42", "net:[2]")):
        tree(tmp_path, {f"/proc/{pid}/cmdline": words, f"/proc/{pid}/ns/other": ""})
        (tmp_path / f"proc/{pid}/ns/net").symlink_to(network)
    assert guest_macs.guests_with(guest_macs.DEFAULT_MAC, root=tmp_path) == (41,)


def test_a_path_that_was_compiled_in(tmp_path: Path) -> None:
    (tmp_path / "qemu").write_bytes(b"\x7fELF\0pc\0smbd\0/usr/sbin/smbd\0/usr/sbin/smbd-more\0")
    assert paths_in_binary.path_ending("/qemu", "/smbd", tmp_path) == "/usr/sbin/smbd"
    assert paths_in_binary.path_ending("/qemu", "/qemu.conf", tmp_path) is None
    assert paths_in_binary.path_ending("/gone", "/smbd", tmp_path) is None
    (tmp_path / "empty").touch()
    assert paths_in_binary.path_ending("/empty", "/smbd", tmp_path) is None
    os.mkfifo(tmp_path / "fifo")
    assert paths_in_binary.path_ending("/fifo", "/smbd", tmp_path) is None


@pytest.mark.parametrize(
    ("words", "version"),
    [
        ("printf 'passt 1\\033[2J\\n'", "1\\x1b[2J"),
        ("yes 'passt 1' | tr -d '\\n'", None),
    ],
    ids=["escapes", "no-end"],
)
def test_a_passt_may_say_anything(tmp_path: Path, words: str, version: str | None) -> None:
    (tmp_path / "passt").write_text(f"#!/bin/sh\n{words}\n")
    (tmp_path / "passt").chmod(0o755)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert passt.version(str(tmp_path / "passt")) == version
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10 << 10


def test_a_passt_that_answers_late_on_a_busy_machine_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passt").write_text("#!/bin/sh\nsleep 0.5; echo passt 1\n")
    (tmp_path / "passt").chmod(0o755)
    monkeypatch.setattr(passt, "_ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(timeouts, "crowding", lambda: 1.0)
    assert passt.version(str(tmp_path / "passt")) is None
    monkeypatch.setattr(timeouts, "crowding", lambda: 100.0)
    assert passt.version(str(tmp_path / "passt")) == "1"


@pytest.mark.parametrize("place", range(-30, 2))
def test_a_path_from_one_piece_to_the_next(tmp_path: Path, place: int) -> None:
    before = paths_in_binary._PIECE_BYTES + place
    (tmp_path / "qemu").write_bytes(b"x" * (before - 1) + b"\0/usr/sbin/smbd\0")
    assert paths_in_binary.path_ending("/qemu", "/smbd", tmp_path) == "/usr/sbin/smbd"


def test_a_file_may_claim_any_size_and_become_shorter(tmp_path: Path) -> None:
    with (tmp_path / "qemu").open("wb") as large:
        large.truncate(1 << 42)
    started = time.monotonic()
    assert not paths_in_binary.contains(tmp_path / "qemu", b"no such text")
    assert time.monotonic() - started < 30
    read = paths_in_binary.pieces(tmp_path / "qemu")
    next(read)
    os.truncate(tmp_path / "qemu", 1)
    assert list(read) == []


def test_every_qemu_is_found_once(open_folder: Path) -> None:
    answer = """
        case "$*" in
        --version) echo 'QEMU emulator version 9.2.4' ;;
        '-netdev help') printf 'Available netdev backend types:\\nuser\\nhubport\\nbridge\\n' ;;
        esac
    """
    program(open_folder / "a/qemu-system-x86_64", answer)
    (open_folder / "a/kvm").symlink_to("qemu-system-x86_64")
    program(open_folder / "a/qemu-img", "exit 9")
    program(open_folder / "b/qemu-kvm", "case $1 in --version) echo QEMU emulator version 8.2.0 ;; *) exit 1 ;; esac")
    program(open_folder / "b/qemu-system-i386", "echo hello")
    (open_folder / "b/qemu-system-x86_64").write_text("not executable")
    read = qemu_binaries.begin({"PATH": f"{open_folder}/a:relative:{open_folder}/gone"}, [f"{open_folder}/b"])()
    ours = [
        (Path(each.path).name, each.version, each.backends) for each in read if each.path.startswith(str(open_folder))
    ]
    assert ours == [
        ("qemu-system-x86_64", "9.2.4", ("user", "bridge")),
        ("qemu-kvm", "8.2.0", None),
        ("qemu-system-i386", None, ()),
    ]


def test_a_qemu_that_hangs_is_not_waited_for(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_binaries, "_ANSWER_SECONDS", 0.3)
    program(open_folder / "qemu-system-x86_64", "exec sleep 60")
    read = qemu_binaries.begin({}, [str(open_folder)])()
    (hanging,) = (each for each in read if each.path.startswith(str(open_folder)))
    assert hanging.late
    assert hanging.version is None


@pytest.mark.parametrize(
    ("path", "packaging"),
    [
        ("/snap/bin/qemu-virgil", "snap"),
        ("/app/bin/qemu-system-x86_64", "flatpak"),
        ("/usr/bin/qemu-system-x86_64", None),
    ],
)
def test_packagings_that_shut_off(path: str, packaging: str | None) -> None:
    assert qemu_binaries.packaging(path) == packaging


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo 'passt 2024_12_11.09478d5'; echo Copyright", "2024_12_11.09478d5"),
        ("echo 'passt unknown version'", "unknown version"),
        ("exit 1", None),
        ("exec sleep 60", None),
    ],
    ids=["newer", "Debian 12", "broken", "hanging"],
)
def test_passt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, version: str | None) -> None:
    monkeypatch.setattr(passt, "_ANSWER_SECONDS", 10 if version else 0.3)
    path = program(tmp_path / "passt", script)
    assert passt.find({"PATH": str(tmp_path)}) == passt.Passt(str(path), version)
