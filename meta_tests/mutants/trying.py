"""Trying a mutant: it is built, and `qemunet run` tries the claims concerned with the options that maintainers have."""

import contextlib
import fnmatch
import json
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from meta_tests.mutants import building
from meta_tests.mutants.building import HelperTree, LibslirpTree
from meta_tests.mutants.debian_sources import NoSource, source_of
from meta_tests.mutants.edits import Edit, NoPlace
from qemunet_tests.claims import load
from qemunet_tests.qemu import qemu_facts

#: The name under which it is written down what became of the build without an edit.
UNMODIFIED = "unmodified"
_OPTIONS = {"libslirp": "--libslirp", "helper": "--bridge-helper"}
_CONCERNED = tomllib.loads(Path(__file__).with_name("concerned.toml").read_text())
#: A mutant that breaks everything has nothing more to tell. The run is then ended as by Ctrl-C, and its verdicts count.
_MOST_SECONDS = 240.0
_ENDING_SECONDS = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant: `broken` claims with what the card says, or why it could not be tried."""

    program: str
    file: str
    name: str
    tried: tuple[str, ...] = ()
    broken: dict[str, dict[str, Any]] = field(default_factory=dict)
    inconclusive: tuple[str, ...] = ()
    untried: str = ""
    seconds: float = 0.0

    def as_json(self) -> str:
        """For a file of records."""
        return json.dumps(asdict(self), indent=1)


class Trees:
    """Both programs' sources, of the versions that are installed. Raises NoSource."""

    def __init__(self) -> None:
        qemu = qemu_facts.find()
        if qemu.library is None or qemu.helper_path is None:
            raise NoSource("this QEMU has no libslirp, or no bridge helper")
        self.of: dict[str, LibslirpTree | HelperTree] = {
            "libslirp": building.libslirp(*source_of(qemu.library)),
            "helper": building.helper(*source_of(Path(qemu.helper_path))),
        }


def record_of(records: Path, program: str, file: str, name: str) -> Path:
    """The file that says what became of a mutant."""
    return records / f"{program}.{file}.{name}.json"


def claims_concerned(program: str, file: str) -> list[str]:
    """Ids of the claims that are tried when this file was edited."""
    table = _CONCERNED[program]
    globs = next(globs for pattern, globs in table.items() if fnmatch.fnmatchcase(file, pattern))
    tried = [claim.id for claim in load().values() if not claim.untested]
    return [claim for claim in tried if any(fnmatch.fnmatchcase(claim, glob) for glob in globs)]


def tried(edit: Edit, trees: Trees, workers: int | None = None) -> Outcome:
    """Build the mutant and try it."""
    tree = trees.of[edit.program]
    about = (edit.program, edit.file, edit.name)
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="qemunet-mutant-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        try:
            build = tree.built_with(edit.file, edit.apply(tree.file(edit.file).read_text()), folder)
        except (NoPlace, NoSource) as why:
            return Outcome(*about, untried=str(why))
        began = time.monotonic()
        others = [claim for claim in claims_concerned(edit.program, edit.file) if claim not in edit.killed_by]
        for number, claims in enumerate(filter(None, (list(edit.killed_by), others))):
            verdicts = run(edit.program, build, claims, folder / f"report-{number}", workers)
            found = outcome(about, claims, verdicts, time.monotonic() - began)
            if found.broken:
                break
        return found


def unmodified(program: str, trees: Trees, workers: int | None = None) -> Outcome:
    """The same with nothing edited, for all claims that any file concerns."""
    claims = [
        claim for claim in load() if any(claim in claims_concerned(program, file) for file in _CONCERNED[program])
    ]
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="qemunet-mutant-") as made:
        began = time.monotonic()
        verdicts = run(program, trees.of[program].unmodified, claims, Path(made), workers)
        return outcome((program, "", UNMODIFIED), claims, verdicts, time.monotonic() - began)


def outcome(about: tuple[str, str, str], claims: Sequence[str], verdicts: list[Any], seconds: float) -> Outcome:
    """Of a run's verdicts what counts."""
    told = ("expected", "observed", "reason")
    broken = {each["claim"]: {name: each[name] for name in told} for each in verdicts if each["verdict"] == "broken"}
    unsure = tuple(each["claim"] for each in verdicts if each["verdict"] == "inconclusive")
    known = tuple(each["claim"] for each in verdicts)
    left_out = set(claims) - set(known)
    untried = f"not all was tried in {_MOST_SECONDS:.0f} s" if left_out and not broken else ""
    return Outcome(*about, known, broken, unsure, untried, round(seconds, 1))


def run(program: str, build: Path, claims: Sequence[str], report: Path, workers: int | None) -> list[Any]:
    """The verdicts of `qemunet run` with this build, in so many processes, or as many as it decides."""
    words = [sys.executable, "-m", "qemunet_tests", "run", *claims, _OPTIONS[program], str(build)]
    words += ["--report", str(report), *([] if workers is None else ["-n", str(workers)])]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        process.wait(_MOST_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    results = report / "results.json"
    said = json.loads(results.read_text()) if results.exists() else {"verdicts": []}
    own = said.get("qemu", {}).get({"libslirp": "own_libslirp", "helper": "own_helper"}[program]) or {}
    # A report that names another build would be about another libslirp.
    return said["verdicts"] if own.get("path") == str(build) else []
