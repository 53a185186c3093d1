"""Which sessions of pytest enter the lab, and that each of their workers has one of its own."""

import os
import sys
from pathlib import Path

import pytest

from meta_tests.inner_session import imported_once, nobodys_worker  # noqa: F401

pytest_plugins = "pytester"

ENTERED = """
import os, sys
from pathlib import Path
import pytest

def test_elsewhere(tmp_path):
    assert os.readlink("/proc/self/ns/net") != {network!r}
    (tmp_path / "file").write_text("x")
    who = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    Path({seen!r}, who).write_text(os.readlink("/proc/self/ns/net"))

def test_again(tmp_path): test_elsewhere(tmp_path)
"""


def enters(pytester: pytest.Pytester, *arguments: str) -> tuple[pytest.RunResult, dict[str, str]]:
    """Run a session whose tests fail unless they are in a network namespace of their own."""
    seen = pytester.mkdir("seen")
    network = os.readlink("/proc/self/ns/net")  # noqa: PTH115
    pytester.makepyfile(ENTERED.format(network=network, seen=str(seen)))
    # Without pytester's --basetemp, because where temporary folders lie is part of the question.
    outcome = pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments)
    if "the lab cannot be entered" in outcome.stderr.str():
        pytest.skip(outcome.stderr.str())
    return outcome, {file.name: file.read_text() for file in seen.iterdir()}


@pytest.mark.parametrize("reason", ["option", "ini"])
def test_a_session_of_ours_enters_the_lab_first(pytester: pytest.Pytester, reason: str) -> None:
    if reason == "ini":
        pytester.makeini("[pytest]\nqemunet_target = lab")
    outcome, _ = enters(pytester, *(["--qemunet-cold"] if reason == "option" else []))
    outcome.assert_outcomes(passed=2)


@pytest.mark.parametrize("bare", [False, True], ids=["installed", "bare-checkout"])
def test_every_worker_has_a_network_of_its_own(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, bare: bool
) -> None:
    arguments = ["--qemunet-target", "lab", "--dist", "each", "--tx", "2*popen"]
    if bare:
        # As in a checkout that is not installed: only the root conftest names the plugin.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        pytester.makeconftest('pytest_plugins = ["qemunet_tests.plugin"]')
        arguments += ["-p", "xdist.plugin"]
    outcome, networks = enters(pytester, *arguments)
    assert "failed" not in outcome.parseoutcomes()
    assert set(networks) == {"gw0", "gw1"}
    assert len(set(networks.values())) == 2


@pytest.mark.parametrize("argument", ["--collect-only", "--help", "--version", "--markers", "--fixtures"])
def test_looking_enters_nothing(pytester: pytest.Pytester, argument: str) -> None:
    network = os.readlink("/proc/self/ns/net")  # noqa: PTH115
    pytester.makeconftest(
        f"import os\ndef pytest_configure(): assert os.readlink('/proc/self/ns/net') == {network!r}\n"
    )
    pytester.makepyfile("def test_mine(): pass")
    outcome = pytester.runpytest_subprocess("--qemunet-target", "lab", "-p", "no:cacheprovider", argument)
    assert outcome.ret == 0


def test_naming_the_shipped_tests_is_enough(pytester: pytest.Pytester) -> None:
    from qemunet_tests import plugin

    config = pytester.parseconfig("--collect-only", "--pyargs", "qemunet_tests.conformance.test_user::test_x")
    assert plugin.is_ours(config)
    folder = Path(plugin.__file__).parents[1] / "conformance"
    assert plugin.is_ours(pytester.parseconfig("--collect-only", str(folder / "test_user.py")))
    assert not plugin.is_ours(pytester.parseconfig("--collect-only", "."))
