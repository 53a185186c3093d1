"""The cookbook's recipes for `git bisect run`, as they stand there: which commit they name, and what says nothing."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.installation.test_documents import CHECKOUT
from meta_tests.mutants.building import LibslirpTree
from meta_tests.mutants.trying import Trees
from meta_tests.patience import limit

COOKBOOK = (CHECKOUT / "docs" / "cookbook.md").read_text()
RECIPES = [
    "\n".join(line[4:] for line in found.splitlines())
    for found in re.findall(r"^    git bisect start BAD GOOD\n(?:    .*\n)+?.*esac'\n", COOKBOOK, re.MULTILINE)
]
LIBSLIRP, QEMU = RECIPES
#: As git says it, and as the git of Debian unstable does at the end of 2026.
FOUND = "is the first (?:bad|'bad') commit"
#: In the place of tools and of qemunet: what becomes of each commit stands in its file `state`.
STAND_INS = {
    "meson": "mkdir -p build",
    "ninja": "! grep -q uncompilable state",
    "qemunet": 'echo "$@" >>../asked; exit "$(cat state)"',
    "configure": "mkdir -p build; : >build/build.ninja; echo configured >>../asked",
}

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


def git(repository: Path, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, *words], cwd=repository, check=True, capture_output=True)


def commit(repository: Path, subject: str) -> None:
    git(repository, "add", "--all")
    git(repository, "commit", "--allow-empty", "-m", subject)


def program(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def bisected(recipe: str, repository: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    """What git says at the end of the recipe, typed in a shell in a clone."""
    return subprocess.run(
        ["sh", "-c", recipe], cwd=repository, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        timeout=limit(600), env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
    )  # fmt: skip


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


def history(folder: Path, programs: Path, states: dict[str, str]) -> Path:
    """A repository with a commit for each state, by its subject."""
    for name in ("meson", "ninja", "qemunet"):
        program(programs / name, STAND_INS[name])
    repository = folder / "clone"
    repository.mkdir()
    git(repository, "init", "--quiet")
    program(repository / "configure", STAND_INS["configure"])
    (repository / ".gitignore").write_text("build\n")
    for subject, state in states.items():
        (repository / "state").write_text(state)
        commit(repository, subject)
    git(repository, "tag", "BAD")
    git(repository, "tag", "GOOD", f"HEAD~{len(states) - 1}")
    return repository


@pytest.mark.parametrize("recipe", RECIPES, ids=["libslirp", "qemu"])
def test_the_commit_that_broke_it_is_named(recipe: str, tmp_path: Path, programs: Path) -> None:
    states = {
        "good": "0", "does not compile": "uncompilable", "compiles": "0", "tells nothing": "3", "still good": "0",
        "the culprit": "1", "after it": "1", "later": "1", "bad": "1",
    }  # fmt: skip
    repository = history(tmp_path, programs, states)
    done = bisected(recipe, repository, programs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"{FOUND}\n.*\n\n    the culprit\n", done.stdout, re.DOTALL), done.stdout
    asked = (tmp_path / "asked").read_text().splitlines()
    option = "--libslirp build/libslirp.so.0" if recipe is LIBSLIRP else "--qemu build/qemu-system-x86_64"
    assert {line for line in asked if line != "configured"} == {f"run user/dns-resolves -q {option}"}
    assert asked.count("configured") == (0 if recipe is LIBSLIRP else 1), "configure begins a build anew"


@pytest.mark.parametrize("recipe", RECIPES, ids=["libslirp", "qemu"])
def test_a_mistake_in_the_line_is_no_bad_commit(recipe: str, tmp_path: Path, programs: Path) -> None:
    repository = history(tmp_path, programs, {"good": "0", "one": "2", "two": "2", "bad": "2"})
    done = bisected(recipe, repository, programs)
    assert done.returncode != 0
    assert not re.search(FOUND, done.stdout), done.stdout


@pytest.mark.slow
def test_a_regression_of_libslirp_is_found(tmp_path: Path, programs: Path, trees: Trees) -> None:
    """Of a real libslirp, built and tried at each step; the claim is one that breaks sooner than the recipe's."""
    tree = trees.of["libslirp"]
    assert isinstance(tree, LibslirpTree)
    program(programs / "qemunet", f'exec {sys.executable} -I -m qemunet_tests "$@"')
    repository = tmp_path / "clone"
    made_here = shutil.ignore_patterns("debian", ".pc")
    shutil.copytree(tree.source, repository, ignore=made_here, symlinks=True)
    git(repository, "init", "--quiet")
    commit(repository, "as it was")
    git(repository, "tag", "GOOD")
    offered = repository / "src" / "bootp.c"
    for subject in ("words", "the culprit", "more words"):
        if subject == "the culprit":
            text = offered.read_text()
            assert text.count("RFC1533_GATEWAY;") == 1
            offered.write_text(text.replace("RFC1533_GATEWAY;", "224;"))
        with (repository / "README.md").open("a") as readme:
            readme.write(f"{subject}\n")
        commit(repository, subject)
    git(repository, "tag", "BAD")
    done = bisected(LIBSLIRP.replace("user/dns-resolves", "user/gateway"), repository, programs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"{FOUND}\n.*\n\n    the culprit\n", done.stdout, re.DOTALL), done.stdout
