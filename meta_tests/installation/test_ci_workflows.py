"""The ready workflows of docs/ci: valid, and every command in them does here what it is there for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT, NOBODY

ruamel_yaml = pytest.importorskip("ruamel.yaml", reason="comes with check-jsonschema")

GITHUB = CHECKOUT / "docs/ci/github-actions.yml"
GITLAB = CHECKOUT / "docs/ci/gitlab-ci.yml"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to prepare it")


def loaded(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = ruamel_yaml.YAML(typ="safe").load(file.read_text())
    return document


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = loaded(GITHUB)["jobs"][job]["steps"]
    return found


def named(job: str, name: str) -> str:
    """The commands of a step."""
    (step,) = [step for step in steps(job) if step.get("name") == name]
    return str(step["run"])


def bash(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """As GitHub and GitLab run it: to the first command that fails."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, timeout=limit(500), check=False,
    )  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder in which the checkout's bootstrap lies, and which holds what the commands leave."""
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "bootstrap").symlink_to(CHECKOUT / "bootstrap")
    return folder


# Valid


@pytest.mark.parametrize(("schema", "file"), [("vendor.github-workflows", GITHUB), ("vendor.gitlab-ci", GITLAB)])
def test_the_schema_of_its_system_takes_it(schema: str, file: Path) -> None:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=limit(60), check=False)
    assert done.returncode == 0, done.stdout


def test_the_documentation_shows_both() -> None:
    text = (CHECKOUT / "docs/ci.md").read_text()
    assert f"(ci/{GITHUB.name})" in text
    assert f"(ci/{GITLAB.name})" in text


def test_what_becomes_of_the_report() -> None:
    (upload,) = [step for step in steps("guest-networking") if "upload-artifact" in step.get("uses", "")]
    assert upload["if"] == "always()"
    assert upload["with"]["path"] == "report"
    artifacts = loaded(GITLAB)["guest-networking"]["artifacts"]
    assert artifacts["when"] == "always"
    assert artifacts["reports"]["junit"] == "report/junit.xml"


# The rule for /dev/kvm


KVM_STEP = "Let everybody open /dev/kvm"

#: udev, as far as the race goes: a trigger only queues, and what is queued has happened when it has settled.
UDEVADM = """#!/bin/sh
case $1 in
    control) cat /etc/udev/rules.d/*.rules >{folder}/rules ;;
    trigger) [ "$2" = --name-match=kvm ] && touch {folder}/queued ;;
    settle) [ -e {folder}/queued ] && grep -q '^KERNEL=="kvm", .*MODE="0666"' {folder}/rules && chmod 0666 /dev/kvm ;;
esac 2>/dev/null
exit 0
"""
#: A device that only root opens.
PRIVATE_KVM = """
mount -t tmpfs tmpfs /etc/udev && mkdir /etc/udev/rules.d
mknod -m 0600 "$1/kvm" c 1 3 && mount --bind "$1/kvm" /dev/kvm
shift
exec "$@"
"""


