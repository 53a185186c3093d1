"""docs/qemunet.1: `python -m meta_tests.references.manual_page [FILE]` writes the help as a manual page."""

from collections.abc import Iterator
from pathlib import Path

from meta_tests.references.described_command import DescribedCommand, DescribedOption, commands
from meta_tests.written_page import write
from qemunet_tests.__main__ import DESCRIPTION
from qemunet_tests.commands.fitted_help import filled

PAGE = Path("docs") / "qemunet.1"
#: Of lines that are shown as they stand: a terminal of 80 columns less the margin.
WIDTH = 72
HEAD = """\
.\\" Made from the help by `python -m meta_tests.references.manual_page docs/qemunet.1`; a test compares.
.TH QEMUNET 1 "" "qemunet" "User Commands"
.SH NAME
qemunet \\- a guest\\-network connectivity test suite for QEMU
.SH SYNOPSIS
.B qemunet
.I COMMAND
[OPTION...]
.SH DESCRIPTION
"""
FOOT = """\
.SH FILES
.TP
.I $QEMUNET_CACHE
Images, templates and what was learned about KVM; without it /var/cache/qemunet for root, else
\\&~/.cache/qemunet.
.SH SEE ALSO
.BR qemu\\-system\\-x86_64 (1),
.BR pytest (1)
"""


def page() -> str:
    """The manual page."""
    whole, *others = commands()
    lines = [*_paragraph(DESCRIPTION), *_described(whole)]
    for each in others:
        lines += [f'.SH "{_escaped(each.name.upper())}"', *_described(each)]
    return HEAD + "\n".join(lines) + "\n" + FOOT


def _described(command: DescribedCommand) -> Iterator[str]:
    if " " in command.name:
        yield f".B {_escaped(command.name)}"
        yield _escaped(command.synopsis)
        yield ".PP"
        yield from _paragraph(command.description)
    for each in (*command.arguments, *command.options):
        yield from _entry(each)
    if command.epilog:
        yield ".PP"
        yield ".nf"
        yield from map(_line, filled(command.epilog, WIDTH))
        yield ".fi"


def _entry(option: DescribedOption) -> Iterator[str]:
    yield ".TP"
    yield f".B {_escaped(option.typed)}"
    yield from _paragraph(option.says)


def _paragraph(text: str) -> Iterator[str]:
    if text:
        yield _line(" ".join(text.split()))


def _escaped(text: str) -> str:
    """As roff reads it: a dash that is typed is not a hyphen."""
    return (
        text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq").replace("`", "\\(ga")
    )


def _line(text: str) -> str:
    """A line of text that begins with no request."""
    escaped = _escaped(text)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    write("meta_tests.references.manual_page", page, PAGE)
