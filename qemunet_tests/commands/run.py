"""`qemunet run`: the conformance tests, and a report card."""

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from qemunet_tests.commands.worker_count import workers_of_this_machine
from qemunet_tests.errors import UsageError
from qemunet_tests.options import CONFORMANCE, OF_QEMUNET, OPTIONS

if TYPE_CHECKING:
    from qemunet_tests.report.card import Detail
    from qemunet_tests.settings import Settings

#: Options that say where results go and how they are shown, not what is tried.
ABOUT_THE_REPORT = ("report", "failed", "durations", "keep")
EXAMPLES = """\
examples:
  qemunet run                                everything, in the lab; needs no root
  qemunet run 'user/*' --report out          one mode; out/results.json and out/junit.xml
  qemunet compare out/before out             what changed since the run that was reported there before
  qemunet run --failed out                   again what did not hold in it
  qemunet run --known known.toml             red for news only: the file has what is known, like this
        [[known]]
        claim = "user/hostfwd-*"             one claim, or several by a glob
        verdict = "broken"                   or "deviates", "inconclusive", "unavailable"
        reason = "BUG-1234"
        until = 2026-12-31                   its last day; whatever no longer applies is said
  qemunet run user/dns-resolves --pause-at-failure
                                             leaves its guest alive, and takes commands for it
  qemunet run user/address --nic e1000       one claim, on the NIC that the documentation uses
  qemunet run --qemu ~/qemu/build/qemu-system-x86_64
                                             a QEMU of your own
  qemunet run --target host --bridge br0     this host's own network instead of the lab

exit codes: 0 nothing is broken; 1 something is; 2 wrong usage; 3 nothing is known to be broken, but
something is inconclusive, nothing could be tried, or the report could not be written. What --known
names counts neither as broken nor as inconclusive.

Progress is on standard error, the card on standard output: `qemunet run > card.txt`.
Ctrl-C ends the run and prints what is known so far; a second one ends it at once.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "run",
        help="try the claims and print a report card",
        description="Boot disposable guests, try what the documentation promises about their networking,\n"
        "and print a report card, claim by claim.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "claims",
        metavar="CLAIM-GLOB",
        nargs="*",
        default=[],
        help="only claims whose id matches (default: all)",
    )
    for option in OPTIONS:
        parser.add_argument(OF_QEMUNET.flag(option.name), **option.for_run)
    parser.add_argument(
        "-n",
        dest="workers",
        metavar="N",
        default=None,
        help="test in N processes, each in a lab of its own (default: a few more than CPUs, as far as memory goes; "
        "fewer for few claims)",
    )
    parser.add_argument(
        "--pause-at-failure",
        action="store_true",
        help="stop where a claim is broken or inconclusive, with its guests alive, and hand them over (one process)",
    )
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument(
        "-q", "--quiet", action="store_true", help="no progress; of the card what failed, and the counts"
    )
    how_much.add_argument(
        "-v", "--verbose", action="store_true", help="on the card, what was expected and seen of every claim, in full"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="with --target host: say which MAC addresses and packets would appear, and do nothing",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked, then run. Raises UsageError, Unavailable, HarnessError."""
    globs_taken_for_models = [value for value in arguments.nic if "/" in value or "*" in value]
    arguments.nic = [value for value in arguments.nic if value not in globs_taken_for_models]
    arguments.claims = [*arguments.claims, *globs_taken_for_models]

    from qemunet_tests.report.failed_claims import narrowed
    from qemunet_tests.settings import from_options

    given = from_options(OF_QEMUNET.given(arguments), OF_QEMUNET.flag)
    settings, remarks = narrowed(given, OF_QEMUNET.flag)
    workers = _workers(arguments.workers, settings, arguments.pause_at_failure)
    if arguments.pause_at_failure and arguments.quiet:
        raise UsageError("-q: --pause-at-failure has something to say; leave one of them out")
    if arguments.dry_run:
        if settings.target == "lab":
            raise UsageError("--dry-run: nothing leaves the lab; it is for --target host")
        from qemunet_tests.commands.announced_packets import announce

        print("\n".join(announce(settings)))
        return 0
    for sentence in remarks:
        print(sentence)
    if settings.repeated == ():
        return 0

    from qemunet_tests.commands.build_progress import prepare_run
    from qemunet_tests.commands.pause import Pause, own_input
    from qemunet_tests.commands.pytest_session import Telling, conduct
    from qemunet_tests.commands.terminal import own_screens
    from qemunet_tests.report.report_folder import begin

    if settings.report:
        begin(settings.report, settings.target, OF_QEMUNET.flag("report"))
    with own_screens(arguments.quiet) as screens, own_input() as typed:
        pause = Pause(typed, screens.progress) if arguments.pause_at_failure else None
        telling = Telling(_detail(arguments), repeated_options(arguments), pause)
        image_seconds = prepare_run(screens.progress, settings)
        _leave_what_cannot_be_entered()
        with _undisturbed_pytest():
            return conduct(screens, pytest_arguments(workers), workers, settings, image_seconds, telling)


