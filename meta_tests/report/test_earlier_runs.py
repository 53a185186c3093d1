"""A run that cannot try what an earlier one tried says so, last and loud."""

import json
import os
from pathlib import Path

import pytest

from meta_tests.qemunet_command import conduct
from meta_tests.samples.results import FINDINGS, results_of
from qemunet_tests.report import earlier_runs
from qemunet_tests.report.shapes import QemuDescription, Results
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

QEMU = QemuDescription(path="/usr/bin/qemu-system-x86_64", version="9.2.4")
SMB, ADDRESS = "user/smb-server", "user/address"
NOW = """
import pytest
from qemunet_tests import plugin
from qemunet_tests.errors import Unavailable
@pytest.mark.claim("user/smb-server")
def test_smb(claim, request):
    plugin.facts(request.config).qemu.update(path="/usr/bin/q", version="1.2.3")
    {smb}
@pytest.mark.claim("user/gateway")
def test_gateway(): pass
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(qemu: QemuDescription = QEMU, **verdicts: Verdict) -> Results:
    names = {"smb": SMB, "address": ADDRESS}
    findings = [VerdictOfTest(names[name], verdict, f"test_{name}") for name, verdict in verdicts.items()]
    return results_of(*findings).model_copy(update={"qemu": qemu})


@pytest.mark.parametrize("tried", [Verdict.HOLDS, Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.DEVIATES])
def test_what_was_tried_is_missed(tried: Verdict) -> None:
    assert earlier_runs.missed(run(smb=tried, address=Verdict.HOLDS)) == []
    (sentence,) = earlier_runs.missed(run(smb=Verdict.UNAVAILABLE, address=Verdict.HOLDS))
    assert sentence.startswith("UNAVAILABLE NOW: 1 claim that was tried before")
    assert SMB in sentence
    assert ADDRESS not in sentence
    # And again, until somebody heeds it.
    assert earlier_runs.missed(run(smb=Verdict.UNAVAILABLE))


def test_nothing_else_is_missed() -> None:
    """Not what never was tried, on another QEMU, on another target, or where no QEMU was asked."""
    assert earlier_runs.missed(run(smb=Verdict.UNAVAILABLE)) == []
    assert earlier_runs.missed(run(smb=Verdict.HOLDS)) == []
    assert earlier_runs.missed(run(address=Verdict.HOLDS)) == []
    assert earlier_runs.missed(run(QEMU.model_copy(update={"version": "11.1.0"}), smb=Verdict.UNAVAILABLE)) == []
    assert earlier_runs.missed(run(smb=Verdict.UNAVAILABLE).model_copy(update={"target": "host"})) == []
    assert earlier_runs.missed(run(QemuDescription(), smb=Verdict.UNAVAILABLE)) == []


def test_what_was_tried_long_ago_is_forgotten(own_cache: Path) -> None:
    earlier_runs.missed(run(smb=Verdict.HOLDS))
    file = own_cache / earlier_runs.FILE
    said = json.loads(file.read_text())
    (claims,) = said["tried"].values()
    claims[SMB] = "2020-01-01"
    file.write_text(json.dumps(said))
    assert earlier_runs.missed(run(smb=Verdict.UNAVAILABLE)) == []


@pytest.mark.parametrize(
    "spoilt", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "tried": 3}', "[" * 100_000,
               '{"schema": 1, "tried": {"a": {"b": "today"}}}', "\xff"],
)  # fmt: skip
def test_a_spoilt_memory_is_none(own_cache: Path, spoilt: str) -> None:
    own_cache.mkdir()
    (own_cache / earlier_runs.FILE).write_text(spoilt, "latin-1")
    assert earlier_runs.missed(run(smb=Verdict.UNAVAILABLE)) == []
    assert earlier_runs.missed(run(smb=Verdict.HOLDS)) == []
    assert earlier_runs.missed(run(smb=Verdict.UNAVAILABLE))


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away takes root")
def test_root_believes_only_roots(own_cache: Path) -> None:
    earlier_runs.missed(run(smb=Verdict.HOLDS))
    os.chown(own_cache / earlier_runs.FILE, 65534, 65534)
    assert earlier_runs.missed(run(smb=Verdict.UNAVAILABLE)) == []
    victim = own_cache / "victim"
    victim.write_text("as it was")
    (own_cache / earlier_runs.FILE).unlink()
    (own_cache / earlier_runs.FILE).symlink_to(victim)
    earlier_runs.missed(run(smb=Verdict.HOLDS))
    assert victim.read_text() == "as it was"


def test_it_is_the_last_that_a_run_says(tmp_path: Path) -> None:
    assert "UNAVAILABLE NOW" not in conduct(tmp_path, NOW.format(smb="pass"), "-n", "1").stdout
    gone = NOW.format(smb='raise Unavailable("there is no smbd", "install samba")')
    done = conduct(tmp_path, gone, "-n", "1", "--report", str(tmp_path / "report"))
    assert done.returncode == 0
    last = done.stdout.rstrip().rpartition("UNAVAILABLE NOW")[2]
    assert "user/smb-server" in last
    assert len(last.splitlines()) <= 3
    notes = json.loads((tmp_path / "report" / "results.json").read_text())["notes"]
    assert [note for note in notes if note.startswith("UNAVAILABLE NOW")]
    assert FINDINGS
