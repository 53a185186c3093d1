"""Tab at a shell: commands, options, values and claim ids; and that nobody else pays for it."""

import subprocess
import sys
from pathlib import Path

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
