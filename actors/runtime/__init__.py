"""A small, strict actor library after the model of Erlang/OTP; it needs asyncio and nothing else. It promises:

- every mailbox is bounded, and its depth can be seen;
- an ask never hangs: it is answered, refused, or timed out by its deadline;
- no more restarts than allowed within the window; then the parent fails, and at the root ``health`` says so;
- a restart loses the message in hand at most, and that one is a dead letter with its cause;
- a system stops in reverse order of start, children before parents, within its deadline;
- control overtakes data;
- in a simulation the same seed gives the same interleaving and the same trace.

An actor that tells itself should use ``tell_nowait``: waiting for room in its own mailbox, it would wait in vain.
"""

from .actor import Actor, Clock, Context, Timer, group, handles
from .errors import ActorError, ActorStopped, AskFailed, AskTimeout, KeysExhausted, MailboxFull, NameTaken

# isort: split
from .errors import NoSuchActor, NotSerialisable, OperatorRestart, RestartIntensityExceeded, Unhandled
from .mailbox import Ref
from .messages import Ask, DeadLetter, DeadLetterSink, Message, MessageCodec, Reason, RecentDeadLetters, Terminated
from .spec import ActorSnapshot, Backoff, ChildSpec, Health, MailboxPolicy, Overflow, Restart, State

# isort: split
from .spec import StopReport, Strategy, Supervision
from .system import ActorSystem

__all__ = [
    "Actor", "ActorError", "ActorSnapshot", "ActorStopped", "ActorSystem", "Ask", "AskFailed", "AskTimeout", "Backoff",
    "ChildSpec", "Clock", "Context", "DeadLetter", "DeadLetterSink", "Health", "KeysExhausted",
    "MailboxFull", "MailboxPolicy", "Message", "MessageCodec", "NameTaken", "NoSuchActor", "NotSerialisable",
    "OperatorRestart", "Overflow", "Reason", "RecentDeadLetters", "Ref", "Restart", "RestartIntensityExceeded", "State",
    "StopReport", "Strategy", "Supervision", "Terminated", "Timer", "Unhandled", "group", "handles",
]  # fmt: skip
