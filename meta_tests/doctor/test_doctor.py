"""`qemunet doctor`: its shape, its exit status and its speed."""

import argparse
import json
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meta_tests.patience import limit
from meta_tests.samples.healthy_host import QEMU, host
from qemunet_tests import modes
from qemunet_tests.commands import doctor
from qemunet_tests.deadline import Deadline
from qemunet_tests.doctor import checks
from qemunet_tests.doctor.checks import ModeVerdict
from qemunet_tests.doctor.host_facts import HostFacts, describe
from qemunet_tests.errors import Unavailable, UsageError
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.qemu import qemu_facts
from qemunet_tests.report.shapes import schema

DOCTOR = [sys.executable, "-m", "qemunet_tests", "doctor"]
NOBODY = 65534


def run(*options: str, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*prefix, *DOCTOR, *options], capture_output=True, text=True, timeout=limit(60), check=False)


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers())
    return parser.parse_args(["doctor", *options])


def test_json_has_the_promised_shape_and_comes_in_time() -> None:
    # Three seconds of a machine that does nothing else.
    pace = max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))
    clock = Deadline(3.0 * pace, "the doctor")
    done = run("--json")
    assert not clock.passed
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema("doctor"))
    assert set(document) == {"schema", "capabilities", "modes"}
    assert document["schema"] == 1
    assert set(document["modes"]) == {"user", "bridge", "lab"}
    for capability in document["capabilities"]:
        assert set(capability) == {"id", "state", "modes", "reason", "remedy"}
        assert (capability["remedy"] is None) == (capability["state"] == "ok")
    states = {one["id"]: one for one in document["capabilities"]}
    if states["kvm"]["state"] == "ok":
        assert "seen since this machine booted" in states["kvm"]["reason"]


def test_text_is_a_line_for_each_capability() -> None:
    lines = run().stdout.splitlines()
    capabilities = json.loads(run("--json").stdout)["capabilities"]
    told = [line.split()[1] for line in lines if line.split()[:1] in (["ok"], ["caution"], ["not"])]
    assert told == [one["id"] for one in capabilities]
    assert [line.split()[0] for line in lines[-len(checks.MODES) :]][:3] == ["user", "bridge", "lab"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_as_an_ordinary_user(tmp_path: Path) -> None:
    python = Path(sys.executable).resolve()
    if not os.access(python, os.X_OK) or not _open_to_others(python):
        pytest.skip("this Python is closed to other users")
    done = run("--json", prefix=[
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
        "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent",
    ])  # fmt: skip
    assert done.stderr == ""
    jsonschema.validate(json.loads(done.stdout), schema("doctor"))


def _open_to_others(path: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


def test_an_unknown_mode_is_a_mistake_of_use() -> None:
    with pytest.raises(UsageError, match=f"there is no mode 'wifi'; modes are {', '.join(modes.every())}, lab"):
        doctor.execute(parsed("--mode", "user,wifi"))
    done = run("--mode", "wifi")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_only_the_modes_asked_for_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "gather", lambda: host(tmp_path, {}))
    assert doctor.execute(parsed("--json", "--mode", "bridge")) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["modes"]) == ["bridge"]
    assert all("bridge" in one["modes"] for one in document["capabilities"])


YES, NO = ModeVerdict(True, None), ModeVerdict(False, "broken")


@pytest.mark.parametrize(
    ("possible", "asked", "status"),
    [
        ("user bridge lab", None, 0),
        ("user", None, 0),
        ("user", ["user"], 0),
        ("user", ["bridge"], 1),
        ("user", ["user", "bridge"], 1),
        ("lab", ["user", "bridge"], 1),
        ("", None, 3),
        ("", ["user"], 3),
    ],
)
def test_the_exit_status(possible: str, asked: list[str] | None, status: int) -> None:
    verdicts = {mode: YES if mode in possible.split() else NO for mode in checks.MODES}
    assert doctor.exit_status(verdicts, asked) == status


def test_a_host_without_qemu_can_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(qemu_facts, "NAMES", ("qemu-system-nowhere",))
    assert doctor.execute(parsed()) == 3
    said = capsys.readouterr().out
    assert "not      qemu              QEMU is not installed" in said
    assert re.search(r"^lab +impossible: QEMU is not installed$", said, re.MULTILINE)


def test_deep_without_an_image_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none_to_be_had() -> Any:
        raise Unavailable("a guest image cannot be built on plan9", "qemunet image import FILE")

    monkeypatch.setattr(doctor, "gather", lambda: host(tmp_path, {}))
    monkeypatch.setattr(doctor, "_image", none_to_be_had)
    assert doctor.execute(parsed("--deep")) == 0
    said = capsys.readouterr().out
    assert "caution  guest             no guest was booted: a guest image cannot be built on plan9" in said


def test_the_description_for_results() -> None:
    described = describe()
    assert {"kernel", "distribution", "cpus", "memory_mb", "virtualisation"} <= set(described)
    assert described["cpus"] == len(os.sched_getaffinity(0)) or isinstance(described["cpus"], int)
    json.dumps(described)


def test_reading_a_report_needs_no_colours(tmp_path: Path) -> None:
    facts: HostFacts = replace(host(tmp_path, {}), qemu=None, qemu_obstacle=Obstacle("QEMU is not installed", "get it"))
    capabilities = checks.look(facts)
    text = "\n".join(doctor.report(facts, capabilities, checks.verdicts(capabilities)))
    assert "\033" not in text
    assert "; remedy: get it" in text
    assert text.startswith("Debian GNU/Linux 13 (trixie), Linux 6.12.0-1-amd64")


def test_the_versions_stand_above_everything_else(tmp_path: Path) -> None:
    facts = host(tmp_path, {})
    versions = doctor.report(facts, [], {})[1]
    assert versions.startswith("qemunet ")
    assert versions.endswith(", QEMU 10.0.2, libslirp 4.8.0, passt 2024_12_11")
    without = doctor.versions(replace(facts, qemu=None, passt=None))
    assert re.fullmatch(r"qemunet [^,]+, Python [\d.]+\S*", without)
    unknown = replace(facts, qemu=replace(QEMU, slirp=None), passt=None)
    assert doctor.versions(unknown).endswith("QEMU 10.0.2, libslirp of unknown version")


def test_nobody_has_a_name() -> None:
    from qemunet_tests.user_names import user_name

    assert user_name(os.getuid()) == pwd.getpwuid(os.getuid()).pw_name
    assert user_name(3_999_999_999) == "user 3999999999"


def test_modes_that_nobody_asked_about_get_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    def concluded(*words: str) -> set[str]:
        parser = argparse.ArgumentParser()
        doctor.add_parser(parser.add_subparsers())
        doctor.execute(parser.parse_args(["doctor", *words]))
        lines = capsys.readouterr().out.rpartition("\n\n")[2].splitlines()
        return {line.split()[0] for line in lines if line.split()[1].startswith(("possible", "impossible"))}

    assert concluded() == set(checks.MODES)
    assert concluded("--mode", "vde,lab") == {"vde", "lab"}
