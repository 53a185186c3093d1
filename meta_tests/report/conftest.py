"""What tests of pages share."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meta_tests.isolation.leftovers import FOLDER_PREFIX
from meta_tests.report.browser import DESKTOP, Browser, browser
from qemunet_tests.report.page.html_page import PAGE_FILE, html_page
from qemunet_tests.report.shapes import Results

Open = Callable[[Results], Browser]
OpenPage = Callable[[str], Browser]


@pytest.fixture(scope="module")
def one_browser() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def opened(opened_page: OpenPage) -> Open:
    """Opens the page of results."""
    return lambda results: opened_page(html_page(results))


@pytest.fixture
def opened_page(one_browser: Browser) -> Iterator[OpenPage]:
    """Opens a page on a desktop, in light colours; every page must leave the console empty."""
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
        Path(folder).chmod(0o755)

        def open_page(text: str) -> Browser:
            page = Path(folder, PAGE_FILE)
            page.write_text(text, encoding="utf-8")
            one_browser.resize(DESKTOP)
            one_browser.prefer()
            one_browser.open(page)
            return one_browser

        yield open_page
        assert one_browser.complaints() == []
