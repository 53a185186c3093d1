"""What the Ansible role takes for the system packages is what bindep.txt says."""

import re
import subprocess
import sys
from pathlib import Path

from meta_tests.fleet.machines import listed

CHECKOUT = Path(__file__).parents[2]


def test_the_role_installs_what_bootstrap_installs() -> None:
    bindep = [str(Path(sys.executable).with_name("bindep")), "--file", "bindep.txt", "--list_all", "newline"]
    told = subprocess.run(bindep, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout.split()
    assert set(listed()) == {name for name in told if not name.startswith("libarchive13")}


def test_fedoras_names_are_those_of_bindep() -> None:
    role = (CHECKOUT / "ansible/roles/qemunet/vars/RedHat.yml").read_text()
    named = set(re.findall(r"^  - (\S+)$", role, re.MULTILINE))
    lines = [line for line in (CHECKOUT / "bindep.txt").read_text().splitlines() if line and line[0] not in "#"]
    everywhere = {line.strip() for line in lines if "[" not in line}
    for_rpm = {line.split()[0] for line in lines if "[platform:rpm]" in line or "[platform:fedora]" in line}
    assert named == (everywhere | for_rpm) - {"syslinux-common"}
