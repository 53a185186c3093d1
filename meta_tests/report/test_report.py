"""The report: results.json, its schema, and exit codes."""

import json
import resource
import socket
import sys
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meta_tests.samples.results import FINDINGS, results_of, verdict_of
from qemunet_tests.diagnosis.causes import _proven
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.report.session_info import SessionFacts, command, merged
from qemunet_tests.report.session_results import exit_code, write_results
from qemunet_tests.report.shapes import DOCUMENTS, SCHEMAS, schema_text
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest
from qemunet_tests.throughput.session import describe_machine

# Files


def test_the_schemas_are_those_of_the_models() -> None:
    for document in (*DOCUMENTS, "changes"):
        file = SCHEMAS / f"{document}.json"
        assert json.loads(file.read_text()) == json.loads(schema_text(document)), (
            f"write report/schemas/{document}.json anew from shapes.schema_text({document!r})"
        )


def test_the_interface_is_what_the_schema_demands() -> None:
    schema = json.loads((SCHEMAS / "results.json").read_text())
    assert {"at", "version", "command", "image"} <= set(schema["required"])
    assert {"schema", "target", "seconds", "host", "qemu", "accel", "guests", "phases", "verdicts"} <= set(
        schema["required"]
    )
    assert set(schema["$defs"]["ClaimVerdict"]["required"]) == {
        "claim", "mode", "verdict", "expected", "observed", "reason", "remedy", "tests", "seconds",
        "artifacts", "qemu", "slirp", "passt", "cpu_seconds", "cause", "says", "source", "topic", "lost", "packets",
        "known",
    }  # fmt: skip
    assert schema["$defs"]["Verdict"]["enum"] == [verdict.value for verdict in Verdict]
    assert {"id", "name", "kernel", "distribution", "cpus"} <= set(schema["$defs"]["HostDescription"]["required"])


def test_the_doctors_schema_takes_the_documented_shape_and_no_other() -> None:
    schema = json.loads((SCHEMAS / "doctor.json").read_text())
    capability = {"id": "kvm", "state": "caution", "modes": ["user"], "reason": "odd", "remedy": None}
    document = {
        "schema": 1,
        "capabilities": [capability],
        "modes": {"user": {"possible": True, "reason": None}},
    }
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "capabilities": [{**capability, "state": "maybe"}]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"capabilities": [], "modes": {}}, schema)


def test_results_keep_the_shape_and_name_the_machine(tmp_path: Path) -> None:
    facts = {
        "qemu": {"path": "/q", "version": "7.2.22", "slirp": "4.7.0"},
        "accel": {"used": "tcg", "reason": "r"},
    }
    results = results_of(*FINDINGS, **facts, host={"distribution": "Debian", "bios": "SeaBIOS"})
    document = json.loads(write_results(results, tmp_path).read_text())
    jsonschema.validate(document, json.loads((SCHEMAS / "results.json").read_text()))
    assert document["schema"] == 1
    assert document["accel"] == {"used": "tcg", "reason": "r"}
    # What fixtures know goes before, and beside, what this process sees.
    assert document["host"]["distribution"] == "Debian"
    assert document["host"]["bios"] == "SeaBIOS"
    assert document["host"]["cpus"] >= 1
    # The name is for people; recordings of this machine bear the same id.
    assert (document["host"]["id"], document["host"]["name"]) == (describe_machine()["id"], socket.gethostname())
    assert {(each["qemu"], each["slirp"], each["passt"]) for each in document["verdicts"]} == {
        ("7.2.22", "4.7.0", None)
    }
    assert datetime.fromisoformat(document["at"]).utcoffset() == timedelta(0)
    assert document["version"] == metadata.version("qemunet")
    assert document["command"] == command()
    assert [each["claim"] for each in document["verdicts"]] == [
        "user/address", "user/dns-resolves", "user/icmp-gateway", "user/e1000", "bridge/acl-allow"
    ]  # fmt: skip


def test_claims_broken_by_one_cause_share_its_key() -> None:
    failure: Any = None

    def switched_off(_: Any) -> Obstacle:
        return Obstacle(f"the bridge is down, seen by {next(seen)}", "ip link set br0 up")

    def elsewhere(_: Any) -> Obstacle:
        return Obstacle("the bridge is down", "ip link set br1 up")

    seen = iter(("ping", "TCP"))
    keys = [(found := _proven(check, failure)) and found.key for check in (switched_off, switched_off, elsewhere)]
    assert keys[0] == keys[1] != keys[2]
    assert str(keys[0]).startswith("test_report.switched_off-")


def test_cpu_seconds_of_a_claim_are_those_of_all_its_tests_or_unknown() -> None:
    def tested(*cpu_seconds: float | None) -> float | None:
        tests = [VerdictOfTest("user/address", Verdict.HOLDS, str(n), 1.0, cpu_seconds=n) for n in cpu_seconds]
        return results_of(*tests).verdicts[0].cpu_seconds

    assert tested(1.5, 2.25) == 3.75
    assert tested(1.5, None) is None


def test_results_are_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = write_results(results_of(FINDINGS[0]), tmp_path)
    before = file.read_text()

    before_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before_limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_results(results_of(*FINDINGS), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before_limit)
    assert file.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_facts_of_several_processes() -> None:
    first = SessionFacts(phases={"image": 0.0, "templates": 3.0, "tests": 0.0}, notes=["a"])
    second = SessionFacts(host={"kernel": "6"}, guests={"booted": 2, "thawed": 5, "peers": 0}, notes=["a", "b"])
    third = SessionFacts(host={"kernel": "7"}, guests={"booted": 1, "thawed": 0, "peers": 9}, phases={"templates": 4.0})
    whole = merged([first, second, third])
    assert whole.host == {"kernel": "6"}
    assert whole.guests == {"booted": 3, "thawed": 5, "peers": 9}
    assert whole.phases["templates"] == 4.0
    assert whole.notes == ["a", "b"]


# Exit codes


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.HOLDS], 0),
        ([Verdict.HOLDS, Verdict.DEVIATES, Verdict.UNAVAILABLE], 0),
        ([Verdict.DEVIATES], 0),
        ([Verdict.HOLDS, Verdict.INCONCLUSIVE], 3),
        ([Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.HOLDS], 1),
        ([Verdict.UNAVAILABLE, Verdict.UNAVAILABLE], 3),
        ([], 3),
    ],
)
def test_exit_codes(verdicts: list[Verdict], code: int) -> None:
    slugs = ("address", "gateway", "e1000")
    findings = [verdict_of(verdict, slug) for verdict, slug in zip(verdicts, slugs, strict=False)]
    results = results_of(*findings)
    assert exit_code(results) == code
    assert exit_code(results, trouble=True) == (1 if code == 1 else 3)
    interrupted = results.model_copy(update={"interrupted": True})
    assert exit_code(interrupted) == (1 if code == 1 else 3)


@pytest.mark.parametrize(
    ("program", "typed"),
    [
        ("/usr/bin/qemunet", "qemunet run 'user/*'"),
        ("/usr/lib/python3/dist-packages/qemunet_tests/__main__.py", "qemunet run 'user/*'"),
        ("/usr/lib/python3/dist-packages/pytest/__main__.py", "pytest run 'user/*'"),
    ],
)
def test_the_command_is_as_somebody_types_it_again(monkeypatch, program, typed):
    monkeypatch.setattr(sys, "argv", [program, "run", "user/*"])
    assert command() == typed
