"""A real Chromium without a window: as an ordinary user, and with no way to anywhere."""

import base64
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.wait import WebDriverWait

from meta_tests.isolation.leftovers import FOLDER_PREFIX
from meta_tests.patience import soon
from meta_tests.user_accounts import NOBODY, ORDINARY_PATH

#: Pages are files: whatever a browser looks for by itself or a page asks for is not found, and nobody is asked.
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # what is opened is ours, and a container may have no namespaces to spare
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=127.0.0.1:9",
    "--hide-scrollbars",
)
PHONE, DESKTOP = (390, 844), (1200, 900)
#: A sheet without its margins of 1 cm.
A4 = (717, 1046)


class Browser:
    """One window. Lengths are pixels as CSS counts them."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def resize(self, size: tuple[int, int]) -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, **media: str) -> None:
        """The media features that a reader has set, such as `color_scheme="dark"`; none without any."""
        features = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in media.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})

    def show_as_paper(self) -> None:
        """The window as wide as what is printed on A4, with the styles for paper, until `prefer` is told otherwise."""
        self.resize(A4)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})

    def open(self, page: Path, fragment: str = "") -> None:
        self.driver.get(f"{page.as_uri()}{fragment}")

    def ask(self, script: str, *arguments: Any) -> Any:
        """What an expression is in the page."""
        return self.driver.execute_script(f"return {script}", *arguments)

    def await_(self, script: str) -> None:
        """Until an expression is true in the page. Raises TimeoutException."""
        WebDriverWait(self.driver, soon(5)).until(lambda _: self.ask(script))

    def text(self, selector: str) -> str:
        """What a reader sees of the first element that fits."""
        return str(self.ask("document.querySelector(arguments[0]).innerText", selector))

    def texts(self, selector: str) -> list[str]:
        script = "Array.from(document.querySelectorAll(arguments[0]), each => each.innerText.trim())"
        return [str(text) for text in self.ask(script, selector)]

    def press(self, *keys: str) -> None:
        """One after the other, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def complaints(self) -> list[str]:
        """What the console said since it was last asked: errors, and what the page's own policy forbade."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def shoot(self, file: Path, whole: bool = False) -> None:
        """What is on the screen, or the page to its end, as a PNG."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": whole})
        file.write_bytes(base64.b64decode(shot["data"]))

    def print(self) -> bytes:
        """The page on A4, as a PDF."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69}
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", paper)["data"])


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Ended with all its processes. Raises WebDriverException where Chromium or its driver does not start."""
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, ignore_cleanup_errors=True) as home:
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            os.chown(home, NOBODY, NOBODY)
            identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in (*ARGUMENTS, f"--user-data-dir={home}/profile"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        environment = {"HOME": home, "TMPDIR": home, "PATH": ORDINARY_PATH}
        driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver", popen_kw=identity, env=environment))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
