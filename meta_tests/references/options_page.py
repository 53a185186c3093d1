"""docs/options.md: `python -m meta_tests.references.options_page [FILE]` writes every command with its options."""

from collections.abc import Iterator
from pathlib import Path

from meta_tests.references.described_command import DescribedCommand, DescribedOption, commands
from meta_tests.written_page import write

PAGE = Path("docs") / "options.md"
HEAD = """\
# Commands and options

Made from what the commands say of themselves, by `python -m meta_tests.references.options_page docs/options.md`; a test
compares. The same as a manual page is `docs/qemunet.1`: `man -l docs/qemunet.1`. As options of pytest those of `qemunet
run` that say what is tried begin with `--qemunet-`.
"""


def page() -> str:
    """The document."""
    return (
        HEAD + "".join(f"\n{line}" if line else "\n" for each in commands() for line in _section(each)).rstrip() + "\n"
    )


def _section(command: DescribedCommand) -> Iterator[str]:
    yield ""
    yield f"## {command.name}"
    yield ""
    yield " ".join(command.description.split())
    yield ""
    yield f"    {command.name} {command.synopsis}".rstrip()
    yield from _table(command.arguments, "argument")
    yield from _table(command.options, "option")
    if command.epilog:
        yield ""
        yield "```text"
        yield from command.epilog.rstrip().splitlines()
        yield "```"
    yield ""


def _table(rows: tuple[DescribedOption, ...], heading: str) -> Iterator[str]:
    if rows:
        yield ""
        yield f"| {heading} | |"
        yield "|---|---|"
    for each in rows:
        says, typed = (text.replace("|", "\\|") for text in (each.says, each.typed))
        yield f"| `{typed}` | {says} |"


if __name__ == "__main__":
    write("meta_tests.references.options_page", page, PAGE)
