"""Every command in the documents can be typed: the program's own parser takes it, and the quick ones are run."""

import configparser
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.qemunet_command import qemunet
from meta_tests.samples import recordings
from meta_tests.samples.results import results_of, verdict_of
from qemunet_tests.__main__ import exit_code, whole_parser
from qemunet_tests.claims import unmatched
from qemunet_tests.errors import UsageError
from qemunet_tests.report.session_results import write_results
from qemunet_tests.report.verdict_of_test import Verdict

CHECKOUT = Path(__file__).parents[2]
DOCUMENTS = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
#: What ends a command in a shell.
_OPERATORS = set("|&;<>()")
#: Claims and files that a reader is to fill in.
_PLACEHOLDER = re.compile(r"[A-Z][A-Z-]+|[A-Z]")
#: The claim that CONTRIBUTING.md makes up.
_MADE_UP = ("user/loopback-service",)
QUICK = re.compile(r"(claims\b.*|completion \w+|image list|([a-z]+ )?--help)")
#: Those that read what runs and recordings left, and one that looks at the host.
READING = re.compile(r"(report|modes|compare|run --failed|doctor) .*")
#: What they call it.
RUNS = ("out", "DIR", "old", "debian12", "A", "hosts/one")
LATER_RUNS = ("out/before", "DIR/before", "new", "debian13", "B", "hosts/two")
RECORDINGS = ("before.jsonl", "after.jsonl", "a.jsonl", "b.jsonl")


def blocks(document: Path) -> Iterator[str]:
    """Lines of code blocks, continued ones as one, and what stands between backticks in the text."""
    fenced, text = False, []
    lines = document.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    for line in lines:
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            # What a command does stands behind it, two spaces away.
            yield re.split(r" {2,}", line.strip())[0]
        else:
            text.append(line)
    yield from re.findall(r"`([^`]+)`", " ".join(text))


def commands_in(code: str) -> Iterator[list[str]]:
    """The words behind `qemunet`, of each such command in a line for a shell."""
    lexer = shlex.shlex(code, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = [*lexer, ";"]
    except ValueError:  # no line of a shell, or a part of one
        return
    command: list[str] = []
    for word in words:
        if set(word) <= _OPERATORS:
            while command and (command[0] in ("./bootstrap", "sudo", "exec", "$") or "=" in command[0]):
                command.pop(0)
            # A number before `>` names a stream.
            command = command[:-1] if word.startswith(">") and command and command[-1].isdigit() else command
            if command[:1] == ["qemunet"]:
                yield command[1:]
            command = []
        else:
            command.append(word)


def typed() -> list[tuple[str, str]]:
    """Every command with the document it stands in, once. What is only a shape, with brackets or dots, is none."""
    found = [
        (document.name, shlex.join(command))
        for document in DOCUMENTS
        for code in blocks(document)
        if "qemunet" in code and not re.search(r"…|\.\.\.|\[", code)
        for command in commands_in(code)
    ]
    return [*dict.fromkeys(found)]


def test_there_are_commands_in_the_documents() -> None:
    assert len(typed()) > 60
    assert {"README.md", "cookbook.md", "host.md", "ci.md"} <= {document for document, _ in typed()}


@pytest.mark.parametrize(("document", "command"), typed())
def test_the_parser_takes_it(document: str, command: str) -> None:
    words = shlex.split(command)
    # A command's name alone is named, not typed.
    if len(words) < 2 or _PLACEHOLDER.fullmatch(words[0]):
        return
    try:
        if not {"--help", "-h", "--version"} & set(words):
            arguments, unknown = whole_parser().parse_known_args(words)
            assert unknown == [], f"{document}: qemunet {command}"
            named = getattr(arguments, "claims", getattr(arguments, "globs", None)) or ()
            globs = [each for each in named if each not in _MADE_UP and not _PLACEHOLDER.fullmatch(each)]
            assert unmatched(globs) == [], f"{document}: qemunet {command}"
    except UsageError as refused:
        pytest.fail(f"{document}: qemunet {command}: {refused}", pytrace=False)


@pytest.mark.parametrize("command", sorted({command for _, command in typed() if QUICK.fullmatch(command)}))
def test_a_quick_one_is_run(command: str, tmp_path: Path) -> None:
    done = qemunet(*shlex.split(command), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), command


def expanded(word: str) -> list[str]:
    """As a shell does it, in the working directory."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.fixture
def left_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with what the documents' commands have left before."""
    found = results_of(verdict_of(Verdict.HOLDS))
    for name in (*RUNS, *LATER_RUNS):
        (tmp_path / name).mkdir(parents=True)
        write_results(found, tmp_path / name)
    for name in RECORDINGS:
        recordings.write(tmp_path / name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("left_by_others")
@pytest.mark.parametrize("command", sorted({command for _, command in typed() if READING.fullmatch(command)}))
def test_one_that_reads_what_others_left_is_run(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    words = [each for word in shlex.split(command) for each in expanded(word)]
    if "--baseline" in words:
        pytest.skip("of two QEMUs there is no sample")
    # Whether this host is fit is another question.
    assert exit_code(words) in ((0, 1, 3) if words[0] == "doctor" else (0,)), capfd.readouterr().err
    assert capfd.readouterr().err == ""


def test_modules_that_are_named_are_there() -> None:
    for document in DOCUMENTS:
        for module in re.findall(r"python -m (meta_tests[\w.]*\w)", document.read_text(encoding="utf-8")):
            assert importlib.util.find_spec(module), f"{document.name}: {module}"


def test_a_wheel_is_named_as_a_file() -> None:
    """Debian 12's pipx takes `qemunet-0.1.0-py3-none-any.whl` alone for the name of a package, and looks for that."""
    named = [
        (document.name, wheel)
        for document in DOCUMENTS
        for wheel in re.findall(r"pipx install (\S+)", document.read_text(encoding="utf-8"))
    ]
    assert named
    assert [each for each in named if "/" not in each[1]] == []


@pytest.mark.parametrize("file", ["README.md", "bootstrap"])
def test_what_puts_the_command_on_path_works_in_an_empty_home(file: str, tmp_path: Path) -> None:
    (line,) = re.findall(
        r"^(?:    |#     )(?! )(.*ln -s .*)$", (CHECKOUT / file).read_text(encoding="utf-8"), re.MULTILINE
    )
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-c", line], cwd=CHECKOUT, env=environment, check=True)
    assert (tmp_path / ".local/bin/qemunet").readlink() == CHECKOUT / ".venv/bin/qemunet"


def test_tox_knows_what_is_named() -> None:
    tox = configparser.ConfigParser()
    tox.read(CHECKOUT / "tox.ini")
    names = {name for section in tox.sections() for name in re.findall(r"[\w-]+", section.partition("testenv:")[2])}
    for document in DOCUMENTS:
        for name in re.findall(r"tox -e ([a-z][\w-]*)", document.read_text(encoding="utf-8")):
            assert name in names, f"{document.name}: tox -e {name}"


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for place in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
            file, _, _ = place.partition("#")
            if file and "://" not in file:
                assert (document.parent / file).exists(), f"{document.name}: {place}"
