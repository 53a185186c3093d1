"""What QEMU says of command lines, and its monitor of commands, that they should not take."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.bare_qemu import LaunchAttempt
from qemunet_tests.guest.bench import Bench
from qemunet_tests.qemu.qmp import Monitor

#: On a PC that stands still: `-nic` makes nothing on a machine that has no place for it.
STILL_PC = ("-M", "pc", "-S")


def attempts(bench: Bench, commands: Iterable[str], *machine: str) -> dict[str, LaunchAttempt]:
    """What becomes of QEMU with these words, which are taken apart as a shell does, by command."""
    return {command: bench.attempt(*(machine or STILL_PC), *shlex.split(command), noted=False) for command in commands}


def not_refused(tried: Mapping[str, LaunchAttempt], reasons: Mapping[str, str | tuple[str, ...]]) -> list[str]:
    """Of commands that QEMU takes, or ends with other words than these, what it did. Several are those of versions."""
    endings = {command: (words,) if isinstance(words, str) else words for command, words in reasons.items()}
    return [
        f"QEMU starts with {command}" if each.started else f"with {command} it says: {each.complaints}"
        for command, each in tried.items()
        if each.status != 1
        or not f": {each.complaints.refusal}".endswith(tuple(f": {ending}" for ending in endings[command]))
    ]


def counted(wrong: int, of: int) -> str:
    """For people: how many of them are refused."""
    return f"{of - wrong} of {of} {'is' if of == 1 else 'are'} refused"


def refusal(monitor: Monitor, command: str, **arguments: Any) -> str:
    """What the monitor refuses a command with; empty where it does not."""
    try:
        monitor.execute(command, **arguments)
    except HarnessError as refused:
        return str(refused)
    return ""
