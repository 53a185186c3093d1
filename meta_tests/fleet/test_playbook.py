"""The playbook on four machines by real ssh: one run for all, again without a change, and with hosts in trouble."""

import base64
import contextlib
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

from meta_tests.fleet.machines import BUILT, CHECKOUT, MACHINES, Fleet, FleetMachine, listed
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
SSH_OPTIONS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
#: Of each host in the inventory, and in no other's business.
SECRET = "the secret of "
#: Where a task may leave what it was told.
PLACES = "/opt/qemunet /root /home /etc /tmp /var/tmp /var/log /run /dev/shm"
#: Where results of its own are, of this round and the last.
OWN_FOLDERS = {f"/opt/qemunet/{each}" for each in ("own/report", "own/report/before", "taken")}
#: Files that changed since sshd runs, which writes down who came; outside of the one folder.
CHANGED = "find / -xdev -cnewer /run/sshd.pid -not -type d -not -path '/opt/qemunet/*' -not -path '/var/log/*'"
#: What of its network somebody could have set.
NETWORK = "ip -o link; ip -o -4 addr; ip -4 route; nft list ruleset; cat /proc/sys/net/ipv4/ip_forward"
#: What hosts run, and what one says in place of qemunet, which leaves something in the folder of results.
PYTHON, COMMAND = "$(readlink -f /usr/bin/python3)", "/opt/qemunet/wheels-*/bin/qemunet"
LEAVING = '[ "$1" = run ] || exit 0; cd /opt/qemunet/own; rm -rf report; mkdir report; cd report;'


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
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.public_key = self.key.with_suffix(".pub").read_text().strip()
        # JSON is YAML.
        self.inventory = folder / "inventory.yml"
        self.inventory.write_text(json.dumps({"all": {"hosts": _hosts(), "vars": self._variables()}}))

    def _variables(self) -> dict[str, Any]:
        return {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": SSH_OPTIONS,
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
    return {
        each.name: {"ansible_host": each.address, "a_secret": f"{SECRET}{each.name}", **dict(each.variables)}
        for each in MACHINES
    }


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
    words = ["ssh", "-i", str(control.key), *SSH_OPTIONS.split(), f"root@{machine.address}", command]
    return subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout


def files_in(said: str) -> list[str]:
    """Paths, each in a line of its own."""
    return [line.strip() for line in said.splitlines() if line.startswith("/")]


def with_words(control: ControlNode, machine: FleetMachine, words: str) -> set[str]:
    """The files there that have these words in them."""
    return set(files_in(on(control, machine, f"grep -rlF -e '{words}' {PLACES} 2>/dev/null")))


def assert_alone(played: Played, hosts: Sequence[FleetMachine]) -> None:
    """These went through, whatever became of others."""
    for host in hosts:
        assert played.recap[host.name][1:] == (0, 0, 0), played.output


def test_a_check_changes_nothing(fleet: Fleet, control: ControlNode) -> None:
    played = control.play("--check")
    assert played.code == 0, played.output
    assert_alone(played, MACHINES)
    assert {changed for changed, *_ in played.recap.values()} == {0}, played.output
    assert not control.results.exists()
    for machine in MACHINES:
        assert on(control, machine, "ls -d /opt/qemunet || echo it is not there") == "it is not there\n"
        assert files_in(on(control, machine, CHANGED)) == []


def test_one_run_judges_them_all(fleet: Fleet, control: ControlNode) -> None:
    networks = [on(control, machine, NETWORK) for machine in MACHINES]
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
    # Of a host, what the variables say, and nothing beside it.
    assert [files_in(on(control, machine, CHANGED)) for machine in MACHINES] == [[]] * len(MACHINES)
    assert [on(control, machine, NETWORK) for machine in MACHINES] == networks
    assert all("eth0" in network for network in networks)


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
    of_the_key = control.key.read_text().splitlines()[2]
    for machine in MACHINES:
        assert with_words(control, machine, "user/address") >= {"/opt/qemunet/own/report/results.json"}
        assert with_words(control, machine, SECRET) == set()
        assert with_words(control, machine, of_the_key) == set()
        # Results, too, are its own alone.
        assert "user/address" in on(control, machine, "cat /opt/qemunet/own/report/results.json")
        # A schema is called like what it describes.
        everywhere = files_in(on(control, machine, "find / -xdev -name results.json -not -path '*/schemas/*'"))
        assert {each.rpartition("/")[0] for each in everywhere} <= OWN_FOLDERS


def test_what_hosts_answer_is_not_obeyed(fleet: Fleet, control: ControlNode) -> None:
    elsewhere = control.folder / "elsewhere"
    with (
        replaced(control, PLAIN, PYTHON, answering("3.11.2", qemunet_results=str(elsewhere))),
        replaced(control, NEWER, PYTHON, answering("3.99.0")),
        replaced(control, NO_LIST, COMMAND, f"{LEAVING} ln -s /root/whole results.json"),
        replaced(control, NO_RESOLVER, COMMAND, f"{LEAVING} truncate -s 3G results.json"),
    ):
        on(control, NO_LIST, f"umask 077; echo '[\"{SECRET}root\"]' > /root/whole")
        played = control.play()
        on(control, NO_LIST, "rm /root/whole")
    assert played.recap["localhost"][1] == 0, played.output
    assert not elsewhere.exists()
    said = {each.name: (control.results / each.name / "trouble.txt").read_text() for each in MACHINES}
    assert "has no results of a run" in said[PLAIN.name], played.output
    assert said[NEWER.name].startswith("Have the libraries for its Python: none for Python 3.99: ERROR"), played.output
    assert said[NO_LIST.name] == "Try the claims to the end: it left no whole results\n", played.output
    assert "results.json is larger than 8 MB" in said[NO_RESOLVER.name], played.output
    assert [each for each in control.results.rglob("*") if each.is_file() and SECRET in each.read_text()] == []
    assert "the results of 4 cannot be read" in played.output


def answering(python: str, **facts: str) -> str:
    """A program that answers each task with success, a result that has nothing in it, and these facts."""
    packages = "".join(f"installed {each}\n" for each in [*listed(), "libarchive13", "libarchive13t64"])
    told = {"os_family": "Debian", "distribution": "Debian", "distribution_major_version": "12", "user_id": "root"}
    told |= {"architecture": "x86_64", "python_version": python, **facts}
    account = {"getent_passwd": {"ops": ["x", "1", "1", "", "/home/ops", "/bin/sh"]}}
    file = {"exists": True, "isdir": False, "isreg": True, "mode": "0644", "checksum": "1", "size": 2}
    answer = {"changed": False, "rc": 0, "stdout": packages, "stderr": "", "ansible_facts": told | account}
    answer |= {"stat": file, "content": base64.b64encode(b"{}").decode(), "encoding": "base64", "source": "x"}
    return f"cat >/dev/null\ncat <<'END'\n{json.dumps(answer)}\nEND"


@contextlib.contextmanager
def replaced(control: ControlNode, machine: FleetMachine, program: str, by: str) -> Iterator[None]:
    """Has the machine run a shell's words in a program's place."""
    script = base64.b64encode(f"#!/bin/sh\n{by}\n".encode()).decode()
    put = f"echo {script} | base64 -d > /run/other && chmod 755 /run/other && mount --bind /run/other {program}"
    assert on(control, machine, f"{put} && echo done") == "done\n"
    try:
        yield
    finally:
        on(control, machine, f"umount {program}")


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
