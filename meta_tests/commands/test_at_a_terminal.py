"""Every command as an ordinary user types it: at a terminal, with the PATH that Debian gives him, without sudo.

A terminal makes a difference: what is drawn there has a thread, and an ordinary user enters the lab without any.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pexpect
import pytest

from meta_tests.isolation.runs import account, hand_over, home  # noqa: F401  # fixtures
from meta_tests.patience import limit
from meta_tests.samples import recordings
from meta_tests.user_accounts import CHECKOUT, Account, accounts

#: Software guests beside other work take their time.
PATIENCE_SECONDS = limit(60)
ordinary = [each for each in accounts() if each.id != "as-root"]
by_an_ordinary_user = pytest.mark.parametrize("account", ordinary, indirect=True, scope="session")
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Type = Callable[..., pexpect.spawn]


@pytest.fixture
def type_in(account: Account, home: Path) -> Iterator[Type]:  # noqa: F811
    """Types a command line at a terminal of 100 columns."""
    with ExitStack() as ends:

        def type_in(*words: str) -> pexpect.spawn:
            folder = Path(tempfile.mkdtemp(dir=home))
            hand_over(folder, account)
            line = [*account.prefix, sys.executable, "-m", "qemunet_tests", *words]
            environment = {**account.environment, "TERM": "xterm", "QEMUNET_CACHE": str(home / "cache")}
            # From the checkout, because the package is found there by whoever cannot read an installed one.
            environment["PYTHONPATH"] = str(CHECKOUT)
            typed = pexpect.spawn(
                line[0], line[1:], timeout=PATIENCE_SECONDS, dimensions=(24, 100), env=environment, cwd=str(folder),
                encoding="utf-8",
            )  # fmt: skip
            ends.callback(typed.close, force=True)
            return typed

        yield type_in


def ended(typed: pexpect.spawn) -> tuple[int | None, str]:
    """The exit code, and what was said until the end, without colours."""
    typed.expect(pexpect.EOF)
    typed.close()
    return typed.exitstatus, COLOURS.sub("", typed.before)


@by_an_ordinary_user
def test_record_gets_as_far_as_measuring(type_in: Type) -> None:
    typed = type_in("record", "--blocks", "1", "--extras", "none", "--nics", "virtio-net")
    typed.expect(r"boot 1 of[^\r]*0:00:0[2-9]")
    typed.sendintr()
    code, said = ended(typed)
    assert "interrupted before anything was measured, so nothing was recorded" in said
    assert code == 3


@by_an_ordinary_user
@pytest.mark.slow
def test_record_measures(type_in: Type) -> None:
    code, said = ended(type_in("record", "--blocks", "2", "--extras", "none", "--nics", "virtio-net"))
    assert "threads were started" not in said
    assert "recorded in" in said
    # Two blocks may be too few on this machine today.
    assert code in (0, 3)


@by_an_ordinary_user
def test_run_finds_what_lies_in_usr_sbin(type_in: Type) -> None:
    code, said = ended(type_in("run", "user/smb-server", "bridge/lease-address"))
    assert code == 0, said[-2000:]
    assert "2 claims: 2 holds" in said


@by_an_ordinary_user
def test_shell_hands_over_a_guest(type_in: Type) -> None:
    typed = type_in("shell", "bridge")
    typed.expect("guest# ")
    typed.send("\x01x")
    assert ended(typed)[0] == 0


@by_an_ordinary_user
def test_doctor_finds_what_lies_in_usr_sbin(type_in: Type) -> None:
    code, said = ended(type_in("doctor", "--mode", "lab"))
    assert code == 0, said
    assert re.search(r"dnsmasq is /\S*sbin/dnsmasq", " ".join(said.split()))


@by_an_ordinary_user
def test_image_and_claims_list_what_there_is(type_in: Type) -> None:
    code, said = ended(type_in("image", "list"))
    assert (code, "tiny" in said) == (0, True), said
    code, said = ended(type_in("claims", "user/address"))
    assert (code, "user/address" in said) == (0, True), said


@by_an_ordinary_user
def test_compare_draws_no_thread_either(type_in: Type, open_folder: Path) -> None:
    recording = recordings.write(open_folder / "a.jsonl")
    recording.chmod(0o644)
    code, said = ended(type_in("compare", str(recording), str(recording)))
    assert (code, "no difference" in said) == (0, True), said
