"""SDK clients on other machines: what they are made of, and how to make them there."""

import inspect
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from agentcache.errors import OptionError
from agentcache.parent import CacheDomain
from agentcache.sdk.places import is_async

__all__ = ["ClientRecipe", "has_key", "key_of", "recipe_of"]

_KEYS: Final = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "ANTHROPIC_API_KEY")
_OTHERWISE: Final = {
    "default_headers": "_custom_headers",
    "default_query": "_custom_query",
    "api_version": "_api_version",
    "azure_ad_token": "_azure_ad_token",
    "azure_ad_token_provider": "_azure_ad_token_provider",
}
"""Settings that a client keeps under another name."""
_PLAIN: Final = (
    *("admin_api_key", "api_key", "auth_token", "credentials", "organization", "project"),
    *("timeout", "webhook_key", "webhook_secret", "websocket_base_url"),
)
_OWN: Final = ("SyncHttpxClientWrapper", "AsyncHttpxClientWrapper")
"""The HTTP clients that an SDK makes for itself."""


@dataclass(frozen=True, slots=True)
class ClientRecipe:
    """The class of a synchronous client and its settings.

    `secret` names the variable that holds its key where it runs, and the digest of that key.
    """

    kind: type[Any]
    settings: Mapping[str, Any]
    secret: tuple[str, str] | None = None

    def made(self) -> Any:
        """The client, made here; raises OptionError where its key is not in the environment."""
        if self.secret is None:
            return self.kind(**self.settings)
        name, digest = self.secret
        key = os.environ.get(name)
        if not has_key(name, digest):
            state = "is not set" if not key else "is another key"
            raise OptionError(
                f"{name} {state} on this worker. Set it there as where the graph was started."
            )
        return self.kind(**self.settings, api_key=key)


def recipe_of(client: Any, *, ships_keys: bool = False) -> ClientRecipe:
    """How to make a client elsewhere; raises OptionError for one that cannot be made anew.

    A key that stands in the environment here is read there too, unless `ships_keys`.
    """
    http: Any = getattr(client, "_client", None)
    if type(http).__name__ not in _OWN:
        raise OptionError(
            f"{type(client).__name__} has an http_client of its own ({type(http).__name__}), which "
            "cannot be sent to other machines. Open the session on a client without one."
        )
    kind = _twin(_kind(client)) if is_async(client) else _kind(client)
    known = inspect.signature(kind).parameters
    settings: dict[str, Any] = {"base_url": str(client.base_url), "max_retries": 0}
    for name in (*_PLAIN, *_OTHERWISE):
        value: Any = getattr(client, _OTHERWISE.get(name, name), None)
        if name in known and value is not None:
            settings[name] = _plain(value)
    provider = getattr(client, "_api_key_provider", None)
    if provider is not None:
        settings["api_key"] = provider
    secret = None if ships_keys else _secret(settings.get("api_key"))
    if secret is not None:
        settings.pop("api_key")
    return ClientRecipe(kind, settings, secret)


def _plain(value: Any) -> Any:
    """A setting without the SDK's own kind of mapping."""
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value


def key_of(client: Any) -> tuple[str, str] | None:
    """The variable that holds a client's key in this environment, and the digest of the key."""
    return _secret(getattr(client, "api_key", None))


def has_key(name: str, digest: str) -> bool:
    """Whether a variable holds this key in this environment."""
    return CacheDomain.digest(os.environ.get(name)) == digest


def _secret(key: Any) -> tuple[str, str] | None:
    if not isinstance(key, str) or not key:
        return None
    name = next((name for name in _KEYS if os.environ.get(name) == key), None)
    return None if name is None else (name, CacheDomain.digest(key))


def _kind(client: Any) -> type[Any]:
    found: type[Any] = client.__class__
    return found


def _twin(kind: type[Any]) -> type[Any]:
    """The synchronous class beside an asynchronous one."""
    for base in kind.__mro__:
        module = sys.modules.get(base.__module__)
        found = getattr(module, base.__name__.removeprefix("Async"), None)
        if base.__name__.startswith("Async") and inspect.isclass(found):
            return found
    raise OptionError(
        f"{kind.__name__} has no synchronous twin, which workers use. Open the session on a "
        "synchronous client."
    )
