"""The log: one JSON object a line, written by a thread of its own so that no request waits for a disk or a terminal."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import queue
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import orjson

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CAPACITY: Final = 10_000
_LONGEST: Final = 20_000
_LAST_WRITE_SECONDS: Final = 5.0
_MASK: Final = "***"

# Patterns begin where a word begins and give nothing back; otherwise one long word holds the process up for a minute.
_NAMED_SO: Final = (
    r"(?<![\w.-])(?>[\w.-]*?(?:password|passwd|secret|token|api[_-]?key|authorization|cookie|session|signature|credential)"
    r"[\w.-]*)"
)
_SECRETS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {_MASK}"),
    (re.compile(r"(?i)\b((?:set-)?cookie)(\s*[:=]\s*)[^\r\n]+"), rf"\1\2{_MASK}"),
    (re.compile(rf"(?i)([\"']?)({_NAMED_SO})\1(\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&\"'}}]+)"), rf"\1\2\1\3{_MASK}"),
    (re.compile(r"(\b\w++://[^/\s:@]*):[^/\s@]+@"), rf"\1:{_MASK}@"),
    (re.compile(r"\beyJ[\w-]{1,1000}+\.[\w-]++\.[\w-]*"), _MASK),
    (re.compile(r"(?<!\d)\d{6,}:[\w-]{30,}\b"), _MASK),
    (re.compile(r"\b(?:sk|pk|rk|gsk|xox[abp]|ghp)[-_][\w-]{16,}\b"), _MASK),
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def mask(text: str) -> str:
    """The text without tokens, passwords, cookies and keys."""
    for pattern, put in _SECRETS:
        text = pattern.sub(put, text)
    return text


class JsonFormatter(logging.Formatter):
    """One JSON object a line. A line break inside a message is escaped by JSON, so nobody can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()[:_LONGEST]),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                entry[name] = mask(value[:_LONGEST]) if isinstance(value, str) else value
        if record.exc_info:
            entry["exception"] = mask(self.formatException(record.exc_info)[-_LONGEST:])
        return _dumps(entry)


class TextFormatter(logging.Formatter):
    """A line for a person at a terminal, with the same masks."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below it."""
        when = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        extra = " ".join(f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD)
        words = [when, f"{record.levelname.lower():<7}", record.name, record.getMessage()[:_LONGEST], extra]
        line = _CONTROL.sub("�", mask(" ".join(word for word in words if word))).replace("\n", "\\n")
        if record.exc_info:
            line = f"{line}\n{mask(self.formatException(record.exc_info)[-_LONGEST:])}"
        return line


def _dumps(entry: dict[str, Any]) -> str:
    try:
        line = orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        line = orjson.dumps({name: str(value).encode("utf-8", "replace").decode() for name, value in entry.items()})
    return line.decode()


class _Intake(logging.handlers.QueueHandler):
    """Hands records to the writing thread as they are. A full queue drops and counts; it never makes a caller wait."""

    def __init__(self, waiting: queue.Queue[Any]) -> None:
        super().__init__(waiting)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Formatting is the thread's work."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Without waiting."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Writer(logging.handlers.QueueListener):
    """The thread that formats and writes."""

    def enqueue_sentinel(self) -> None:
        """Asks the thread to stop, also when the queue is full of what it has yet to write."""
        self.queue.put(self._sentinel, timeout=_LAST_WRITE_SECONDS)  # type: ignore[attr-defined]


class LogPipeline:
    """The root logger, a bounded queue, and the thread that writes."""

    def __init__(self, stream: TextIO, *, level: str, form: Literal["json", "text"], capacity: int = _CAPACITY) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(capacity)
        self._intake = _Intake(self._queue)
        writer = logging.StreamHandler(stream)
        writer.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
        self._listener = _Writer(self._queue, writer)
        self._level = level
        self._before: tuple[list[logging.Handler], int] = ([], logging.WARNING)

    @property
    def dropped(self) -> int:
        """Records that found the queue full."""
        return self._intake.dropped

    def start(self) -> None:
        """Takes over the root logger."""
        root = logging.getLogger()
        self._before = list(root.handlers), root.level
        root.handlers[:] = [self._intake]
        root.setLevel(self._level)
        self._listener.start()

    def stop(self) -> None:
        """Writes what is waiting and gives the root logger back."""
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)
        self._listener.stop()


@contextlib.contextmanager
def logging_to(
    stream: TextIO | None = None, *, level: str = "INFO", form: Literal["json", "text"] = "json"
) -> Iterator[LogPipeline]:
    """Logs to `stream` (stderr) for as long as the context lasts."""
    pipeline = LogPipeline(stream or sys.stderr, level=level, form=form)
    pipeline.start()
    try:
        yield pipeline
    finally:
        pipeline.stop()
