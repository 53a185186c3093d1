"""How to boot a guest again by hand, and ask it what it was asked last: a script beside what the guest wrote."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qemunet_tests import named_file
from qemunet_tests.errors import UsageError
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.netdev import Netdev, Nic

SCRIPT, FACTS = "repro.sh", "guest.json"
#: What may be tried in the place of QEMU's own, as options are called.
_PARTS = ("libslirp", "bridge_helper")
#: More than any guest's description takes.
LIMIT_BYTES = 1 << 20

#: Starts QEMU, types a command when the guest's shell asks for one, and hands the console over: with Python alone.
#: Where nobody else types it types Enter at a silence, as the kernel may have printed something behind the prompt; then
#: prompts may follow that belong to that, and only a silence after one says that it is the last.
DRIVER = """\
import os, pty, select, signal, sys, termios, time, tty
silence_seconds, limit_seconds = 5, 300
command, prompt, leases, words = sys.argv[1], sys.argv[2].encode(), sys.argv[3], sys.argv[4:]
waiting = [line.encode() + b"\\n" for line in ((leases, command) if command else ())]
pid, console = pty.fork()
if pid == 0:
    os.execvp(words[0], words)
terminal = os.isatty(0)
before = termios.tcgetattr(0) if terminal else None
if terminal:
    tty.setraw(0)
tail, source, entered, left, missed = b"", [0], False, False, ""
since = time.monotonic()
try:
    while True:
        listened = [] if waiting else source
        ready = select.select([console, *listened], [], [], None if listened else silence_seconds)[0]
        if console in ready:
            try:
                said = os.read(console, 65536)
            except OSError:
                break
            if not said:
                break
            os.write(1, said)
            # The shell asks where the cursor is, in as many pieces as it likes.
            tail = (tail + said).replace(b"\\x1b[6n", b"")[-64:]
        if 0 in ready:
            typed = os.read(0, 1024)
            if typed:
                os.write(console, typed)
                tail = b""
            else:
                source = []
            since = time.monotonic()
        if source and not waiting:
            continue
        if time.monotonic() - since > limit_seconds:
            missed = "QEMU has not ended" if left else "the guest's shell has not asked for a command"
            os.kill(pid, signal.SIGKILL)
            break
        if tail.endswith(prompt) and not left and not (entered and ready):
            left = not waiting
            os.write(console, waiting.pop(0) if waiting else b"\\x01x")
            tail, entered, since = b"", False, time.monotonic()
        elif not ready and not left:
            os.write(console, b"\\n")
            entered = True
finally:
    if terminal:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if missed:
    sys.exit(f"\\nrepro.sh: for {limit_seconds} s {missed}: it was ended")
