"""`qemunet image`: build the guests' images, find them, carry them to another machine, throw them away."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.harness.errors import UsageError

if TYPE_CHECKING:
    from qemunet_tests.images import Entry

DEFAULT_NAME = "tiny"
#: As many hex digits as tell one image from another at a glance.
DIGEST_DIGITS = 12

EXAMPLES = """\
examples:
  qemunet image build                     make the image of today's packages, unless it is there already
  qemunet image list                      what is there, newest first
  ls $(qemunet image path)                the kernel, the initramfs and the disk that guests boot from
  qemunet image export tiny tiny.image    on a machine that can build one, and then
  qemunet image import tiny.image         on one that cannot
  qemunet image remove 3921e8478a37       one image, by the beginning of its digest
  qemunet image remove tiny               all images of that name

Images lie in the cache: $QEMUNET_CACHE if set, /var/cache/qemunet for root, else ~/.cache/qemunet. Those of
root serve every user. A run builds an image only where there is none that fits.
"""

ACTIONS = {
    "build": "make an image of today's packages",
    "list": "every image that is there",
    "path": "the folder of the image that a run would take",
    "export": "write an image into one file",
    "import": "take in an image that was exported elsewhere",
    "remove": "throw images away",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "image",
        help="build, list, carry and remove the guests' images",
        description="Guest images: a kernel, an initramfs and a bootable disk, made of the distribution's packages "
        "without root.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    of_action = {
        name: actions.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        for name, does in ACTIONS.items()
    }
    for name in ("build", "path", "export"):
        of_action[name].add_argument(
            "name", metavar="NAME", nargs="?", default=DEFAULT_NAME, help="which guest (default: tiny)"
        )
    for name in ("export", "import"):
        of_action[name].add_argument("file", metavar="FILE", type=Path)
    of_action["remove"].add_argument(
        "name_or_digest", metavar="NAME|DIGEST", help="a name, or the beginning of a digest"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Raises UsageError for what does not exist, Unavailable and HarnessError where building is not possible."""
    perform = {
        "build": _build,
        "list": _show_list,
        "path": _show_path,
        "export": _export_image,
        "import": _import_image,
        "remove": _remove,
    }
    perform[arguments.action](arguments)
    return 0


def _build(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from qemunet_tests import images
    from qemunet_tests.commands.preparing import shown_steps

    before = {entry.folder for entry in images.listing()}
    with shown_steps(Console(stderr=True)) as steps:
        image = images.build(arguments.name, progress=steps)
    became = "was built of these packages before" if image.folder in before else "is built"
    print(f"{image.name} {image.digest[:DIGEST_DIGITS]} {became}: {image.folder}")


def _show_list(_arguments: argparse.Namespace) -> None:
    from qemunet_tests import images

    entries = images.listing()
    if not entries:
        print("no image is built yet; `qemunet image build` makes one", file=sys.stderr)
        return
    print("\n".join(table(entries)))


def _show_path(arguments: argparse.Namespace) -> None:
    from qemunet_tests import images

    image = images.available(arguments.name)
    if image is None:
        raise UsageError(
            f"there is no built guest image {arguments.name!r} of this version: run `qemunet image build` first"
        )
    print(image.folder)


def _export_image(arguments: argparse.Namespace) -> None:
    from qemunet_tests import images

    file = images.export(arguments.name, arguments.file)
    print(f"{arguments.name} is in {file}; take it in elsewhere with: qemunet image import {file.name}")


def _import_image(arguments: argparse.Namespace) -> None:
    from qemunet_tests import images

    image = images.import_(arguments.file)
    print(f"{image.name} {image.digest[:DIGEST_DIGITS]} is imported: {image.folder}")


def _remove(arguments: argparse.Namespace) -> None:
    from qemunet_tests import images

    for entry in images.remove(arguments.name_or_digest):
        print(f"{entry.name} {entry.digest[:DIGEST_DIGITS]} is removed: {entry.folder}")


def table(entries: "Sequence[Entry]") -> list[str]:
    """One line an image under a line of headings, every column as wide as it has to be."""
    rows = [("NAME", "DIGEST", "SIZE", "AGE", "MADE ON", "CURRENT", "FOLDER")]
    rows += [
        (
            entry.name,
            entry.digest[:DIGEST_DIGITS],
            f"{entry.size_bytes / 1e6:.0f} MB",
            age(entry.age_seconds),
            entry.distribution,
            "yes" if entry.current else "no",
            str(entry.folder),
        )
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def age(seconds: float) -> str:
    """In the largest unit of which there are at least two: `90 s`, `5 min`, `3 h`, `12 d`."""
    for unit, unit_seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit_seconds:
            return f"{seconds // unit_seconds:.0f} {unit}"
    return f"{seconds:.0f} s"
