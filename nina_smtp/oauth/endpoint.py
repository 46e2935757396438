"""One question to a provider: a form out, a JSON object back, with a total deadline and a limit.

No redirect is followed, since it would carry the secrets elsewhere. Nothing of an answer that is not
understood is shown or kept.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from nina_smtp.errors import CertificateRejected, CredentialError, NinaError
from nina_smtp.oauth import failures
from nina_smtp.oauth.client import OAuthClient, is_local
from nina_smtp.oauth.failures import Refusal
from nina_smtp.secret import Hidden, Secret
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import escaped

MAX_ANSWER = 64 * 1024

Form = Mapping[str, str | Secret | None]


def check_installed() -> None:
    """Raises InvalidCredential if the extra is not there."""
    if find_spec("httpx") is None:
        raise failures.missing_library()


async def ask(client: OAuthClient, url: str, form: Form) -> Hidden | Refusal:
    """What the provider answers; fields without a value are left out, the client's own are added.

    Raises TokenUnavailable for what may pass, CredentialError for an answer that is none.
    """
    form = {**form, "client_id": client.client_id, "client_secret": client.client_secret}
    answer = await _exchange(client, url, form)
    if isinstance(answer, NinaError):
        raise answer
    if answer.status == 429 or answer.status >= 500:
        raise failures.unavailable(url, f"it answers with status {answer.status}")
    if 300 <= answer.status < 400:
        raise failures.nonsense(url, answer.status, "redirects are not followed here")
    found = answer.json()
    if found is None:
        raise failures.nonsense(url, answer.status, "that is not the JSON of a token endpoint")
    code = found.get("error")
    if isinstance(code, str) and code:
        return _refusal(client, form, code, found.get("error_description"))
    if answer.status != 200:
        raise failures.nonsense(url, answer.status, "without an error that says why")
    return found


@dataclass(frozen=True, slots=True, repr=False)
class _Answer:
    """An answer that does not show what is in it: for the frames of a traceback."""

    status: int
    body: bytes

    def json(self) -> Hidden | None:
        try:
            found: Any = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return Hidden(cast(dict[str, Any], found)) if isinstance(found, dict) else None


async def _exchange(client: OAuthClient, url: str, form: Form) -> _Answer | NinaError:
    """Returns errors, and raises none: no traceback goes through here, where the secrets are in plain."""
    import httpx

    context = _context(client.ca_pem)
    local = is_local(urlsplit(url))  # a proxy has nothing to do with what stays on this machine
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "nina-smtp"}
    try:
        async with (
            asyncio.timeout(client.deadline),
            httpx.AsyncClient(
                verify=context, timeout=client.deadline, trust_env=not local, headers=headers
            ) as http,
            http.stream("POST", url, data=_plain(form), follow_redirects=False) as response,
        ):
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MAX_ANSWER:
                    return failures.nonsense(url, response.status_code, "with far more than a token")
            return _Answer(response.status_code, bytes(body))
    except (TimeoutError, httpx.TimeoutException):
        return failures.unavailable(url, f"it did not answer within {client.deadline:g} seconds")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return _unreached(url, error)


def _plain(form: Form) -> dict[str, str]:
    return {
        key: value.reveal() if isinstance(value, Secret) else value for key, value in form.items() if value
    }


def encoded(form: Form) -> str:
    """``form`` as the query of a URL."""
    return urlencode(_plain(form))


@lru_cache(maxsize=16)
def _context(ca_pem: str | None) -> ssl.SSLContext:
    from nina_smtp.smtp.server import Trust
    from nina_smtp.smtp.tls import client_context

    return client_context(Trust(ca_pem))


def _unreached(url: str, error: BaseException) -> CredentialError:
    seen: BaseException | None = error
    while seen:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return CertificateRejected(
                f"The certificate of {urlsplit(url).hostname} was rejected: {seen.verify_message}.",
                hint="Check the URL; give a private authority as caCertificate.",
                phase=Phase.AUTH.value,
            )
        seen = seen.__cause__ or seen.__context__
    return failures.unavailable(url, f"it cannot be reached ({type(error).__name__})")


def _refusal(client: OAuthClient, form: Form, code: str, description: object) -> Refusal:
    redact = client.redactor(*(value for value in form.values() if isinstance(value, Secret)))

    def shown(text: str) -> str:
        return escaped(redact(text[:4000].encode(errors="surrogatepass")))[: failures.MAX_SHOWN]

    return Refusal(shown(code), shown(description) if isinstance(description, str) else "")
