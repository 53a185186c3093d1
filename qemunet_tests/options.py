"""The options of a run, told once: `qemunet run` takes them as they are, pytest with the prefix `--qemunet-`.

Imports next to nothing, because pytest loads it in every session of everybody who has qemunet installed.
"""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFORMANCE = "qemunet_tests.conformance"


@dataclass(frozen=True)
class Option:
    """`metavar` is None for a switch; `several` allows more than one value."""

    name: str
    help: str
    metavar: str | None = None
    several: bool = False

    @property
    def for_run(self) -> dict[str, Any]:
        """Keywords for argparse."""
        return {**self._common, "action": "extend", "nargs": "+"} if self.several else self._common

    @property
    def for_pytest(self) -> dict[str, Any]:
        """Keywords for pytest's parser. One value at a time: a second would be taken for a test file."""
        return {**self._common, "action": "append"} if self.several else self._common

    @property
    def _common(self) -> dict[str, Any]:
        if self.metavar is None:
            return {"help": self.help, "action": "store_true", "default": False}
        return {"help": self.help, "metavar": self.metavar, "default": [] if self.several else None}


OPTIONS = (
    Option("target", "what is judged: the lab (default), a replica of the network, or this host", "lab|host"),
    Option("bridge", "the bridge that guests join (default: br0)", "NAME"),
    Option("peer", "a TCP service on the real LAN that accepts and echoes, for bulk transfer", "ADDR:PORT"),
    Option("expect", "what is known about this host's LAN and cannot be guessed", "FILE"),
    Option("as", "whom the guests of this host belong to (default: whoever called sudo, else nobody)", "USER"),
    Option("accel", "auto (default) proves KVM by running a guest, else takes TCG", "auto|kvm|tcg"),
    Option("qemu", "the QEMU to test (default: qemu-system-x86_64 of the PATH)", "PATH"),
    Option("image", "the guest that boots, by the name of its image (default: the one that is built)", "NAME"),
    Option("libslirp", "the libslirp to test in that QEMU (default: the one it was linked with)", "FILE"),
    Option("bridge-helper", "the qemu-bridge-helper to test, in the lab (default: what QEMU looks for)", "FILE"),
    Option("passt", "the passt to test (default: the one that is installed)", "FILE"),
    Option("nic", "network devices where a test leaves the choice open", "MODEL", several=True),
    Option("cold", "boot every guest, thaw none"),
    Option("report", "write junit.xml and results.json into this folder; another run there moves to DIR/before", "DIR"),
    Option("failed", "repeat what did not hold in the run that is reported there, of the claims that are named", "DIR"),
    Option("known", "what is known not to hold, with reason and last day, does not count for the exit code", "FILE"),
    Option("keep", "keep the artifacts of tests that passed, too"),
    Option("durations", "after the card, list the N claims that took longest, with CPU seconds (0: all)", "N"),
)  # fmt: skip

CLAIMS = Option("claims", "only tests of claims whose id matches; may be repeated", "GLOB", several=True)


@dataclass(frozen=True)
class CommandLine:
    """How a program spells our options: each begins with `prefix`."""

    prefix: str

    def flag(self, name: str) -> str:
        """As the user types it."""
        return f"--{self.prefix}{name}"

    def dest(self, name: str) -> str:
        """Where the program's parser puts the value."""
        return f"{self.prefix}{name}".replace("-", "_")

    def given(self, parsed: Namespace) -> dict[str, object]:
        """The value of every option by its name."""
        return {option.name: getattr(parsed, self.dest(option.name), None) for option in (*OPTIONS, CLAIMS)}


OF_QEMUNET = CommandLine("")
OF_PYTEST = CommandLine("qemunet-")


def asks_for_qemunet(parsed: Namespace) -> bool:
    """Whether a pytest session was given one of our options, or one of our tests by name or path."""
    if any(OF_PYTEST.given(parsed).values()):
        return True
    return any(_names_conformance(argument.partition("::")[0]) for argument in parsed.file_or_dir)


def _names_conformance(name: str) -> bool:
    if name == CONFORMANCE or name.startswith(f"{CONFORMANCE}."):
        return True
    folder = Path(__file__).parent / "conformance"
    return Path(name).exists() and Path(name).resolve().is_relative_to(folder.resolve())
