"""A small client of Chromium's DevTools protocol over its pipe: JSON messages that end in a 0 byte.

Only what the tests need: pages, calls, events, evaluated expressions, keys, screenshots.
"""

import base64
import fcntl
import json
import os
import select
import subprocess
import time

TIMEOUT_S = 60
KEYS = {"Enter": (13, "\r"), " ": (32, " "), "Tab": (9, "")}


class Browser:
    """A headless Chromium of its own; a context manager."""

    def __init__(self, arguments):
        """`arguments`: the program and its options, without those of the pipe."""
        self.reader, answers = os.pipe()
        commands, self.writer = os.pipe()
        # The browser reads commands from descriptor 3 and writes to 4; any of the four may be one
        # of these now, so copies stand out of the way first.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (commands, answers)]
        self.process = subprocess.Popen(
            [*arguments, "--remote-debugging-pipe", "about:blank"], stderr=subprocess.DEVNULL,
            close_fds=False, preexec_fn=lambda: [os.dup2(end, at) for end, at in zip(ends, (3, 4))],
        )  # fmt: skip
        for end in (commands, answers, *ends):
            os.close(end)
        self.buffer, self.events, self.number = b"", [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.reader)
        os.close(self.writer)

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reader], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self.reader, 1 << 20) if ready else b""
            if not data:
                raise TimeoutError("the browser does not answer")
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT_S
        while (answer := self.receive(deadline)).get("id") != self.number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def wait(self, method, session):
        """The first event of that name, past ones included."""
        deadline = time.monotonic() + TIMEOUT_S
        at = 0
        while True:
            while at < len(self.events):
                event = self.events[at]
                if event.get("method") == method and event.get("sessionId") == session:
                    return event["params"]
                at += 1
            self.events.append(self.receive(deadline))


class Page:
    """A tab. `errors` and `requests` grow with what it logs and asks for."""

    def __init__(self, browser, width=1600, height=1000, scheme="light"):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        feature = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=feature)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.browser.wait("Page.loadEventFired", self.session)

    def evaluate(self, expression):
        """The value of a JavaScript expression; what it throws is raised."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)  # fmt: skip
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def press(self, key):
        code, text = KEYS[key]
        common = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self, whole=False):
        """PNG bytes of the window, or of the whole page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def seen(self, *methods):
        """Parameters of this page's events of those names so far."""
        return [
            event["params"]
            for event in self.browser.events
            if event.get("sessionId") == self.session and event.get("method") in methods
        ]
