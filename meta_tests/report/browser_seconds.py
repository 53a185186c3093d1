"""What a large page takes in a browser: until it is drawn, and from words in its filters until what they leave is."""

from pathlib import Path

from meta_tests.report.browser import Browser

#: Until the next frame is on the screen after what is done: laid out and painted.
_UNTIL_DRAWN = """
const done = arguments[arguments.length - 1], began = performance.now();
(EVENT);
requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)));
"""
_TYPED = """(() => {{ const field = document.getElementById('{field}'); field.value = '{words}';
  field.dispatchEvent(new Event('input')); }})()"""


def seconds_to_open(browser: Browser, page: Path) -> float:
    """From the file until it is drawn, as the browser itself counts."""
    browser.open(page)
    browser.driver.execute_async_script(_UNTIL_DRAWN.replace("EVENT", "document.body.offsetHeight"))
    return float(browser.ask("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"))


def seconds_to_load(browser: Browser) -> float:
    """Until the page was whole, and its script had run."""
    return float(browser.ask("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"))


def seconds_to_filter(browser: Browser, field: str, words: str) -> float:
    """From words in one of the page's fields until what they leave is drawn."""
    typed = _TYPED.format(field=field, words=words)
    return float(browser.driver.execute_async_script(_UNTIL_DRAWN.replace("EVENT", typed)))
