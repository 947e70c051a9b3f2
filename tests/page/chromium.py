"""A real browser for the tests: QtWebEngine, which is Chromium, without a screen."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEventLoop, QPoint, Qt, QTimer, QUrl
from PySide6.QtTest import QTest
from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineUrlRequestInterceptor
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QApplication

__all__ = ["Browser"]

KEYS = {
    "Tab": Qt.Key.Key_Tab,
    "Enter": Qt.Key.Key_Return,
    "Esc": Qt.Key.Key_Escape,
    "Up": Qt.Key.Key_Up,
    "Down": Qt.Key.Key_Down,
    "Left": Qt.Key.Key_Left,
    "Right": Qt.Key.Key_Right,
    "Home": Qt.Key.Key_Home,
    "End": Qt.Key.Key_End,
    "Space": Qt.Key.Key_Space,
}


class _Requests(QWebEngineUrlRequestInterceptor):
    """Notes every address that the page asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def interceptRequest(self, info: Any) -> None:  # noqa: N802 - Qt's name
        self.urls.append(info.requestUrl().toString())


class _Page(QWebEnginePage):
    """Keeps what the console says and what dialogs a script opens."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.said: list[str] = []

    def javaScriptConsoleMessage(self, level: Any, text: str, line: int, source: str) -> None:  # noqa: N802
        self.said.append(f"{text} ({source}:{line})")

    def javaScriptAlert(self, origin: Any, text: str) -> None:  # noqa: N802
        self.said.append(f"alert: {text}")


class Browser:
    """One window. Keys and the mouse go to it as a person's would."""

    def __init__(self) -> None:
        self._app = QApplication.instance() or QApplication([])
        self.view = QWebEngineView()
        self._page = _Page(self.view)
        self.view.setPage(self._page)
        self._requests = _Requests()
        self._page.setUrlRequestInterceptor(self._requests)
        self.resize(1280, 900)
        self.view.show()

    @property
    def said(self) -> list[str]:
        """What the console said since the page was opened."""
        return self._page.said

    @property
    def asked_for(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        return self._requests.urls

    def open(self, path: Path) -> None:
        """Load a file, as a double click does."""
        self.said.clear()
        self.asked_for.clear()
        self._load(QUrl.fromLocalFile(str(path)))

    def again(self) -> None:
        """Load the page once more."""
        self._load(self.view.url())

    def _load(self, url: QUrl) -> None:
        loop = QEventLoop()
        self._page.loadFinished.connect(loop.quit)
        self.view.load(url)
        QTimer.singleShot(30_000, loop.quit)
        loop.exec()
        self._page.loadFinished.disconnect(loop.quit)
        self.view.setFocus()

    def resize(self, width: int, height: int) -> None:
        """Make the window this large."""
        self.view.resize(width, height)
        QTest.qWait(150)

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        loop, found = QEventLoop(), []

        def done(value: Any) -> None:
            found.append(value)
            loop.quit()

        self._page.runJavaScript(f"JSON.stringify({expression})", done)
        QTimer.singleShot(10_000, loop.quit)
        loop.exec()
        return json.loads(found[0]) if found and found[0] else None

    def press(self, *keys: str) -> None:
        """Press keys, by name, or type a text."""
        target = self.view.focusProxy() or self.view
        for key in keys:
            if key in KEYS:
                QTest.keyClick(target, KEYS[key])
            else:
                QTest.keyClicks(target, key)
            QTest.qWait(60)

    def point(self, selector: str) -> None:
        """Move the mouse to the middle of an element."""
        x, y = self.js(
            f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        QTest.mouseMove(self.view.focusProxy() or self.view, QPoint(round(x), round(y)))
        QTest.qWait(150)

    def until(self, holds: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Wait until something holds; say whether it does."""
        end = time.monotonic() + seconds
        while not holds() and time.monotonic() < end:
            QTest.qWait(50)
        return holds()

    def shoot(self, name: str) -> None:
        """Save a picture, where a folder for pictures was named."""
        folder = os.environ.get("PAGE_PICTURES")
        if folder:
            QTest.qWait(300)
            self.view.grab().save(str(Path(folder) / f"{name}.png"))
