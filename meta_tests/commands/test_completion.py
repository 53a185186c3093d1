"""Tab at a shell: commands, options, values and claim ids; and that nobody else pays for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment, qemunet
from qemunet_tests.commands import completion

#: What bash does at a Tab, with `qemunet` on the PATH as this Python's.
TAB = """
folder=$(mktemp -d); trap 'rm -r "$folder"' EXIT
printf '#!/bin/sh\\nexec "%s" -m qemunet_tests "$@"\\n' "$1" > "$folder/qemunet"; chmod +x "$folder/qemunet"
PATH=$folder:$PATH
eval "$(qemunet completion bash)"
COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9
read -ra COMP_WORDS <<< "$2"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete qemunet
printf '%s\\n' "${COMPREPLY[@]}"
"""
#: Stands for `qemunet`: what a finished line asks for is shown instead of done.
SHOWN = """#!/bin/sh
[ -n "$_ARGCOMPLETE" ] || [ "$1" = completion ] && exec "{python}" -m qemunet_tests "$@"
printf '<%s>' "$@"; echo .
"""
#: How each is started without anybody's configuration, and what it is told first.
AT_A_TERMINAL = {
    "bash": ("bash --norc -i", 'eval "$(qemunet completion bash)"'),
    "zsh": ("zsh -f -i", 'eval "$(qemunet completion zsh)"'),
    "fish": ("fish --no-config -i", "qemunet completion fish | source"),
}


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("qemunet doc", ["doctor "]),
        ("qemunet run --acce", ["--accel "]),
        ("qemunet run --accel k", ["kvm "]),
        ("qemunet run user/dns-offe", ["user/dns-offered "]),
        ("qemunet claims bridge/acl-m", ["bridge/acl-missing "]),
        ("qemunet shell pas", ["passt "]),
    ],
)
def test_bash_completes(line: str, completed: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", TAB, "sh", sys.executable, line],
        capture_output=True, text=True, check=False, timeout=limit(60), cwd=tmp_path,
        env={**clean_environment(), "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout.splitlines() == completed, done.stderr


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_what_is_typed_at_a_terminal_is_completed(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "bin").mkdir()
    (program := tmp_path / "bin" / "qemunet").write_text(SHOWN.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "here" / "reports").mkdir(parents=True)
    for name in ("recent.jsonl", "my facts.toml"):
        (tmp_path / "here" / name).touch()
    start, first = AT_A_TERMINAL[shell]
    environment = {
        **clean_environment(), "HOME": str(tmp_path), "TERM": "xterm", "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    environment["PATH"] = f"{program.parent}:{environment['PATH']}"
    typed = pexpect.spawn(
        start, env=environment, cwd=tmp_path / "here", encoding="utf-8", timeout=limit(60), dimensions=(40, 200)
    )
    typed.sendline(f"{first}; echo rea''dy")
    typed.expect("ready")
    for begun, asked in (
        ("doc", "<doctor>"),
        ("run --acce", "<run><--accel>"),
        ("run --accel k", "<run><--accel><kvm>"),
        ("run user/dns-offe", "<run><user/dns-offered>"),
        ("claims bridge/acl-m", "<claims><bridge/acl-missing>"),
        ("shell pas", "<shell><passt>"),
        ("report rep", "<report><reports/>"),
        ("compare rec", "<compare><recent.jsonl>"),
        ("run --expect my", "<run><--expect><my facts.toml>"),
    ):
        typed.send(f"qemunet {begun}\t\r")
        typed.expect_exact(f"{asked}.")
    typed.close(force=True)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_gets_its_own_words(shell: str) -> None:
    done = qemunet("completion", shell)
    assert done.returncode == 0
    assert "qemunet" in done.stdout


def test_another_shell_is_wrong_usage() -> None:
    done = qemunet("completion", "ksh")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_nothing_of_it_is_imported_where_nobody_asks() -> None:
    program = "import sys; from qemunet_tests.__main__ import exit_code; exit_code(['claims', 'user/address'])"
    heavy = "; print(sorted({'argcomplete', 'pytest', 'scapy', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program + heavy], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
