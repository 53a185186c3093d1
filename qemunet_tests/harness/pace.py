"""How patient to be with an accelerator."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Limits are written down for KVM, and grow with the accelerator's slowdown."""

    slowdown: float = 1.0

    def seconds(self, under_kvm: float) -> float:
        return under_kvm * self.slowdown
