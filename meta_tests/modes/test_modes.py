"""A mode is what its file says, everywhere: nobody keeps a list of modes."""

import re
from collections.abc import Collection
from pathlib import Path

import pytest

from qemunet_tests import claims, modes
from qemunet_tests.__main__ import exit_code
from qemunet_tests.doctor import checks
from qemunet_tests.modes import Mode, Way
from qemunet_tests.qemu.netdev import Netdev

CHECKOUT = Path(__file__).parents[2]
#: Claims and tests about something that is no mode.
SUBJECTS = {"nic", "filter", "net"}


def test_a_file_in_the_folder_is_a_mode_of_its_name() -> None:
    files = {file.stem.replace("_", "-") for file in (CHECKOUT / "qemunet_tests/modes").glob("*.py")}
    files -= {"--init--", "mode"}
    assert set(modes.every()) == files
    assert all(word == mode.word for word, mode in modes.every().items())


def test_the_two_that_people_meet_first_come_first() -> None:
    assert list(modes.every())[:2] == ["user", "bridge"]


def test_what_has_claims_is_a_mode_or_a_known_subject() -> None:
    assert {claim.mode for claim in claims.load().values()} <= {*modes.every(), *SUBJECTS}


def test_what_has_claims_has_tests_of_its_name() -> None:
    tests = {file.stem for file in (CHECKOUT / "qemunet_tests/conformance").glob("test_*.py")}
    assert {f"test_{claim.mode.replace('-', '_')}" for claim in claims.load().values()} <= tests


def test_a_subject_is_no_mode() -> None:
    assert SUBJECTS.isdisjoint(modes.every())
    assert SUBJECTS.isdisjoint(checks.MODES)
    assert not any(modes.shares_network(subject) for subject in SUBJECTS)


@pytest.mark.parametrize("subject", sorted(SUBJECTS))
@pytest.mark.parametrize("words", ["shell {}", "record --arms {},user", "doctor --mode {}"])
def test_a_command_that_takes_a_mode_takes_no_subject(
    words: str, subject: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(words.format(subject).split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert f"'{subject}'" in said.err


@pytest.mark.parametrize(("command", "words"), [("shell", modes.every()), ("record", modes.ways())])
def test_a_command_offers_every_mode(command: str, words: Collection[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code([command, "--help"]) == 0
    assert set(words) <= set(re.findall(r"[\w-]+", capsys.readouterr().out))


def test_the_doctor_can_be_asked_about_every_mode() -> None:
    assert set(modes.every()) <= set(checks.MODES)


def test_every_way_is_somebodys_alone() -> None:
    named = [word for mode in modes.every().values() for word in mode.ways]
    assert len(named) == len(set(named)) == len(modes.ways())


@pytest.mark.parametrize("way", modes.ways().values(), ids=modes.ways())
def test_a_way_says_what_it_is(way: Way) -> None:
    assert way.about
    assert way.backend
    assert not (way.forwards and way.between_guests)


@pytest.mark.parametrize("mode", modes.every().values(), ids=modes.every())
def test_only_a_mode_on_a_shared_network_announces_frames_of_its_own(mode: Mode) -> None:
    said = "\n".join(mode.announced("br0", "nobody"))
    assert ("frames of" in said) <= mode.shares_network


@pytest.mark.parametrize(
    "netdev", [each for each in Netdev.__subclasses__() if each.__module__.startswith(modes.__name__)]
)
def test_nothing_outside_knows_a_netdevs_class(netdev: type[Netdev]) -> None:
    """Product code asks a netdev what it is like, never what it is; but for the tests of the mode itself."""
    own = f"test_{netdev.__module__.rpartition('.')[2]}"
    for file in (CHECKOUT / "qemunet_tests").rglob("*.py"):
        if file.parent.name != "modes" and not file.name.startswith(own):
            assert not re.search(rf"\b{netdev.__name__}\b|\.bridged\b", file.read_text()), file
