"""`qemunet image`: build the guests' images, find them, carry them to another machine, throw them away."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests import images
from qemunet_tests.commands.fitted_lines import fitted, terminal_columns
from qemunet_tests.errors import UsageError

if TYPE_CHECKING:
    from qemunet_tests.guest.templates import TemplateEntry
    from qemunet_tests.images import StoredImage

#: As many hex digits as tell one image from another at a glance.
DIGEST_DIGITS = 12

EXAMPLES = f"""\
examples:
  qemunet image build                     make the image of today's packages, unless it is there already
  qemunet image list                      what is there, newest first
  ls $(qemunet image path)                the kernel, the initramfs and the disk that guests boot from
  qemunet image export {images.DEFAULT} {images.DEFAULT}.image    on a machine that can build one, and then
  qemunet image import {images.DEFAULT}.image         on one that cannot
  qemunet image remove 3921e8478a37       one image, by the beginning of its digest
  qemunet image remove {images.DEFAULT}               all images of that name
  qemunet image remove 1bdf7931           one template, by the beginning of its name
  qemunet image remove --templates        all templates; the next run makes those anew that it needs

Images lie in the cache: $QEMUNET_CACHE if set, /var/cache/qemunet for root, else ~/.cache/qemunet. Those of
root serve every user. A run builds an image only where there is none that fits. Templates lie beside them: guests
that have booted, from which a run thaws its own.
"""

ACTIONS = {
    "build": "make an image of today's packages",
    "list": "every image and every template that is there",
    "path": "the folder of the image that a run would take",
    "export": "write an image into one file",
    "import": "take in an image that was exported elsewhere",
    "remove": "throw images or templates away",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "image",
        help="build, list, carry and remove the guests' images",
        description="Guest images: a kernel, an initramfs and a bootable disk, made of the distribution's packages "
        "without root.",
        epilog=EXAMPLES,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    of_action = {
        name: actions.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        for name, does in ACTIONS.items()
    }
    for name in ("build", "path", "export"):
        of_action[name].add_argument(
            "name", metavar="NAME", nargs="?", default=images.DEFAULT, help="which guest (default: %(default)s)"
        )
    for name in ("export", "import"):
        of_action[name].add_argument("file", metavar="FILE", type=Path)
    of_action["import"].add_argument(
        "--name", metavar="NAME", help="what to call it here (default: as it was exported)"
    )
    of_action["remove"].add_argument(
        "wanted",
        metavar="NAME|DIGEST|TEMPLATE",
        nargs="?",
        help="the name of images, the beginning of an image's digest, or of a template's name",
    )
    of_action["remove"].add_argument("--templates", action="store_true", help="all templates")


def execute(arguments: argparse.Namespace) -> int:
    """Raises UsageError for what does not exist, Unavailable and HarnessError where building is not possible."""
    from qemunet_tests import cache

    cache.let_others_read()
    cache.claim(arguments.action in ("build", "import"), lambda sentence: print(sentence, file=sys.stderr))
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

    from qemunet_tests.commands.build_progress import shown_steps

    before = {entry.folder for entry in images.listing()}
    with shown_steps(Console(stderr=True)) as steps:
        image = images.build(arguments.name, progress=steps)
    became = "was built of these packages before" if image.folder in before else "is built"
    print(f"{image.name} {image.digest[:DIGEST_DIGITS]} {became}: {image.folder}")


def _show_list(_arguments: argparse.Namespace) -> None:
    from qemunet_tests.guest import templates

    built, saved = images.listing(), templates.listing()
    columns = terminal_columns()
    tables = [
        *([table(built, columns)] if built else []),
        *([table_of_templates(saved, columns)] if saved else []),
    ]
    print("\n\n".join("\n".join(rows) for rows in tables), end="\n" if tables else "")
    if not built:
        print("no image is built yet; `qemunet image build` makes one", file=sys.stderr)


def _show_path(arguments: argparse.Namespace) -> None:
    image = images.available(arguments.name)
    if image is None:
        raise UsageError(
            f"there is no built guest image {arguments.name!r} of this version: run `qemunet image build` first"
        )
    print(image.folder)


def _export_image(arguments: argparse.Namespace) -> None:
    file = images.export(arguments.name, arguments.file)
    sources = ", ".join(images.sources(arguments.name))
    for said in (
        f"{arguments.name} is in {file}; take it in elsewhere with: qemunet image import {file.name}",
        f"whoever gets it may have the source of its programs: {sources}",
    ):
        print("\n".join(fitted(said, terminal_columns())))


def _import_image(arguments: argparse.Namespace) -> None:
    image = images.import_(arguments.file, arguments.name)
    print(f"{image.name} {image.digest[:DIGEST_DIGITS]} is imported: {image.folder}")


def _remove(arguments: argparse.Namespace) -> None:
    from qemunet_tests.guest import templates

    wanted = arguments.wanted or ""
    if bool(wanted) == arguments.templates:
        raise UsageError("the following arguments are required: NAME|DIGEST|TEMPLATE or --templates, not both")
    if not wanted or not _is_of_image(wanted, images.listing()):
        removed = templates.remove(wanted)
        for saved in removed:
            print(f"template {saved.name} is removed: {saved.folder}")
        if removed or not wanted:
            return
    for entry in images.remove(wanted):
        print(f"{entry.name} {entry.digest[:DIGEST_DIGITS]} is removed: {entry.folder}")


def _is_of_image(wanted: str, entries: "Sequence[StoredImage]") -> bool:
    return any(entry.name == wanted or entry.digest.startswith(wanted) for entry in entries)


def table(entries: "Sequence[StoredImage]", columns: int | None = None) -> list[str]:
    """One line an image under a line of headings."""
    headings = ("NAME", "DIGEST", "SIZE", "AGE", "MADE ON", "CURRENT", "FOLDER")
    return _aligned(
        headings,
        [
            (
                entry.name,
                entry.digest[:DIGEST_DIGITS],
                megabytes(entry.size_bytes),
                age(entry.age_seconds),
                entry.distribution,
                "yes" if entry.current else "no",
                str(entry.folder),
            )
            for entry in entries
        ],
        columns,
    )


def table_of_templates(entries: "Sequence[TemplateEntry]", columns: int | None = None) -> list[str]:
    """One line a template under a line of headings."""
    return _aligned(
        ("TEMPLATE", "NIC", "QEMU", "ACCEL", "SIZE", "AGE", "FOLDER"),
        [
            (
                entry.name,
                (" ".join(entry.models) or "none") if entry.about else "(damaged)",
                entry.about.get("qemu", ""),
                entry.about.get("accel", ""),
                megabytes(entry.size_bytes),
                age(entry.age_seconds),
                str(entry.folder),
            )
            for entry in entries
        ],
        columns,
    )


def _aligned(headings: tuple[str, ...], rows: list[tuple[str, ...]], columns: int | None) -> list[str]:
    """Every column as wide as it has to be; where the terminal is too narrow, the last one on a line of its own.

    Of the others as many as there is room for stand in the first line, and so on.
    """
    table = (headings, *rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    if columns is None or max(map(len, lines)) <= columns:
        return lines
    parts = [*_side_by_side(widths[:-1], columns), slice(len(widths) - 1, None)]
    return [line for row in table for line in _in_parts(row, widths, parts, columns)]


def _side_by_side(widths: list[int], columns: int) -> list[slice]:
    """Which columns of the table have room beside each other, two spaces between them and before all but the first."""
    parts: list[slice] = []
    begin = 0
    for end in range(1, len(widths) + 1):
        margin = 2 if parts else 0
        if end - begin > 1 and margin + sum(widths[begin:end]) + 2 * (end - begin - 1) > columns:
            parts.append(slice(begin, end - 1))
            begin = end - 1
    return [*parts, slice(begin, len(widths))]


def _in_parts(row: tuple[str, ...], widths: list[int], parts: list[slice], columns: int) -> Iterator[str]:
    for part in parts:
        line = "  ".join(map(str.ljust, row[part], widths[part])).rstrip()
        yield from fitted(f"  {line}" if part.start else line, columns, indent=4)


def megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"


def age(seconds: float) -> str:
    """In the largest unit of which there are at least two: `90 s`, `5 min`, `3 h`, `12 d`."""
    for unit, unit_seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit_seconds:
            return f"{seconds // unit_seconds:.0f} {unit}"
    return f"{seconds:.0f} s"
