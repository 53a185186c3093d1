"""Names the cause when a promise is broken: what stands in the way, and how to take it away."""

from qemunet_tests.diagnosis.cause import Cause
from qemunet_tests.diagnosis.examine import cause_of
from qemunet_tests.diagnosis.scene import Scene

__all__ = ["Cause", "Scene", "cause_of"]
