"""A folder that another user has laid out for whoever runs us in it: files that Python or pytest might import."""

import sys
from pathlib import Path

#: Where the base Python of ours keeps a user's own modules, below PYTHONUSERBASE; see site.USER_SITE.
USER_SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"

#: Modules that something we start imports early, or that Python and pytest look for by themselves.
MODULES = (
    "qemunet_tests/__init__.py", "qemunet_tests/__main__.py", "qemunet_tests.conformance/conftest.py",
    "json.py", "random.py", "signal.py", "ctypes.py", "runpy.py", "subprocess.py", "execnet/__init__.py", "xdist.py",
    "pytest.py", "bindep.py", "pip.py", "ensurepip.py",
    "sitecustomize.py", "usercustomize.py", "conftest.py", "plant.py", f"{USER_SITE}/usercustomize.py",
)  # fmt: skip
SETTINGS = {
    "pytest.ini": "[pytest]\naddopts = -p plant\npython_files = plant.py\n",
    "tox.ini": "[pytest]\naddopts = -p plant\n",
    "setup.cfg": "[tool:pytest]\naddopts = -p plant\n",
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-p plant"\n',
}
#: QEMU takes these from the current folder before its own.
FIRMWARE = ("bios-256k.bin", "bios.bin", "kvmvapic.bin", "linuxboot_dma.bin", "linuxboot.bin", "efi-virtio.rom")
PLANTED = """
import os
with open({log!r}, "a") as log:
    log.write(f"{{__name__}} of {{__file__}} as {{os.getuid()}}\\n")
"""


class HostileFolder:
    """`executed` is what was executed of it, a line each."""

    def __init__(self, folder: Path, *without: str) -> None:
        self.folder = folder / "hostile"
        self._log = folder / "executed"
        for name in MODULES:
            if name not in without:
                self._write(name, PLANTED.format(log=str(self._log)))
        for name, text in SETTINGS.items():
            self._write(name, text)
        for name in FIRMWARE:
            self._write(name, "not what it is called")

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @property
    def executed(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []
