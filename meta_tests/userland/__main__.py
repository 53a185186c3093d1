"""`python -m meta_tests.userland SUITE -- COMMAND…`: see --help."""

import argparse
import os
import re
import sys

from meta_tests.userland.machine import WORKING_FOLDER, machine_folder, run_in
from meta_tests.userland.package_settings import mirror
from meta_tests.userland.suites import SUITES
from meta_tests.userland.unpacking import held
from qemunet_tests.errors import HarnessError, UsageError

HELP = f"""\
Run COMMAND in another Debian, with the QEMU, the libslirp and the Python that it has, on this machine's kernel.

The suite is unpacked once with mmdebstrap (some minutes, 300 MB) and used again for a week. COMMAND gets a machine of
its own, in mount, PID, IPC and UTS namespaces: the suite as it was unpacked, with a few nodes in /dev, a /sys that
cannot be written, this machine's network and its settings for apt and pip, and a copy of this checkout, without .venv,
in {WORKING_FOLDER}, where COMMAND starts. Packages that are installed there start no service. When COMMAND ends, the
machine is gone with all that it did; --keep NAME keeps it for the next command.
"""
EXAMPLES = f"""\
suites: {", ".join(SUITES)}

  python -m meta_tests.userland sid -- ./bootstrap qemunet run
  python -m meta_tests.userland --keep mine trixie-backports -- bash

The exit status is COMMAND's; 2 for a mistake in this command line, and 3 where the suite cannot be had.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> "None":  # type: ignore[override]
        raise UsageError(message)


def _parsed(words: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m meta_tests.userland",
        usage="%(prog)s [--keep NAME] [--mirror URL] SUITE -- COMMAND…",
        description=HELP,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keep", metavar="NAME", help="keep the machine, and go on with it if there is one")
    parser.add_argument("--mirror", metavar="URL", help="where Debian's packages are; otherwise this machine's mirror")
    parser.add_argument("suite", metavar="SUITE", help="which Debian: see below")
    ours, ends, command = words, False, []
    if "--" in words:
        at = words.index("--")
        ours, ends, command = words[:at], True, words[at + 1 :]
    parsed = parser.parse_args(ours)
    if parsed.suite not in SUITES:
        raise UsageError(f"there is no suite {parsed.suite}: it is one of {', '.join(SUITES)}")
    if not ends or not command:
        raise UsageError("name the command after --, for instance -- ./bootstrap qemunet run")
    if parsed.keep is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", parsed.keep):
        raise UsageError("--keep takes a name of small letters, digits, dots and hyphens")
    parsed.command = command
    return parsed


def main(words: list[str]) -> int:
    """Do what the command line says, and answer with the exit status."""
    os.umask(0o022)
    try:
        asked = _parsed(words)
        if os.geteuid() != 0:
            raise UsageError("needs root: only root can unpack a Debian and make it the root of a machine")
        debian = asked.mirror or mirror()
        with held(asked.suite, debian) as suite_folder, machine_folder(suite_folder, asked.keep) as folder:
            return run_in(folder, asked.suite, debian, asked.command)
    except UsageError as mistake:
        sys.stderr.write(f"userland: {mistake}\n")
        return 2
    except HarnessError as failed:
        sys.stderr.write(f"userland: {failed}\n")
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