def mode_of_kvm_after(script: str, folder: Path, *user: str) -> tuple[str, str]:
    """What the script prints, and the mode that /dev/kvm has then: private ones, with a stand-in for udev."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, text in {"sudo": '#!/bin/sh\nexec "$@"\n', "udevadm": UDEVADM.format(folder=folder)}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    words = [*user, "bash", "-eo", "pipefail", "-c", f"{script}\necho mode $(stat -c %a /dev/kvm)"]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", PRIVATE_KVM, "sh", str(folder), *words],
        env={"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=limit(30),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said, _, mode = done.stdout.rpartition("mode ")
    return said, mode.strip()


needs_devices = pytest.mark.skipif(
    not (Path("/dev/kvm").exists() and Path("/etc/udev").is_dir()), reason="needs /dev/kvm and /etc/udev to cover"
)


@needs_root
@needs_devices
def test_the_rule_is_in_force_when_the_step_is_over(tmp_path: Path) -> None:
    said, mode = mode_of_kvm_after(named("guest-networking", KVM_STEP), tmp_path)
    assert mode == "666"
    assert "::warning::" not in said


@needs_root
@needs_devices
@pytest.mark.parametrize("command", ["settle", "trigger", "control", "tee"])
def test_no_command_of_the_rule_can_be_left_out(command: str, tmp_path: Path) -> None:
    lines = named("guest-networking", KVM_STEP).replace("|\n", "|").splitlines()
    script = "\n".join(line for line in lines if f" {command} " not in f"{line} ")
    _, mode = mode_of_kvm_after(script, tmp_path)
    assert mode == "600"


@needs_root
@needs_devices
def test_a_device_that_does_not_open_all_the_same_is_said(tmp_path: Path) -> None:
    """By opening it, as the job's user does: without udev nothing grants it."""
    script = "sudo() { cat >/dev/null || true; }\n" + named("guest-networking", KVM_STEP)
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
    said, _ = mode_of_kvm_after(script, tmp_path, *user)
    assert "::warning::/dev/kvm does not open" in said


def test_the_rule_comes_after_all_packages_and_before_the_run() -> None:
    order = [step.get("name") for step in steps("guest-networking") if "run" in step]
    assert order.index("Install what is missing") < order.index(KVM_STEP) < order.index("Try guest networking")


# The commands


def judge(folder: Path, cache: Path) -> None:
    """What a job leaves behind."""
    report = folder / "report"
    assert {"results.json", "junit.xml", "summary.md"} <= {file.name for file in report.iterdir()}
    assert [image.name for image in (cache / "images").glob("tiny-*")], "the image was not taken in"
    assert "nothing is broken in 2 claims" in (report / "summary.md").read_text()


@pytest.mark.slow
def test_githubs_commands_from_the_image_to_the_jobs_page(clone: Path, tmp_path: Path) -> None:
    """The second job has a cache of its own, as it has a machine of its own: its guest is the imported one."""
    built = bash(named("guest-image", "Build and export the guest's image"), clone)
    assert built.returncode == 0, built.stderr
    cache, page = tmp_path / "cache", tmp_path / "page.md"
    for step in steps("guest-networking"):
        if "run" not in step or step["name"] == KVM_STEP:
            continue
        expressions = dict.fromkeys(step.get("env", {}), "user/dns*")
        done = bash(step["run"], clone, QEMUNET_CACHE=str(cache), GITHUB_STEP_SUMMARY=str(page), **expressions)
        assert done.returncode == 0 or step.get("continue-on-error"), done.stdout + done.stderr
    judge(clone, cache)
    assert page.read_text() == (clone / "report/summary.md").read_text()


@pytest.mark.slow
def test_gitlabs_commands_from_the_image_to_the_report(clone: Path, tmp_path: Path) -> None:
    jobs, cache = loaded(GITLAB), tmp_path / "cache"
    built = bash("\n".join(jobs["guest-image"]["script"]), clone)
    assert built.returncode == 0, built.stderr
    assert jobs["guest-image"]["artifacts"]["paths"] == ["tiny.image"]
    job = jobs["guest-networking"]
    done = bash("\n".join(job["script"]), clone, QEMUNET_CACHE=str(cache), CLAIMS="user/dns*")
    assert done.returncode == 0, done.stdout + done.stderr
    judge(clone, cache)
    assert "## qemunet: nothing is broken" in bash("\n".join(job["after_script"]), clone).stdout


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_has_nothing_against_the_commands() -> None:
    scripts = [step["run"] for job in loaded(GITHUB)["jobs"].values() for step in job["steps"] if "run" in step]
    for script in scripts:
        words = ["shellcheck", "--shell=bash", "--exclude=SC2086", "-"]
        done = subprocess.run(words, input=script, capture_output=True, text=True, timeout=limit(60), check=False)
        assert done.returncode == 0, done.stdout
