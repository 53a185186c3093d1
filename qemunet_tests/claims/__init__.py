"""What the documentation promises: the claims, and which tests cite them."""

from qemunet_tests.claims.bounds import Installed, OutOfBounds
from qemunet_tests.claims.citations import Citation, citations, cited_by
from qemunet_tests.claims.claim import Claim, Deviation, Source
from qemunet_tests.claims.loader import instead_of, load, matching, unmatched

__all__ = [
    "Citation",
    "Claim",
    "Deviation",
    "Installed",
    "OutOfBounds",
    "Source",
    "citations",
    "cited_by",
    "instead_of",
    "load",
    "matching",
    "unmatched",
]
