"""This machine's settings for apt and pip, so that a userland reaches the packages that this machine reaches.

They are asked of apt and pip, whatever files they come from, and are given to each machine anew: what is unpacked
holds none of them.
"""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from meta_tests.userland.suites import preferences_of, sources_of
from qemunet_tests.errors import UsageError

#: Debian's and its derivatives' bundle of certificates, and where an administrator adds to it.
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
ADDED = Path("/usr/local/share/ca-certificates")
#: apt_auth.conf(5)
LOGINS = (Path("/etc/apt/auth.conf"), Path("/etc/apt/auth.conf.d"))
#: What of apt.conf(5) says how packages are reached; the rest is about this machine's own lists, disks and programs.
_REACHING = re.compile(
    r"Acquire::(?!.*(?i:Proxy-?Auto-?Detect))(?i:https?|ftp|Check-|Max-ValidTime|Retries|ForceIPv|Allow(Insecure|Weak))"
)
#: What a command gets of our environment: the terminal, the language, and what tells programs how to reach packages.
_PASSED = re.compile(
    r"TERM|COLORTERM|NO_COLOR|FORCE_COLOR|COLUMNS|LINES|LANG|LANGUAGE|LC_.*|TZ|CI|PYTEST_ADDOPTS|DEBIAN_FRONTEND"
    r"|PIP_(?!CONFIG_FILE$).*|(?i:https?_proxy|ftp_proxy|all_proxy|no_proxy)"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
)


def _ask(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.stdout if done.returncode == 0 else ""


def mirror() -> str:
    """Where this machine's own packages of Debian come from. Raises UsageError where it has none."""
    shape = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
    for line in _ask("apt-get", "indextargets", "--format", shape, "Created-By: Packages").splitlines():
        origin, label, uri = line.split("|", 2)
        if origin == "Debian" and not label.startswith("Debian-Security"):
            return uri.rstrip("/")
    raise UsageError("apt's lists name no mirror of Debian here: run apt-get update, or name one with --mirror")


def apt_options() -> list[str]:
    """How this machine reaches its packages, each a line of apt.conf(5): proxies, certificates, patience."""
    lines = _ask("apt-config", "dump", "Acquire").splitlines()
    return [line for line in lines if _REACHING.match(line) and not line.endswith('"";')]


def _pip_options() -> Iterator[tuple[str, str, str]]:
    """Section, option, value: merged from all of pip's files and its environment."""
    for line in _ask(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        yield "global" if section == ":env:" else section, option, str(ast.literal_eval(value))


def _pip_file(options: list[tuple[str, str, str]]) -> str:
    """pip's configuration, in its own format."""
    merged: dict[str, dict[str, str]] = {}
    for section, option, value in options:
        merged.setdefault(section, {})[option] = value
    parser = configparser.RawConfigParser()
    parser.read_dict(merged)
    lines = [f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in parser[section].items()) for section in merged]
    return "".join(lines).replace("\n\n", "\n")


def _named_places(texts: list[str]) -> list[Path]:
    """Files and folders of this machine that the settings name."""
    words = [word.removeprefix("file://") for text in texts for word in text.split()]
    return [path for word in words if word.startswith("/") and (path := Path(word)).exists()]


def environment() -> dict[str, str]:
    """What of our environment a command in a userland gets."""
    return {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}


def give(root: Path, unpacked: Path, suite: str, debian: str) -> list[Path]:
    """Write the settings into the machine at `root`, whose suite is `unpacked`.

    What they name here and is missing there is to be bound: those places are returned.
    """
    pip = list(_pip_options())
    files = {
        "etc/apt/sources.list": "".join(f"{line}\n" for line in sources_of(suite, debian)),
        "etc/apt/apt.conf.d/90this-machine": "".join(f"{line}\n" for line in apt_options()),
        "etc/apt/preferences.d/suite": preferences_of(suite),
        "etc/pip.conf": _pip_file(pip),
        "etc/resolv.conf": Path("/etc/resolv.conf").read_text(),
    }
    for name, text in files.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)
    if ADDED.is_dir():
        shutil.copytree(ADDED, root / ADDED.relative_to("/"), dirs_exist_ok=True)
    named = _named_places([value for *_, value in pip] + list(environment().values()))
    # A bundle is copied: a file on which another is bound cannot be replaced by the package it belongs to.
    for file in {BUNDLE, *(place for place in named if place.is_file())}:
        if file.exists():
            there = root / file.relative_to("/")
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, there)
    missing = {highest_missing(root, unpacked, place) for place in named if place.is_dir()}
    return sorted(place for place in missing if place) + [login for login in LOGINS if login.exists()]


def highest_missing(root: Path, unpacked: Path, place: Path) -> Path | None:
    """Of a folder and those above it the highest that the suite lacks: an index's links lead out of its folder.

    None where the machine has something of its own there. An empty folder is what was bound on when a kept machine
    ran before.
    """
    above = [*reversed(place.parents), place]
    found = next((folder for folder in above if not (unpacked / folder.relative_to("/")).exists()), None)
    there = root / found.relative_to("/") if found else None
    return found if there and not (there.exists() and any(there.iterdir())) else None
