"""Chromium somewhere in the world of the tests' VPS, driven by ChromeDriver through Selenium.

    with Browser(vps, "internet") as browser:
        browser.go("https://mail.example.org/")
        browser.fill("#user", "alice")
        browser.click("button.login")
        browser.see("h1", "Welcome")

Each of them waits until what it wants is there. Elements are named by CSS selectors."""

import contextlib
import http.client
import re
import subprocess

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.file_detector import UselessFileDetector
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.support.ui import WebDriverWait

from vps import BUILD, PATIENCE

# A page that is not all there, or that Roundcube is about to change: its buttons do nothing yet.
BUSY = "return document.readyState != 'complete' || !!(window.rcmail && rcmail.busy);"
SCREENSHOTS = BUILD / "host" / "screenshots"


class Inside(RemoteConnection):
    """To a driver that listens in another network."""

    def __init__(self, vps, where, port):
        super().__init__(f"http://127.0.0.1:{port}", keep_alive=True, ignore_proxy=True)
        self.vps, self.where = vps, where

    def execute(self, command, params):
        with self.vps.within(self.where):
            return super().execute(command, params)


class Browser:
    def __init__(self, vps, where, addresses):
        """`addresses` maps names, which may begin with "*.", to addresses; there are no others."""
        self.vps, self.where = vps, where
        self.profile = vps.folder / "browser"
        self.profile.mkdir()
        # As a process of the VPS it cannot outlive it.
        self.process = vps.popen("chromedriver", "--port=0", where=where, stderr=subprocess.DEVNULL,
                                 env={"HOME": str(self.profile)})
        found = None
        while not found:
            line = self.process.stdout.readline()
            assert line, "ChromeDriver did not start"
            found = re.search(r"started successfully on port (\d+)", line)
        self.port = int(found[1])
        rules = [f"MAP {name} {address}" for name, address in addresses.items()]
        options = webdriver.ChromeOptions()
        for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage",
                         "disable-background-networking", "no-first-run", "lang=en",
                         "window-size=1280,863", f"user-data-dir={self.profile}/profile",
                         "host-resolver-rules=" + ", ".join([*rules, "MAP * ~NOTFOUND"])):
            options.add_argument("--" + argument)
        options.accept_insecure_certs = True
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        try:
            self.driver = webdriver.Remote(Inside(vps, where, self.port), options=options)
        except BaseException:
            self.end_driver()
            raise
        # Files to upload are named as the browser sees them, which sees what we see.
        self.driver.file_detector = UselessFileDetector()
        self.wait = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05,
                                  ignored_exceptions=[WebDriverException])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(WebDriverException):
            self.driver.quit()
        self.end_driver()

    def end_driver(self):
        with self.vps.within(self.where):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            connection.request("GET", "/shutdown")
            connection.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def go(self, url):
        self.driver.get(url)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def see(self, css, text=""):
        """The first such element on the page that can be seen and has that text in it."""
        def there(_):
            if self.driver.execute_script(BUSY):
                return None
            return next((e for e in self.all(css) if e.is_displayed() and text in e.text), None)
        return self.wait.until(there, f"{css} {text!r} is not on {self.driver.current_url}")

    def click(self, css, text=""):
        """What cannot be clicked yet, because something lies over it or it moves, soon can."""
        def clicked(_):
            self.see(css, text).click()
            return True
        self.wait.until(clicked, f"{css} {text!r} cannot be clicked")

    def fill(self, css, text):
        field = self.see(css)
        field.clear()
        field.send_keys(text)

    def choose(self, css, label):
        """An option of a list, by what stands in it."""
        def chosen(_):
            option = next(o for o in self.all(f"{css} option") if o.text.strip() == label)
            option.click()
            return True
        self.see(css)
        self.wait.until(chosen, f"{css} has no {label!r}")

    @contextlib.contextmanager
    def frame(self, css):
        """What is looked for meanwhile is looked for in that frame."""
        self.driver.switch_to.frame(self.see(css))
        try:
            yield
        finally:
            self.driver.switch_to.default_content()

    def shot(self, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))

    def complaints(self):
        """Errors and warnings on the console since the last time."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
