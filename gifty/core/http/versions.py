"""`/api/v1/...` and `/internal/...` as other names of `/api/...`, seen by the router before anything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from aiohttp import web
from aiohttp.web_urldispatcher import AbstractResource
from yarl import URL


class Alias(AbstractResource):
    """Answers under `prefix` whatever the router answers under `target`, 404 and 405 included.

    It stands in the router as a resource, the way aiohttp mounts sub-applications, and asks the router again with the
    other path. The request itself keeps the address it came with.
    """

    def __init__(self, router: web.UrlDispatcher, prefix: str, target: str) -> None:
        super().__init__()
        self._router = router
        self._prefix = prefix
        self._target = target
        self._depth = prefix.count("/")

    @property
    def canonical(self) -> str:
        """The prefix."""
        return self._prefix

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        """What the router finds under the target; nothing when that would lead back here."""
        path = request.rel_url.raw_path
        rest = path.split("/", self._depth + 1)[self._depth + 1 :]
        if not rest:
            return None, set()
        aliased = URL.build(path=f"{self._target}/{rest[0]}", encoded=True)
        if aliased.path_safe.startswith(f"{self._prefix}/"):
            return None, set()
        found = await self._router.resolve(request.clone(rel_url=aliased))
        if isinstance(found.http_exception, web.HTTPMethodNotAllowed):
            return found, found.http_exception.allowed_methods
        return found, set()

    def raw_match(self, path: str) -> bool:  # noqa: ARG002
        """No route is ever added here."""
        return False

    def get_info(self) -> Any:
        """For introspection."""
        return {"prefix": self._prefix, "target": self._target}

    def url_for(self, **_: str) -> NoReturn:
        """Addresses are written with their target."""
        raise RuntimeError("an alias has no address of its own")

    def add_prefix(self, prefix: str) -> NoReturn:  # noqa: ARG002
        """The application is flat."""
        raise RuntimeError("an alias cannot be mounted elsewhere")

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter(())


def add_aliases(router: web.UrlDispatcher) -> None:
    """Registers the two prefixes."""
    router.register_resource(Alias(router, "/api/v1", "/api"))
    router.register_resource(Alias(router, "/internal", "/api/internal"))
