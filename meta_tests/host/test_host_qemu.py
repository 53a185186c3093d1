"""What is found out about a QEMU, by way of scripts that answer like one."""

import resource
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.qemu import qemu_facts, qemu_questions

MACHINES = """\
Supported machines are:
microvm              microvm (i386)
pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-9.2)
pc-i440fx-9.2        Standard PC (i440FX + PIIX, 1996) (default)
q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-9.2)
"""
HELP = "    using the program 'helper (default=/usr/libexec/qemu-bridge-helper)"


def stub(folder: Path, netdevs: str = "user\ntap\nbridge", version: str = "9.2.4", first: str = "") -> Path:
    """A program that answers questions as QEMU does."""
    path = folder / "qemu-system-x86_64"
    path.write_text(
        textwrap.dedent("""\
        #!/bin/sh
        {first}
        case "$*" in
        --version) echo 'QEMU emulator version {version} (v{version})'; echo 'Copyright' ;;
        -help) cat <<'END'
        {help}
        END
        ;;
        *netdev*) printf 'Available netdev backend types:\\n{netdevs}\\n' ;;
        *machine*) cat <<'END'
        {machines}
        END
        ;;
        *accel*) printf 'Accelerators supported in QEMU binary:\\ntcg\\nkvm\\n' ;;
        '-L help') echo /usr/share/qemu ;;
        *) exit 1 ;;
        esac
        """).format(first=first, version=version, help=HELP, netdevs=netdevs.replace("\n", "\\n"), machines=MACHINES)
    )
    path.chmod(0o755)
    return path


def test_what_a_qemu_says_of_itself(open_folder: Path) -> None:
    found = qemu_facts.find(str(stub(open_folder)))
    assert found.version == "9.2.4"
    assert found.version_line == "QEMU emulator version 9.2.4 (v9.2.4)"
    assert found.machine == "pc-i440fx-9.2"
    assert found.helper_path == "/usr/libexec/qemu-bridge-helper"
    assert found.netdevs == {"user", "tap", "bridge"}
    assert found.accelerators == {"tcg", "kvm"}
    assert found.slirp is None
    assert found.without_user_backend() is None


def test_the_installed_one_has_a_libslirp_with_a_version() -> None:
    try:
        found = qemu_facts.find()
    except Unavailable as lacking:
        pytest.skip(lacking.reason)
    assert found.slirp is not None
    assert int(found.slirp.split(".")[0]) >= 4
    assert found.machine.startswith("pc-")


def test_libslirp_is_found_behind_a_wrapper(open_folder: Path) -> None:
    real = shutil.which("qemu-system-x86_64")
    if real is None:
        pytest.skip("QEMU is not installed")
    wrapper = open_folder / "qemu"
    wrapper.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    assert qemu_facts.find(str(wrapper)).slirp == qemu_facts.find(real).slirp


def test_without_libslirp(open_folder: Path) -> None:
    found = qemu_facts.find(str(stub(open_folder, netdevs="tap\nbridge")))
    obstacle = found.without_user_backend()
    assert obstacle
    assert "built without libslirp" in obstacle.reason
    assert "--enable-slirp" in obstacle.remedy


def test_an_answer_is_kept_until_the_file_changes(open_folder: Path) -> None:
    path = stub(open_folder)
    assert qemu_facts.find(str(path)).version == "9.2.4"
    stub(open_folder, version="10.0.2")
    assert qemu_facts.find(str(path)).version == "10.0.2"


@pytest.mark.parametrize(
    ("name", "content", "mode", "complaint"),
    [
        ("gone", None, 0, "there is no such program"),
        ("locked", "#!/bin/sh\n", 0o644, "may not be executed"),
        ("empty", "", 0o755, "cannot be executed"),
        ("liar", "#!/bin/sh\necho hello\n", 0o755, "is not QEMU: asked for its version it says 'hello'"),
        ("loader", "#!/nonexistent/interpreter\n", 0o755, "cannot be executed"),
        ("arm", "#!/bin/sh\necho QEMU emulator version 9.0.0\n", 0o755, "emulates no PC"),
    ],
)
def test_a_wrong_qemu_is_a_mistake_of_use(
    open_folder: Path, name: str, content: str | None, mode: int, complaint: str
) -> None:
    path = open_folder / name
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(UsageError, match=complaint):
        qemu_facts.find(str(path))


