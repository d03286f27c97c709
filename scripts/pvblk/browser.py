# SPDX-License-Identifier: MIT
"""A headless Chromium that shows one page, driven through its DevTools protocol on a pair of pipes."""

import base64
import itertools
import json
import os
import select
import subprocess

from . import ui

OPTIONS = ["--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
           "--disable-extensions", "--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars"]


# For an answer, on a busy machine.
SECONDS = 120


class Browser:
    """Messages are JSON, each ended by a zero byte: Chromium reads file 3 and writes file 4."""

    def __init__(self, profile, log):
        """`profile` is a new folder, for all that Chromium writes."""
        commands, self.commands = os.pipe()
        self.events, events = os.pipe()
        self.log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec chromium "$@" 3<&{commands} 4>&{events}', "bash", *OPTIONS,
                 f"--user-data-dir={profile}", "about:blank"], pass_fds=(commands, events),
                stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        os.close(commands)
        os.close(events)
        self.numbers = itertools.count(1)
        self.rest = b""
        self.session = None
        self.complaints = []
        self.requests = []
        pages = [target for target in self.ask("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        self.session = self.ask("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def close(self):
        os.close(self.commands)
        os.close(self.events)
        self.process.kill()
        self.process.wait()

    def ask(self, method, **parameters):
        number = self._send(method, parameters)
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        if "error" in answer:
            raise ui.Problem(f"Chromium refused {method}: {answer['error']['message']}", self.log)
        return answer["result"]

    def _send(self, method, parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        return number

    def _next(self):
        while b"\0" not in self.rest:
            if not select.select([self.events], [], [], SECONDS)[0]:
                raise ui.Problem(f"Chromium said nothing for {SECONDS} seconds", self.log)
            some = os.read(self.events, 1 << 16)
            if not some:
                raise ui.Problem("Chromium ended", self.log)
            self.rest += some
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        """Keeps the words that the page wrote to the console, its exceptions, and its requests of the network."""
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"]["exception"].get("description", "an exception"))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(" ".join(str(value.get("value")) for value in parameters["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            # The page stands still until it is answered.
            self.complaints.append(f"a dialog: {parameters['message']}")
            self._send("Page.handleJavaScriptDialog", {"accept": False})
        elif method == "Page.loadEventFired":
            self.loaded = True

    def show(self, path, fragment=""):
        """Loads the page anew, and returns when its scripts have run."""
        self._go("about:blank")
        self.complaints, self.requests = [], []
        self._go(f"file://{path}" + (f"#{fragment}" if fragment else ""))

    def _go(self, url):
        self.loaded = False
        self.ask("Page.navigate", url=url)
        while not self.loaded:
            self._note(self._next())

    def value(self, expression):
        """The value of an expression of JavaScript, or of its promise."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True,
                          awaitPromise=True)
        if "exceptionDetails" in answer:
            raise ui.Problem(f"{expression}: {answer['exceptionDetails']['exception']['description']}")
        return answer["result"].get("value")

    def press(self, key):
        """A key by its DOM name: "ArrowDown", "Enter", "/"."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"Enter": 13, "Tab": 9}.get(key, 0)
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=code)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def size(self, width, height=900):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        """"dark" or "light"."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
