# SPDX-License-Identifier: MIT
"""Opens every page of a site in a headless chromium, from a server of this machine's own, and says what is wrong there.

A message on the console, a resource that is missing or comes from elsewhere, a page that is wider than the window, text
that hardly stands out, a search that finds nothing.
"""

import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

# Whatever proxy the environment names.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
WIDE, NARROW = (1400, 900), (390, 844)
LOOKS = [(WIDE, "light"), (NARROW, "dark")]
CONTRAST = 4.5
# Colours change at once.
CALM = """addEventListener('DOMContentLoaded', () => document.head.append(Object.assign(document.createElement('style'), {
  textContent: '*, *::before, *::after { transition: none !important; animation: none !important; }'})));"""
# Of text in the page's body: what is too near to its background, [words, contrast]. Colours that are partly transparent
# are mixed with what is behind them.
WEAK = """
const context = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
const known = new Map();
function rgba(text) {
  if (!known.has(text)) {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = text;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    known.set(text, [r, g, b, a / 255]);
  }
  return known.get(text);
}
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
function behind(element) {
  if (element === null) return [255, 255, 255, 1];
  const own = rgba(getComputedStyle(element).backgroundColor);
  return own[3] === 1 ? own : over(own, behind(element.parentElement));
}
// Of text in a picture: the last shape below its middle.
function painted(element) {
  const box = element.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
  let colour = behind(element);
  for (const shape of element.closest('svg').querySelectorAll('rect, polygon, path, ellipse, circle')) {
    const place = shape.getBoundingClientRect(), fill = getComputedStyle(shape).fill;
    if (shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING && fill !== 'none' &&
        place.left < x && x < place.right && place.top < y && y < place.bottom) colour = over(rgba(fill), colour);
  }
  return colour;
}
function light(colour) {
  const [r, g, b] = colour.map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const found = new Map();
const walker = document.createTreeWalker(document.querySelector('.md-content, .contents, body'), NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, words = walker.currentNode.data.trim();
  if (!words || !element.checkVisibility({opacityProperty: true}) || element.closest('script, style, .headerlink')) continue;
  const style = getComputedStyle(element), drawn = element.closest('svg'), below = drawn ? painted(element) : behind(element);
  const lit = [light(over(rgba(drawn ? style.fill : style.color), below)), light(below)].sort((a, b) => b - a);
  const contrast = (lit[0] + 0.05) / (lit[1] + 0.05);
  if (contrast < arguments[0]) found.set(element.className + style.color, [words.slice(0, 40), contrast.toFixed(2)]);
}
return [...found.values()];
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Browser:
    """A session of WebDriver: https://www.w3.org/TR/webdriver2."""

    def __init__(self, driver, profile):
        self.process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = next((line.split("port ")[1].strip(" .\n") for line in self.process.stdout if "successfully on port" in line),
                    None)
        if port is None:
            raise OSError("chromedriver does not start")
        self.session = f"http://127.0.0.1:{port}/session"
        arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                     # Nothing but this machine can be reached, so what comes from elsewhere is an error on the console.
                     "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server",
                     # The pages are the tree's own, and neither root nor every container can have a sandbox.
                     "--no-sandbox", f"--user-data-dir={profile}"]
        try:
            made = self.post("", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}}})
        except OSError:
            self.close()
            raise
        self.session += f"/{made['sessionId']}"
        self.tell("Page.addScriptToEvaluateOnNewDocument", source=CALM)

    def ask(self, request):
        try:
            with DIRECT.open(request, timeout=300) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            # What follows is a stack of the driver's.
            said = json.load(error)["value"]["message"].split("Stacktrace")[0]
            raise OSError(f"the browser: {' '.join(said.split())}") from None

    def post(self, what, body):
        data = json.dumps(body).encode()
        return self.ask(urllib.request.Request(self.session + what, data, {"Content-Type": "application/json"}))

    def close(self):
        with contextlib.suppress(OSError):
            self.ask(urllib.request.Request(self.session, method="DELETE"))
        self.process.terminate()
        self.process.wait()

    def open(self, url):
        self.post("/url", {"url": url})

    def run(self, script, *arguments):
        return self.post("/execute/sync", {"script": script, "args": arguments})

    def tell(self, command, **parameters):
        """A command of the DevTools."""
        return self.post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def messages(self):
        return [entry["message"] for entry in self.post("/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def look(self, size, scheme):
        """The window's size, and whether the system is light or dark."""
        width, height = size
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def until(self, script, *arguments):
        """What the script says as soon as that is something; None after ten seconds."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            value = self.run(script, *arguments)
            if value:
                return value
            time.sleep(0.1)
        return None


@contextlib.contextmanager
def served(site):
    """The address of the site, from a server on a free port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def judge(browser, window):
    """What is wrong with the page that is open, in a window so wide; None where that does not matter."""
    for message in browser.messages():
        yield f"the browser says: {message}"
    wide, weak = browser.run(f"return [document.scrollingElement.scrollWidth, (function () {{ {WEAK} }})(arguments[0])]",
                             CONTRAST)
    if window and wide > window:
        yield f"is {wide} pixels wide in a window of {window}"
    for words, contrast in weak[:3]:
        yield f"a contrast of {contrast}: {words}"


def search(browser, start, searched):
    for term, wanted in searched.items():
        browser.open(f"{start}/index.html?q={quote(term)}")
        found = browser.until("return [...document.querySelectorAll('.md-search-result__link')].map(each => each.href)")
        if not any(f"/{wanted}" in link for link in found or []):
            yield f"the search for {term} does not find {wanted}: {found}"


def check_pages(driver, start, pages, searched):
    """What is wrong with some of the pages, and with the search."""
    wrong = []
    with tempfile.TemporaryDirectory(prefix="pinref-browser-", ignore_cleanup_errors=True) as profile:
        browser = Browser(driver, profile)
        try:
            for page in pages:
                for size, scheme in LOOKS:
                    browser.look(size, scheme)
                    if (size, scheme) == LOOKS[0]:
                        browser.open(f"{start}/{quote(page.as_posix())}")
                    # Doxygen's pages are for wide windows.
                    window = size[0] if page.parts[0] != "reference" or size == WIDE else None
                    wrong += [f"{page} ({size[0]} pixels, {scheme}): {what}" for what in judge(browser, window)]
            browser.look(*LOOKS[0])
            wrong += search(browser, start, searched)
        finally:
            browser.close()
    return wrong


def check(site, searched):
    """(how many pages were opened, what is wrong, why nothing was opened)."""
    driver = shutil.which("chromedriver")
    if not driver or not (shutil.which("chromium") or shutil.which("google-chrome")):
        return 0, [], ["no page was opened: chromium and chromium-driver are not installed"]
    pages = sorted(path.relative_to(site) for path in site.rglob("*.html"))
    several = min(4, len(os.sched_getaffinity(0)), len(pages))
    with served(site) as start, ThreadPoolExecutor(several) as pool:
        parts = [pages[i::several] for i in range(several)]
        found = list(pool.map(lambda i: check_pages(driver, start, parts[i], {} if i else searched), range(several)))
    return len(pages), sorted(each for part in found for each in part), []
