"""The HTTP core: declared endpoints, and everything around them that no handler should have to think of."""

from gifty.core.http.readiness import NotReady, Readiness
from gifty.core.http.server import Runner, install
from gifty.core.http.settings import HttpSettings

__all__ = ["HttpSettings", "NotReady", "Readiness", "Runner", "install"]
