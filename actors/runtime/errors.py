"""Everything the runtime may raise, under one root."""


class ActorError(Exception):
    """The root of every error of this package."""


class ActorStopped(ActorError):
    """The actor is stopped, failed or closing, and refuses what was asked of it."""


class MailboxFull(ActorError):
    """The mailbox has no room and its policy is not to wait for some."""


class KeysExhausted(MailboxFull):
    """Every place for a live key is taken and none of their holders is idle."""


class AskTimeout(ActorError, TimeoutError):
    """No reply came before the deadline of the ask."""


class AskFailed(ActorError):
    """The handler raised instead of replying; ``__cause__`` is what it raised."""


class Unhandled(ActorError):
    """The actor has no handler for this type of message."""


class NoSuchActor(ActorError, LookupError):
    """Nothing lives at this path, or no factory is registered for this class."""


class NameTaken(ActorError):
    """The parent already has a living child of this name."""


class RestartIntensityExceeded(ActorError):
    """A child failed more often than its supervisor tolerates; ``__cause__`` is the last failure."""


class OperatorRestart(ActorError):
    """The cause handed to an actor that was restarted on request."""


class NotSerialisable(ActorError, TypeError):
    """The message, or a field of it, has no JSON form or does not fit its declared type."""