def _detail(arguments: argparse.Namespace) -> "Detail":
    if arguments.quiet:
        return "brief"
    return "full" if arguments.verbose else "usual"


def repeated_options(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The options that make another run the same as this one, as they were typed."""
    words: list[str] = []
    for option in OPTIONS:
        value = getattr(arguments, OF_QEMUNET.dest(option.name))
        if value and option.name not in ABOUT_THE_REPORT:
            words.append(OF_QEMUNET.flag(option.name))
            words += [] if option.metavar is None else value if option.several else [value]
    return tuple(words)


def _workers(text: str | None, settings: "Settings", pauses: bool) -> int:
    if pauses and text not in (None, "0", "1"):
        raise UsageError(f"-n {text}: with --pause-at-failure there is one process, which you talk to")
    if pauses:
        return 1
    if text is None:
        return workers_of_this_machine(settings.wanted()) if settings.target == "lab" else 1
    if settings.target == "host" and text not in ("0", "1"):
        raise UsageError(f"-n {text}: guests of one host share its ports and one MAC address, so they take turns")
    if not text.isdecimal():
        raise UsageError(f"-n: {text!r} is not a number of processes")
    return max(int(text), 1)


def pytest_arguments(workers: int) -> list[str]:
    """The words for pytest. The settings are not among them: pytest's session is handed them as they are."""
    conformance = str(_conformance_folder())
    arguments = ["--pyargs", CONFORMANCE, "--capture=fd", "-q", "--strict-markers"]
    # Whatever project the working directory belongs to, its configuration is not for these tests.
    arguments += [f"--config-file={os.devnull}", f"--rootdir={conformance}", f"--confcutdir={conformance}"]
    # Nor is its conftest.py: it would be executed, as whoever runs this. These tests have none.
    arguments += ["--noconftest"]
    arguments += ["-p", "no:cacheprovider", "-p", "qemunet_tests.plugin", "-p", "xdist.plugin"]
    if workers > 1:
        arguments += ["-n", str(workers), "--max-worker-restart", str(workers)]
        # One by one: what is handed out early waits behind the long ones.
        arguments += ["--dist", "load", "--maxschedchunk", "1"]
    return arguments


def _conformance_folder() -> os.PathLike[str]:
    from qemunet_tests.claims.citations import TESTS

    return TESTS


def _leave_what_cannot_be_entered() -> None:
    """pytest enters the current folder once more; in one that was removed, or is closed to us, no name means a file."""
    try:
        os.chdir(os.getcwd())  # noqa: PTH109  (Path knows no other way, and says the same)
    except OSError:
        os.chdir("/")


@contextlib.contextmanager
def _undisturbed_pytest() -> Iterator[None]:
    """Other plugins that happen to be installed stay out, here and in the workers."""
    changes: Mapping[str, str | None] = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": None,
        "PYTEST_PLUGINS": None,
        "PYTEST_XDIST_WORKER": None,
    }
    before = {name: os.environ.get(name) for name in changes}
    _set_environment(changes)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
