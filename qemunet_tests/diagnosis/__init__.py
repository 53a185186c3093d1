"""Names the cause when a promise is broken: what stands in the way, and how to take it away."""

from qemunet_tests.diagnosis.causes import cause_of
from qemunet_tests.diagnosis.failure import Failure

__all__ = ["Failure", "cause_of"]