sys.exit(status)
"""


@dataclass(frozen=True)
class GuestAsItWas:
    """A guest as it was: its NICs with their addresses, its QEMU and accelerator, the name of its image, and what it
    was asked last. `tried` are files of the caller's own in the place of QEMU's parts, by option."""

    nics: tuple[Nic, ...]
    qemu: str
    accel: str
    image: str
    command: str | None
    tried: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> str:
        """For `read`."""
        nics = [
            {"model": nic.model, "mac": nic.mac, "netdev": {"class": type(nic.netdev).__name__, **asdict(nic.netdev)}}
            for nic in self.nics
        ]
        said = {name: getattr(self, name) for name in ("qemu", "accel", "image", "command")}
        return json.dumps({"nics": nics, **said, "tried": dict(self.tried)}, indent=1) + "\n"


def read(file: Path) -> GuestAsItWas:
    """Raises UsageError where the file is none of ours, or of a guest that no lab can be made for."""
    try:
        with named_file.to_read(file) as stream:
            said = json.loads(stream.read(LIMIT_BYTES))
        nics = tuple(Nic(_netdev(each["netdev"]), str(each["model"]), str(each["mac"])) for each in said["nics"])
        qemu, accel, image = (str(said[name]) for name in ("qemu", "accel", "image"))
        tried = tuple((name, str(said["tried"][name])) for name in _PARTS if name in said.get("tried", {}))
        return GuestAsItWas(nics, qemu, accel, image, said["command"] and str(said["command"]), tried)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"{file} describes no guest that can be booted in a lab") from None


def _netdev(said: dict[str, Any]) -> Netdev:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in said.items() if name != "class"
    }
    known = {each.__name__: each for each in Netdev.__subclasses__()}
    return known[said["class"]](**fields)


def script(guest: str, words: Sequence[str], image: Image, again: GuestAsItWas, in_lab: bool) -> str:
    """`words` boot the guest with its console on standard input and output."""
    spelled = " ".join(_word(each, image.folder) for each in words)
    leases = image.guest.tools.await_leases.format()
    return "\n".join(
        [
            *_heading(guest, again.command, in_lab),
            "set -eu",
            # Of a folder in CDPATH cd says where it went, which may be another.
            'here=$(unset CDPATH; cd -- "$(dirname -- "$0")" && pwd)',
            *(_lab(again) if in_lab else []),
            *_without_lab(again),
            *_image(image),
            f"exec python3 -c {shlex.quote(DRIVER)} {shlex.quote(one_line(again.command or ''))} "
            f"{shlex.quote(image.guest.control.prompt)} {shlex.quote(leases)} {spelled}",
            "",
        ]
    )


def one_line(command: str) -> str:
    """A command as one line: a serial console has a shell that begins with the first it gets."""
    return command if "\n" not in command else _folded(command)


def _folded(command: str) -> str:
    text = command.replace("\\", "\\\\").replace("\n", "\\n").replace("'", "\\047").replace("%", "%%")
    return f"eval \"$(printf '{text}')\""


def _heading(guest: str, command: str | None, in_lab: bool) -> list[str]:
    asked = [f"#   {line}" for line in command.splitlines()] if command else []
    return [
        "#!/bin/sh",
        f"# Boots {guest} again{', in a lab of its own,' if in_lab else ''} and "
        f"{'types what it was asked last:' if command else 'hands it over: nothing had been asked of it.'}",
        *asked,
        "# What you type follows; Ctrl-A x ends it, and so does the end of standard input.",
    ]


def _lab(again: GuestAsItWas) -> list[str]:
    """Never on this host's own bridges: those of the lab bear the same names."""
    shut = [
        f"printf '%s\\n' {shlex.quote(f'{SCRIPT}: qemunet is not here, so the guest has no lab around it')} >&2",
    ]
    if any(nic.netdev.shares_network for nic in again.nics):
        refusal = f"{SCRIPT}: this guest belongs on the bridge of a lab, which only qemunet can make: install it"
        shut = [f"printf '%s\\n' {shlex.quote(refusal)} >&2", "exit 3"]
    return [
        f"python={shlex.quote(sys.executable)}",
        "if \"$python\" -P -c 'import qemunet_tests' 2>/dev/null; then",
        f'    exec "$python" -P -m qemunet_tests shell --again "$here/{FACTS}"',
        "fi",
        *shut,
    ]


def _without_lab(again: GuestAsItWas) -> list[str]:
    """What was tried is put in its place by qemunet: who boots without it is to know that this is another QEMU."""
    said = (f"{SCRIPT}: the guest had {name.replace('_', ' ')} {file}, this one has what is installed"
            for name, file in again.tried)  # fmt: skip
    return [f"printf '%s\\n' {shlex.quote(each)} >&2" for each in said]


def _image(image: Image) -> list[str]:
    folder = image.folder.name
    missing = f"{SCRIPT}: the image {image.name} {image.digest[:12]} is gone: qemunet image build, or image import FILE"
    return [
        f"image={shlex.quote(str(image.folder))}",
        f'for place in "$here/image" "$image" "${{QEMUNET_CACHE:-/nonexistent}}/images/{folder}" '
        f'"/var/cache/qemunet/images/{folder}" "${{HOME:-/nonexistent}}/.cache/qemunet/images/{folder}"; do',
        '    if [ -r "$place/vmlinuz" ] && [ -r "$place/initrd" ]; then image=$place; break; fi',
        "done",
        f"[ -r \"$image/vmlinuz\" ] || {{ printf '%s\\n' {shlex.quote(missing)} >&2; exit 3; }}",
    ]


def _word(word: str, folder: Path) -> str:
    rest = word.removeprefix(f"{folder}/")
    return shlex.quote(word) if rest == word else f'"$image"/{shlex.quote(rest)}'
