"""Which packages brought a file: what each package manager says, and Debian's really asked."""

import os
import shutil
import subprocess
from collections.abc import Sequence

import pytest

from qemunet_tests.host.asking import NOT_FOUND, Completed
from qemunet_tests.host.package_versions import versions_of

QEMU, SMBD, OWN = "/usr/bin/qemu-system-x86_64", "/usr/sbin/smbd", "/home/me/qemu"
#: By family, as each says it.
SAID = {
    "debian": {
        f"dpkg-query --search {QEMU} {SMBD} {OWN}": (
            1,
            "diversion by glx from: /usr/lib/x\nqemu-system-x86, qemu-more:amd64: /usr/bin/qemu-system-x86_64\n"
            "samba: /usr/sbin/smbd\n",
        ),
        "dpkg-query --show --showformat=${Package} ${Version}\\n qemu-system-x86 qemu-more:amd64 samba": (
            0,
            "qemu-system-x86 1:7.2+dfsg-7\nqemu-more 2\nsamba 2:4.17\n",
        ),
    },
    "rhel": {
        f"rpm -qf --queryformat=%{{NAME}} %{{EVR}}\\n {QEMU}": (0, "qemu-kvm-core 17:9.1.0-15.el9\n"),
        f"rpm -qf --queryformat=%{{NAME}} %{{EVR}}\\n {SMBD}": (0, "samba 0:4.20\n"),
        f"rpm -qf --queryformat=%{{NAME}} %{{EVR}}\\n {OWN}": (1, f"file {OWN} is not owned by any package\n"),
    },
    "arch": {
        f"pacman -Qqo {QEMU}": (0, "qemu-system-x86\n"),
        f"pacman -Qqo {SMBD}": (0, "samba\n"),
        f"pacman -Qqo {OWN}": (1, ""),
        "pacman -Q qemu-system-x86 samba": (0, "qemu-system-x86 9.1.0-1\nsamba 4.21-2\n"),
    },
    "none": {},
}
FOUND = {
    "debian": {"qemu-system-x86": "1:7.2+dfsg-7", "qemu-more": "2", "samba": "2:4.17"},
    "rhel": {"qemu-kvm-core": "17:9.1.0-15.el9", "samba": "0:4.20"},
    "arch": {"qemu-system-x86": "9.1.0-1", "samba": "4.21-2"},
    "none": None,
}


@pytest.mark.parametrize("family", SAID)
def test_each_package_manager_is_understood(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "realpath", lambda file: file)

    def ask(words: Sequence[str]) -> Completed:
        status, said = SAID[family].get(" ".join(words), (NOT_FOUND, ""))
        return Completed(status, said.encode(), b"")

    assert versions_of([QEMU, SMBD, OWN], ask) == FOUND[family]


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="this is no Debian")
def test_what_this_debian_says_of_a_program_and_of_a_file_that_is_nobodys() -> None:
    said = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", "dpkg"], capture_output=True, text=True, check=True
    )
    assert versions_of(["/usr/bin/dpkg-query", __file__]) == {"dpkg": said.stdout}
    assert versions_of([__file__]) == {}
