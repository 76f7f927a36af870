"""Calls of the server, tried again while the connection or the server is away."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from backend.domain.json import Json
from backend.upload_command.errors import NoServer, Refused

_WAITS_S: Final = (1, 2, 5, 10, 20, 30)
_GIVES_UP_AFTER_S: Final = 600.0
"""So long nothing may come from the server, once it has answered."""
_MOST_TRIES: Final = 20
_PASSING: Final = frozenset({423, 429, 502, 503, 504})
OnWait = Callable[[str], None]


class Client:
    """A server, with a key for it. Safe for several threads.

    ``on_wait`` is called with a sentence while it waits for a next try, and with an empty one when it goes on.
    """

    def __init__(
        self,
        server: str,
        key: str,
        *,
        on_wait: OnWait = lambda _words: None,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.server = server.rstrip("/")
        self._on_wait, self._sleep = on_wait, sleep
        self._has_answered = False
        self._http = httpx.Client(
            base_url=f"{self.server}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(60, connect=10, write=15),
            trust_env=False,
            transport=transport,
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def json(self, method: str, path: str, **request: Any) -> dict[str, Json]:  # Any: httpx's arguments
        """The JSON of an answer, asked for until there is one.

        Raises:
            Refused: the server doesn't want it.
            NoServer: there was no answer for too long, or never one.
        """
        return self.persist(lambda: self.once(method, path, **request)).json()  # type: ignore[no-any-return]

    def once(self, method: str, path: str, **request: Any) -> httpx.Response:  # Any: httpx's arguments
        """One try.

        Raises:
            Refused: with the server's words.
            httpx.TransportError: the connection broke.
        """
        answer = self._http.request(method, path, **request)
        self._has_answered = True
        if answer.is_success:
            return answer
        raise _refusal(answer)

    def persist(self, attempt: Callable[[], httpx.Response]) -> httpx.Response:
        """What ``attempt`` returns, tried again while it fails for a reason that passes.

        Raises:
            Refused, NoServer
        """
        waited, tries = 0.0, 0
        while True:
            try:
                answer = attempt()
            except httpx.TransportError as error:
                reason = str(error)
                if not self._has_answered or waited >= _GIVES_UP_AFTER_S:
                    raise NoServer(self.server, reason, has_begun=self._has_answered) from error
            except Refused as refused:
                reason = refused.message
                if refused.status not in _PASSING or waited >= _GIVES_UP_AFTER_S:
                    raise
            else:
                if tries:
                    self._on_wait("")
                return answer
            waited, tries = waited + self._wait(tries, reason), tries + 1

    def wait_before_try(self, tries: int, error: Exception) -> None:
        """Wait the longer, the more often something failed without any progress. Raises NoServer after too many."""
        if tries > _MOST_TRIES:
            raise NoServer(self.server, str(error), has_begun=True) from error
        self._wait(tries - 1, str(error))
        self._on_wait("")

    def _wait(self, tries: int, reason: str) -> int:
        wait = _WAITS_S[min(tries, len(_WAITS_S) - 1)]
        self._on_wait(f"Connection lost ({reason or 'closed'}). Trying again in {wait} s; nothing is sent twice.")
        self._sleep(wait)
        return wait


def _refusal(answer: httpx.Response) -> Refused:
    try:
        error: Any = answer.json()["error"]  # Any: JSON
    except (ValueError, KeyError, TypeError):
        error = {}
    if not isinstance(error, Mapping) or not error.get("message"):
        words = {401: "The server doesn't know this key.", 404: "This is no Tellapart server, or a very old one."}
        message = words.get(answer.status_code, f"The server answered with {answer.status_code}.")
        return Refused(answer.status_code, message, "Check --server and TELLAPART_TOKEN.", {})
    return Refused(answer.status_code, error["message"], error.get("advice", ""), error.get("details", {}))
