"""The playbook on four machines by real ssh: one run for all, again without a change, and with hosts in trouble."""

import html
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
#: On the command line of what tries the claims.
RUN = ("run", "--report")
PLAIN, NEWER, NO_LIST, NO_RESOLVER = MACHINES


@dataclass(frozen=True)
class Played:
    """How the playbook ended; `recap` has what RECAP finds, for each host."""

    code: int
    output: str
    recap: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Playing:
    """A playbook that runs, and what it says."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def goes_on(self, for_seconds: float = 0.0) -> bool:
        """Whether it runs, still after so long."""
        try:
            self.process.wait(for_seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def ended(self) -> Played:
        code = self.process.wait(timeout=limit(1500))
        output = self.log.read_text()
        return Played(code, output, {host: tuple(map(int, counts)) for host, *counts in RECAP.findall(output)})


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

    def start(self, *words: str) -> "Playing":
        """The playbook, as an operator starts it."""
        # A pipe that nobody reads meanwhile would hold it up.
        log = self.folder / f"play-{len(list(self.folder.glob('play-*')))}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["ansible-playbook", "-i", str(self.inventory), "qemunet.yml", *words],
                cwd=CHECKOUT / "ansible",
                env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return Playing(process, log)

    def play(self, *words: str) -> Played:
        return self.start(*words).ended()

    def verdicts(self, machine: FleetMachine) -> dict[str, str]:
        document = json.loads((self.results / machine.name / "results.json").read_text())
        return {each["claim"]: each["verdict"] for each in document["verdicts"]}

    def trouble(self, machine: FleetMachine) -> str:
        """Why it has no results."""
        assert not (self.results / machine.name / "results.json").exists()
        return (self.results / machine.name / "trouble.txt").read_text().strip()


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


def test_again_nothing_changes_and_one_runs_at_a_time(fleet: Fleet, control: ControlNode) -> None:
    playing = control.start("-e", "qemunet_at_once=1")
    at_once = set()
    while playing.goes_on(0.5):
        running = [each for each in MACHINES if fleet.is_running(each, *RUN)]
        # Whoever still runs ran beside those that were looked at after him.
        at_once.add(len([each for each in running if fleet.is_running(each, *RUN)]))
    played = playing.ended()
    assert_alone(played, MACHINES)
    assert {host: changed for host, (changed, *_) in played.recap.items() if changed} == {}, played.output
    assert (control.results / PLAIN.name / "before" / "results.json").is_file()
    assert at_once == {0, 1}


def test_no_host_has_what_belongs_to_another(fleet: Fleet, control: ControlNode) -> None:
    others = "|".join(each.name for each in (NEWER, NO_LIST, NO_RESOLVER))
    found = on(control, PLAIN, f"grep -rlE '{others}' /opt/qemunet/own/report /root/.ansible /home/ops || echo none")
    assert "none" in found
    assert "PRIVATE KEY" not in on(control, PLAIN, "grep -rl 'PRIVATE KEY' /opt/qemunet /home/ops || echo none")


def test_hosts_that_die_hang_or_are_full_hold_up_nobody(fleet: Fleet, control: ControlNode) -> None:
    on(control, NO_RESOLVER, "mkdir -p /opt/qemunet/own && mount -t tmpfs -o size=400m full /opt/qemunet/own")
    playing = control.start()
    for machine, befalls in ((PLAIN, fleet.end), (NEWER, fleet.hang), (NO_RESOLVER, lambda _: _fill(control))):
        _wait_for_run(fleet, machine, playing)
        befalls(machine)
    played = playing.ended()
    assert played.code != 0
    assert_alone(played, [NO_LIST])
    assert control.verdicts(NO_LIST)["user/address"] == "holds"
    assert "no longer answered" in control.trouble(PLAIN)
    assert "no longer answered" in control.trouble(NEWER)
    assert "No space left" in control.trouble(NO_RESOLVER), played.output
    page = html.unescape((control.results / "fleet.html").read_text())
    assert [each for each in (PLAIN, NEWER, NO_RESOLVER) if control.trouble(each) not in page] == []


def _wait_for_run(fleet: Fleet, machine: FleetMachine, playing: Playing) -> None:
    def begun() -> bool:
        assert playing.goes_on(), playing.log.read_text()
        return fleet.is_running(machine, *RUN)

    Deadline(limit(60), f"a run on {machine.name}").wait_until(begun, 0.1)


def _fill(control: ControlNode) -> None:
    # Never this machine's own disk.
    on(control, NO_RESOLVER, "mountpoint -q /opt/qemunet/own && cat /dev/zero > /opt/qemunet/own/everything")


def test_where_no_host_is_reached_there_is_a_page(fleet: Fleet, control: ControlNode) -> None:
    for machine in [each for each in MACHINES if each.name in fleet.running]:
        fleet.end(machine)
    played = control.play()
    assert played.code != 0
    assert played.recap["localhost"][1] == 0, played.output
    assert {control.trouble(each).partition(":")[0] for each in MACHINES} == {"it was not reached"}
    assert "the results of 4 cannot be read" in played.output
    # Of the round before that.
    assert (control.results / NO_LIST.name / "before" / "results.json").is_file()


def test_ansible_lint_finds_nothing() -> None:
    done = subprocess.run(
        ["ansible-lint", "--offline", "--nocolor"],
        cwd=CHECKOUT / "ansible",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
