"""What an image says of the guest that boots from it, so that nobody who boots one has to know any by its name."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from qemunet_tests.qemu.guest_tools import GuestTools

#: A device as `-device` names it: what is a model's name has no comma, behind which options would follow.
Model = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$")]
#: One word or several of a kernel's command line, in one line.
KernelWords = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,2000}$")]
Prompt = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{2,40}$")]


class ControlChannel(BaseModel):
    """How a guest is driven: the version of the protocol that it speaks on its second serial port, which
    docs/architecture.md describes, and what the shell on its first one says when it takes a command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Literal[1]
    prompt: Prompt


class GuestProfile(BaseModel):
    """`cmdline` is handed to a kernel that QEMU loads itself; `nics` are the models the guest can use, each with the
    kernel modules that drive it, and `pluggable` those that may be plugged in while it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_mib: int = Field(ge=16, le=65536)
    cmdline: KernelWords
    nics: dict[Model, tuple[str, ...]]
    pluggable: dict[Model, tuple[str, ...]] = {}
    control: ControlChannel
    tools: GuestTools

    @property
    def drivers(self) -> tuple[str, ...]:
        """The kernel modules of all NICs, each once."""
        return _each_once(self.nics)

    @property
    def pluggable_drivers(self) -> tuple[str, ...]:
        """Those of the NICs that may be plugged in."""
        return _each_once(self.pluggable)

    def no_driver(self, model: str) -> str | None:
        """Why a guest cannot have a NIC of this model; None where it can."""
        if model in self.nics:
            return None
        return f"the guest has no driver for {model!r}; it knows {', '.join(sorted(self.nics))}"


def _each_once(nics: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(module for modules in nics.values() for module in modules))
