"""The playbook on four machines by real ssh: one run for all, again without a change, and with hosts in trouble."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meta_tests.fleet.machines import BUILT, CHECKOUT, MACHINES, Fleet, FleetMachine
from meta_tests.patience import limit
from qemunet_tests.deadline import Deadline
from qemunet_tests.isolation.processes import Spawner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ansible-playbook") is None, reason="ansible-core comes with tox -e ansible"),
]

CLAIMS = ("user/address", "user/dns-resolves", "bridge/acl-missing")
#: Of a host: what changed, and how often it was not reached, failed, or was rescued.
RECAP = re.compile(
    r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+) +skipped=\d+ +rescued=(\d+)", re.MULTILINE
)
PLAIN, NEWER, NO_LIST, NO_RESOLVER = MACHINES


@dataclass(frozen=True)
class Played:
    """How the playbook ended; `recap` has what RECAP finds, for each host."""

    code: int
    output: str
    recap: dict[str, tuple[int, ...]]


class ControlNode:
    """Where Ansible runs, with an inventory of all machines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self.public_key = key.with_suffix(".pub").read_text().strip()
        # JSON is YAML.
        self.inventory = folder / "inventory.yml"
        self.inventory.write_text(json.dumps({"all": {"hosts": _hosts(), "vars": self._variables(key)}}))

    def _variables(self, key: Path) -> dict[str, Any]:
        return {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            "qemunet_user": "ops",
            "qemunet_claims": list(CLAIMS),
            "qemunet_options": ["--accel", "tcg"],
            "qemunet_results": str(self.results),
            "qemunet_built": str(BUILT),
            "qemunet_rebuild": False,
        }

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """The playbook, as an operator starts it."""
        return subprocess.Popen(
            ["ansible-playbook", "-i", str(self.inventory), "qemunet.yml", *words],
            cwd=CHECKOUT / "ansible",
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def play(self, *words: str) -> Played:
        return self.ended(self.start(*words))

    def ended(self, playing: "subprocess.Popen[str]") -> Played:
        output, _ = playing.communicate(timeout=limit(1500))
        found = RECAP.findall(output)
        return Played(playing.returncode, output, {host: tuple(map(int, counts)) for host, *counts in found})

    def verdicts(self, machine: FleetMachine) -> dict[str, str]:
        document = json.loads((self.results / machine.name / "results.json").read_text())
        return {each["claim"]: each["verdict"] for each in document["verdicts"]}


def _hosts() -> dict[str, Any]:
    return {each.name: {"ansible_host": each.address, **dict(each.variables)} for each in MACHINES}


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> ControlNode:
    return ControlNode(tmp_path_factory.mktemp("control"))


@pytest.fixture(scope="module")
def fleet(spawner: Spawner, control: ControlNode) -> Iterator[Fleet]:
    made = Fleet(spawner, control.public_key, control.folder)
    for machine in MACHINES:
        made.start(machine)
    yield made
    made.close()


def on(control: ControlNode, machine: FleetMachine, command: str) -> str:
    """What a shell says there."""
    words = ["ansible", "-i", str(control.inventory), machine.name, "-m", "raw", "-a", command]
    return subprocess.run(words, cwd=CHECKOUT / "ansible", capture_output=True, text=True, check=False).stdout


def assert_alone(played: Played, hosts: Sequence[FleetMachine]) -> None:
    """These went through, whatever became of others."""
    for host in hosts:
        assert played.recap[host.name][1:] == (0, 0, 0), played.output


def test_a_check_changes_nothing(fleet: Fleet, control: ControlNode) -> None:
    played = control.play("--check")
    assert played.code == 0, played.output
    assert_alone(played, MACHINES)
    assert {changed for changed, *_ in played.recap.values()} == {0}, played.output
    assert "No such file" in on(control, PLAIN, "ls /opt/qemunet")
    assert not control.results.exists()


def test_one_run_judges_them_all(fleet: Fleet, control: ControlNode) -> None:
    played = control.play()
    assert played.recap["localhost"][1] == 0, played.output
    assert_alone(played, MACHINES)
    assert control.verdicts(PLAIN) == control.verdicts(NEWER) == dict.fromkeys(CLAIMS, "holds")
    assert control.verdicts(NO_LIST)["bridge/acl-missing"] == "unavailable"
    assert control.verdicts(NO_RESOLVER)["user/dns-resolves"] == "broken"
    # As of the worst host.
    assert played.code != 0, played.output
    page = (control.results / "fleet.html").read_text()
    assert [machine.name for machine in MACHINES if machine.name not in page] == []


def test_again_nothing_changes(fleet: Fleet, control: ControlNode) -> None:
    played = control.play()
    assert_alone(played, MACHINES)
    assert {host: changed for host, (changed, *_) in played.recap.items() if changed} == {}, played.output
    assert (control.results / PLAIN.name / "before" / "results.json").is_file()


def test_no_host_has_what_belongs_to_another(fleet: Fleet, control: ControlNode) -> None:
    others = "|".join(each.name for each in (NEWER, NO_LIST, NO_RESOLVER))
    found = on(control, PLAIN, f"grep -rlE '{others}' /opt/qemunet/own/report /root/.ansible /home/ops || echo none")
    assert "none" in found
    assert "PRIVATE KEY" not in on(control, PLAIN, "grep -rl 'PRIVATE KEY' /opt/qemunet /home/ops || echo none")


def test_a_host_that_dies_hangs_or_is_full_holds_up_nobody(fleet: Fleet, control: ControlNode) -> None:
    on(control, NO_RESOLVER, "mount -t tmpfs -o size=64k full /opt/qemunet/own")
    playing = control.start("-e", "qemunet_limit_seconds=240")
    Deadline(600, "a run on a host").wait_until(lambda: "qemunet run" in on(control, PLAIN, "ps ax || true"), 2.0)
    fleet.end(PLAIN)
    played = control.ended(playing)
    assert played.code != 0
    assert_alone(played, [NEWER, NO_LIST])
    assert control.verdicts(NEWER) == dict.fromkeys(CLAIMS, "holds")
    for machine in (PLAIN, NO_RESOLVER):
        assert (control.results / machine.name / "trouble.txt").is_file(), played.output
        assert not (control.results / machine.name / "results.json").exists()
    page = (control.results / "fleet.html").read_text()
    assert PLAIN.name in page


def test_ansible_lint_finds_nothing() -> None:
    done = subprocess.run(
        ["ansible-lint", "--offline", "--nocolor"],
        cwd=CHECKOUT / "ansible",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
