"""The page as text. Whatever a guest, a name server or a host's name may say is shown, and never obeyed."""

import base64
import functools
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from qemunet_tests.report.page.network_drawing import chain, interval
from qemunet_tests.report.page.page_view import PageView, anchor, capitalized, folder_beside, moment, web_address
from qemunet_tests.report.page.throughput_drawing import (
    exchange_plots,
    legend,
    plain_number,
    rows_plots,
    transfer_plots,
)
from qemunet_tests.report.shapes import Results
from qemunet_tests.report.verdict_of_test import Verdict

PAGE_FILE = "report.html"
TEMPLATES = Path(__file__).parent / "templates"
MEANINGS = {
    "holds": "the promise was seen to be true",
    "deviates": "the promise is not kept, in a known and explained way",
    "broken": "neither the promise nor a known deviation was seen",
    "inconclusive": "the bench failed, and nothing was learned; or it was broken once only",
    "unavailable": "it cannot be tried here",
}
SIGNS = {"holds": "✓", "deviates": "≈", "broken": "✗", "inconclusive": "?", "unavailable": "–"}


def html_page(results: Results, beside: bool = True) -> str:
    """The whole page. It loads nothing: a browser would refuse to, and to run any script but ours.

    `beside`: it goes into the folder of the report, so that the artifacts there can be linked.
    """
    script = own_file("copying.js") + own_file("page.js")
    return (
        environment()
        .get_template("page.html")
        .render(
            view=PageView.of(results),
            beside=beside,
            verdicts=list(Verdict),
            style=own_file("page.css"),
            script=script,
            policy=policy(script),
            document=results.model_dump(mode="json", by_alias=True),
        )
    )


@functools.cache
def environment() -> Environment:
    """What templates are drawn with: it escapes whatever is not ours."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "anchor": anchor,
        "capitalize_first": capitalized,
        "cause_in": lambda claim, numbers: numbers.get(claim),
        "exchange_plots": exchange_plots,
        "folder_beside": folder_beside,
        "legend": legend,
        "moment": moment,
        "plain_number": plain_number,
        "rows_plots": rows_plots,
        "transfer_plots": transfer_plots,
        "web_address": web_address,
    }
    made.globals |= {"chain": chain, "interval": interval, "meanings": MEANINGS, "signs": SIGNS}
    return made


def own_file(name: str) -> str:
    """A file of ours that goes into the page as it is."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def policy(script: str) -> str:
    """Content-Security-Policy: our script by its digest, styles, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
