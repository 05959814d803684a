"""A headless Chromium, driven over its own protocol through two pipes: no package is needed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS = 120.0

# Chromium reads commands from descriptor 3 and writes answers to 4.
_LAUNCH = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium() -> str | None:
    """Where a Chromium is installed, if there is one."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """One page of a headless Chromium.

    Attributes:
        events: What happened on the page: the protocol's events, in order.
    """

    def __init__(self, program: str, profile: Path, width: int = 1280, height: int = 900) -> None:
        self.events: list[dict[str, Any]] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._number = 0
        self._unread = b""
        self._session: str | None = None
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        options = [
            *("--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars"),
            *("--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage"),
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
        ]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # which root cannot have
        self._process = subprocess.Popen(
            [sys.executable, "-ISc", _LAUNCH, str(commands), str(answers), program, *options],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        try:
            self._attach(width, height)
        except BaseException:
            self.close()
            raise

    def _attach(self, width: int, height: int) -> None:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _SECONDS
        while self._number not in self._answers:
            self._read(end)
        answer = self._answers.pop(self._number)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self, end: float) -> None:
        ready, _, _ = select([self._from], [], [], max(0.0, end - time.monotonic()))
        assert ready, "The browser does not answer."
        data = os.read(self._from, 1 << 20)
        assert data, "The browser has ended."
        *messages, self._unread = (self._unread + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self.events.append(message)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page, as JSON; promises are awaited."""
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def open(self, url: str) -> None:
        """Go to another page, and forget what happened on the one before."""
        self.events.clear()
        result = self.send("Page.navigate", url=url)
        assert not result.get("errorText"), result

    def wait(self, expression: str) -> Any:
        """Wait until an expression is true, and return its value.

        As long as a page loads, what the expression asks for may not be there yet.
        """
        end = time.monotonic() + _SECONDS
        while True:
            try:
                if value := self.evaluate(expression):
                    return value
            except AssertionError:
                if time.monotonic() > end:
                    raise
            assert time.monotonic() < end, expression
            time.sleep(0.1)

    def happened(self, method: str) -> list[dict[str, Any]]:
        """The parameters of all events of one kind."""
        return [event["params"] for event in self.events if event["method"] == method]

    def screenshot(self) -> bytes:
        """The page as it is seen, as a PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        os.close(self._to)  # upon which Chromium ends
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)
