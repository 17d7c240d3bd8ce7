"""A small, strict actor library after the model of Erlang/OTP; it needs asyncio and nothing else.

Actors, their supervision, mailboxes, timers and dead letters are here; ``simulation`` is for tests.
"""

from .actor import Actor, handles
from .clock import Clock, LoopClock
from .context import Context
from .dead_letters import DeadLetter, DeadLetterSink, Reason, RecentDeadLetters
from .errors import (
    ActorError,
    ActorStopped,
    ActorStuck,
    AskFailed,
    AskTimeout,
    KeysExhausted,
    MailboxFull,
    NameTaken,
    NoSuchActor,
    NotSerialisable,
    OperatorRestart,
    RestartIntensityExceeded,
    Unhandled,
)
from .group import group
from .keyed import KeyedRef
from .messages import Ask, Message, MessageCodec, Question, Terminated, message_name
from .ref import RecipientRef, Ref
from .snapshot import ActorSnapshot, GroupHealth, Health, State, StopReport
from .spec import Backoff, ChildSpec, MailboxPolicy, Overflow, Restart, Strategy, Supervision
from .system import ActorSystem
from .timers import Timer

__all__ = [
    "Actor",
    "ActorError",
    "ActorSnapshot",
    "ActorStopped",
    "ActorStuck",
    "ActorSystem",
    "Ask",
    "AskFailed",
    "AskTimeout",
    "Backoff",
    "ChildSpec",
    "Clock",
    "Context",
    "DeadLetter",
    "DeadLetterSink",
    "GroupHealth",
    "Health",
    "KeyedRef",
    "KeysExhausted",
    "LoopClock",
    "MailboxFull",
    "MailboxPolicy",
    "Message",
    "MessageCodec",
    "NameTaken",
    "NoSuchActor",
    "NotSerialisable",
    "OperatorRestart",
    "Overflow",
    "Question",
    "Reason",
    "RecentDeadLetters",
    "RecipientRef",
    "Ref",
    "Restart",
    "RestartIntensityExceeded",
    "State",
    "StopReport",
    "Strategy",
    "Supervision",
    "Terminated",
    "Timer",
    "Unhandled",
    "group",
    "handles",
    "message_name",
]