@pytest.mark.parametrize("file", ["/etc/qemu/qemu.conf", "/usr/local/etc/qemu/qemu.conf"])
def test_a_closed_configuration_is_no_broken_qemu(open_folder: Path, file: str) -> None:
    complaint = f"echo \"qemu-system-x86_64: --version: Could not open '{file}': Permission denied\" >&2; exit 1"
    with pytest.raises(Unavailable) as refusal:
        qemu_facts.find(str(stub(open_folder, first=complaint)))
    assert f"{file} is closed to this user" in refusal.value.reason
    assert refusal.value.remedy == f"sudo chmod 0644 {file}"


def test_a_folder_is_no_qemu(open_folder: Path) -> None:
    with pytest.raises(UsageError, match="that is a folder"):
        qemu_facts.find(str(open_folder))


def test_a_qemu_that_hangs_is_not_waited_for(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_questions, "ANSWER_SECONDS", 0.5)
    with pytest.raises(HarnessError, match="does not answer in time, asked twice"):
        qemu_facts.find(str(stub(open_folder, first="exec sleep 60")))


def test_none_installed_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_facts, "NAMES", ("qemu-system-nowhere",))
    with pytest.raises(Unavailable) as refusal:
        qemu_facts.find()
    assert refusal.value.reason == "QEMU is not installed"
    assert "qemu" in refusal.value.remedy


@pytest.mark.parametrize(
    ("limit", "lift"), [(resource.RLIMIT_AS, "ulimit -v unlimited"), (resource.RLIMIT_DATA, "ulimit -d unlimited")]
)
def test_one_without_an_answer_is_not_installed_again_before_a_limit_is_lifted(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, limit: int, lift: str
) -> None:
    monkeypatch.setattr(qemu_facts, "NAMES", (str(stub(open_folder, netdevs="")),))
    monkeypatch.setattr(qemu_facts, "_known", {})
    before = resource.getrlimit(limit)
    with pytest.raises(Unavailable) as refusal:
        qemu_facts.find()
    assert refusal.value.remedy.startswith("install it again: ")
    try:
        resource.setrlimit(limit, (1 << 45, before[1]))
        with pytest.raises(Unavailable) as refusal:
            qemu_facts.find()
    finally:
        resource.setrlimit(limit, before)
    assert "; it was asked under a limit of 33554432 MiB of " in refusal.value.reason
    assert refusal.value.remedy.startswith(f"lift the limit and try again: {lift}; if it says so without one, install")


def test_machine_without_a_default_among_the_pcs() -> None:
    said = "pc  Standard PC (alias of pc-i440fx-8.0)\nnone  empty machine\nmicrovm  microvm (default)\n"
    assert qemu_facts.default_machine(said) == "pc-i440fx-8.0"
    assert qemu_facts.default_machine("virt-9.0  ARM (default)\n") is None


#: As QEMU 11.1.3 and a QEMU of RHEL 9 answer, shortened.
OLD_PCS = "pc-i440fx-8.1  Standard PC (deprecated)\npc  Standard PC (alias of pc-i440fx-11.1)\n"
DEPRECATED_DEFAULT = (
    "pc  RHEL PC (alias of pc-i440fx-rhel7.6.0) (deprecated)\npc-i440fx-rhel7.6.0  RHEL PC (default) (deprecated)\n"
)
Q35 = "q35  RHEL PC (alias of pc-q35-rhel9.6.0)\npc-q35-rhel9.6.0  RHEL PC\n"


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (f"{OLD_PCS}pc-i440fx-11.1  Standard PC (default)\n{Q35}", "pc-i440fx-11.1"),
        (f"{OLD_PCS}pc-i440fx-11.1  Standard PC\n", "pc-i440fx-11.1"),
        (DEPRECATED_DEFAULT + Q35, "pc-q35-rhel9.6.0"),
        (DEPRECATED_DEFAULT, "pc-i440fx-rhel7.6.0"),
    ],
)
def test_a_machine_that_is_to_be_deleted_is_not_chosen(said: str, chosen: str) -> None:
    assert qemu_facts.default_machine(said) == chosen


def test_this_qemu_has_a_machine_that_stays() -> None:
    found = qemu_facts.find()
    said = subprocess.run([found.path, "-machine", "help"], capture_output=True, text=True, check=True).stdout
    line = next(line for line in said.splitlines() if line.split()[:1] == [found.machine])
    assert "(deprecated)" not in line
