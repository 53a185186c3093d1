"""`qemunet doctor`: what this host can do for the user who asks, and the command that mends the rest."""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from qemunet_tests.commands.fitted_lines import fitted, terminal_columns
from qemunet_tests.doctor import boot_check, checks
from qemunet_tests.doctor.checks import Capability, ModeVerdict
from qemunet_tests.doctor.deep_report import ipv6_of_the_lan, kvm_trial
from qemunet_tests.doctor.host_facts import HostFacts, describe, gather
from qemunet_tests.doctor.missing_packages import in_one_command, missing_of_a_run
from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.qemu.built_image import Image

SCHEMA = 1
EXIT_POSSIBLE = 0
EXIT_IMPOSSIBLE = 1
EXIT_NOTHING_POSSIBLE = 3

#: How far the reason is from the left, and what goes on below it.
INDENT = 27
#: In remedies that are typed as they stand.
COMMAND = re.compile(r"^(sudo|apt-get|chmod|echo|install|ip|mount|modprobe|nmcli|sysctl|systemctl) |\bsh -c '")
_COLOURS = {"ok": "32", "caution": "33", "not": "31"}


def add_parser(subparsers: Any) -> None:
    """Describe the command to argparse."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "doctor",
        help="what this host can do, and the command that mends what it cannot",
        description="What this host can do for guests, in under three seconds and without booting one.",
        epilog="Exit status: 0 where every mode named by --mode is possible (without --mode: any mode), "
        "1 where one of them is not, 3 where no mode at all is.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    parser.add_argument(
        "--deep",
        action="store_true",
        help="also boot a small guest, under KVM if that opens, and tell what the LAN has of IPv6: a report for a bug",
    )
    parser.add_argument(
        "--mode",
        metavar="MODES",
        help=f"the modes asked about, with commas between: {', '.join(checks.MODES)} (default: user,bridge,lab)",
    )


def execute(args: argparse.Namespace) -> int:
    """Examine the host and print what was found. Raises UsageError for an unknown mode."""
    asked = modes_asked(args.mode)
    facts = gather()
    boots: tuple[Capability, ...] = ()
    if args.deep:
        facts, boots = _deepen(facts)
        boots += (kvm_trial(facts.trial),) if facts.trial else ()
        boots += (ipv6_of_the_lan(facts.way_out.name if facts.way_out else None),)
    capabilities = [*checks.look(facts), *boots]
    verdicts = checks.verdicts(capabilities)
    shown = [one for one in capabilities if set(one.check.modes) & set(asked)]
    if args.json:
        print(json.dumps(document(shown, {mode: verdicts[mode] for mode in asked}), indent=1))
    else:
        others = {} if args.mode else {mode: verdicts[mode] for mode in checks.MODES if mode not in asked}
        print("\n".join(report(facts, shown, {mode: verdicts[mode] for mode in asked}, terminal_columns(), others)))
    return exit_status(verdicts, asked if args.mode else None)


def modes_asked(option: str | None) -> list[str]:
    """The modes named by --mode, or all. Raises UsageError for one that does not exist."""
    if option is None:
        return list(checks.USUAL)
    names = [name.strip() for name in option.split(",")]
    for name in names:
        if name not in checks.MODES:
            raise UsageError(f"--mode {option}: there is no mode {name!r}; modes are {', '.join(checks.MODES)}")
    return list(dict.fromkeys(names))


def exit_status(verdicts: dict[str, ModeVerdict], asked: Sequence[str] | None) -> int:
    """3 where this host can run nothing, 1 where a mode that was asked for is impossible, else 0."""
    if not any(verdicts[mode].possible for mode in (*checks.USUAL, *(asked or ()))):
        return EXIT_NOTHING_POSSIBLE
    if asked is not None and not all(verdicts[mode].possible for mode in asked):
        return EXIT_IMPOSSIBLE
    return EXIT_POSSIBLE


def document(capabilities: Sequence[Capability], verdicts: dict[str, ModeVerdict]) -> dict[str, object]:
    """What `--json` prints: the shape that the interface promises."""
    return {
        "schema": SCHEMA,
        "capabilities": [one.describe() for one in capabilities],
        "modes": {mode: verdict.describe() for mode, verdict in verdicts.items()},
    }


def report(
    facts: HostFacts,
    capabilities: Sequence[Capability],
    verdicts: Mapping[str, ModeVerdict],
    columns: int | None = None,
    others: Mapping[str, ModeVerdict] = MappingProxyType({}),
) -> list[str]:
    """The lines to read, or to paste into a bug report. Where there are no `columns`, as in a pipe, they stay whole.

    Of `others`, modes that nobody asked about, a line each says whether they are possible.
    """
    concluded = {**verdicts, **others}
    width = max(map(len, concluded), default=0) + 2
    modes = (f"{mode:<{width}}{_conclusion(verdict)}" for mode, verdict in concluded.items())
    return [
        *fitted(headline(facts), columns),
        *fitted(versions(facts), columns),
        "",
        *(line for one in capabilities for line in capability_lines(one, columns, verdicts)),
        *_all_packages(facts, capabilities, columns),
        "",
        *(line for mode in modes for line in fitted(mode, columns, width)),
    ]


def _all_packages(facts: HostFacts, capabilities: Sequence[Capability], columns: int | None) -> list[str]:
    command = in_one_command((one.finding.remedy for one in capabilities), missing_of_a_run(facts.machine))
    return ["", *fitted(f"all packages at once: {command}", columns, 2, " \\")] if command else []


def headline(facts: HostFacts) -> str:
    """Which host this is, in a line."""
    host = describe(facts.root)
    surroundings = [f"virtual machine ({host['virtualisation']})" if host["virtualisation"] else "bare metal"]
    surroundings += [f"container ({host['container']})"] if host["container"] else []
    surroundings += [str(host["ci"])] if host["ci"] else []
    return (
        f"{host['distribution']}, Linux {host['kernel']} {host['architecture']}, {host['cpus']} CPUs, "
        f"{host['memory_mb']} MB, {', '.join(surroundings)}, as {facts.user}"
    )


def versions(facts: HostFacts) -> str:
    """What is installed, in a line."""
    found = [f"qemunet {_own_version()}", f"Python {platform.python_version()}"]
    if facts.qemu is not None:
        found += [facts.qemu.version_line.replace("QEMU emulator version", "QEMU")]
        found += [f"libslirp {facts.qemu.slirp or 'of unknown version'}"] if "user" in facts.qemu.netdevs else []
    found += [f"passt {facts.passt.version}"] if facts.passt and facts.passt.version else []
    return ", ".join(found)


def _own_version() -> str:
    try:
        return importlib.metadata.version("qemunet")
    except importlib.metadata.PackageNotFoundError:
        return "of a bare checkout"


def capability_lines(
    capability: Capability, columns: int | None = None, asked: Collection[str] = checks.USUAL
) -> list[str]:
    """State, id, what it means for which of the modes asked about, and the remedy."""
    finding = capability.finding
    modes = ", ".join(mode for mode in capability.check.modes if mode in asked)
    text = f"{finding.state:<8} {capability.check.id:<17} {finding.reason} ({modes})"
    if finding.remedy and columns is None:
        text += f"; remedy: {finding.remedy}"
    lines = fitted(text, columns, INDENT)
    if finding.remedy and columns is not None:
        # A command that goes on in the next line can be copied as it stands.
        ending = " \\" if COMMAND.search(finding.remedy) else ""
        lines += fitted(f"{' ' * min(INDENT, columns // 3)}remedy: {finding.remedy}", columns, INDENT + 2, ending)
    return [lines[0].replace(f"{finding.state:<8}", _coloured(finding.state), 1), *lines[1:]]


def _conclusion(verdict: ModeVerdict) -> str:
    word = "possible" if verdict.possible else "impossible"
    return f"{word}: {verdict.reason}" if verdict.reason else word


def _coloured(state: str) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return f"{state:<8}"
    return f"\033[{_COLOURS[state]}m{state:<8}\033[0m"


def _deepen(facts: HostFacts) -> tuple[HostFacts, tuple[Capability, ...]]:
    """Boot the small guest; where there is none, say so as a finding."""
    if facts.qemu is None:
        return facts, ()
    try:
        image = _image()
    except (Unavailable, HarnessError) as lacking:
        return facts, (boot_check.not_booted(lacking),)
    return boot_check.boot(facts, image, notice=_say)


def _image() -> Image:
    # Not needed, and not quick to import, unless something is to be booted.
    from rich.console import Console

    from qemunet_tests import images
    from qemunet_tests.commands.build_progress import prepare_image

    prepare_image(Console(stderr=True), images.DEFAULT)
    image: Image = images.ensure()
    return image


def _say(text: str) -> None:
    print(text, file=sys.stderr)
