"""What the documentation promises: the claims, and which tests cite them."""

from qemunet_tests.claims.citations import Citation, citations, cited_by
from qemunet_tests.claims.loader import Claim, Source, load, matching, unmatched

__all__ = ["Citation", "Claim", "Source", "citations", "cited_by", "load", "matching", "unmatched"]
