"""Every error of the package, organised by who must act.

::

    NinaError
    ├── ParameterError (ValueError)            the author of the workflow: a parameter
    │   ├── MissingParameter                   required, and no source has it
    │   ├── UnknownParameter                   no such key; names the nearest one
    │   ├── InvalidAddress                     not a mailbox (RFC 5321 4.1.2), or not one we would send to
    │   ├── InvalidAttachment                  bad base64, file name, content type or content id
    │   ├── TemplateError                      a template that cannot be read or filled in
    │   ├── ExtractError                       a JSONPath that cannot be read, or that finds too much
    │   ├── RecipientNotAllowed                the credential's recipient policy says no
    │   ├── LoopSuspected                      so many mails to one address look like a loop
    │   ├── KeyConflict                        the idempotency key was used for another mail
    │   ├── InvalidConfiguration               a configuration of another system that cannot be read
    │   └── InvalidSignature                   a signature that does not verify
    ├── WorkflowError (ValueError)             the author of the workflow: the graph
    ├── NotAttempted                           nobody: an earlier mail of the same node failed
    ├── Interrupted                            whoever ran it, and stopped it
    ├── InternalError                          the author of a node: a fault in its program
    ├── LedgerFailed                           whoever runs the host: the ledger cannot be read or written
    ├── CredentialError                        the owner of the credential
    │   ├── InvalidCredential (ValueError)     a field of the credential
    │   ├── ConnectFailed (ConnectionError)    no address, refused, unreachable, timed out
    │   ├── TlsFailed                          the handshake failed
    │   │   ├── CertificateRejected            expired, wrong name, unknown issuer, wrong pin
    │   │   └── TlsRequired                    STARTTLS is not offered, refused or tampered with
    │   ├── AuthUnavailable                    the mechanism asked for is not offered
    │   ├── AuthFailed                         the server refused the login, or the provider the token for it
    │   ├── TokenUnavailable                   the OAuth provider cannot be reached, or is out of order
    │   ├── LimitReached                       the credential's limits, or the provider's quota
    │   └── CircuitOpen                        the server failed so often that it is left alone for a while
    └── ServerError                            the server, or the network
        ├── ServerRefused                      it does not want this session (421, 554)
        ├── ProtocolViolation                  it answers what SMTP does not allow
        ├── ReplyTimeout (TimeoutError)        no complete reply in time
        ├── ConnectionLost (ConnectionError)   closed or reset before the message was out
        ├── SenderRefused                      MAIL FROM refused
        ├── RecipientsRefused                  every recipient refused
        ├── SomeRecipientsRefused              some recipients refused; the others got the mail
        ├── MessageRefused                     DATA or the message itself refused
        ├── MessageTooLarge                    larger than the SIZE the server announced
        ├── FeatureUnavailable                 the message needs SMTPUTF8 or 8BITMIME, and it is not offered
        └── DeliveryUncertain                  lost after the final dot: it may have been delivered

An error carries facts (``parameter``, ``phase``, ``code``…); its message says what happened and its
hint what to do. ``as_dict()`` is the JSON of the contract, section 5. No error holds a secret: server
text is redacted and escaped where it is read (:mod:`nina_smtp.smtp.replies`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from nina_smtp.smtp.replies import Reply


class NinaError(Exception):
    """Anything this package raises on purpose.

    ``retry`` is true when the same mail may be sent again at once without risk of a second copy and with
    some hope; ``uncertain`` when nobody can tell whether it was delivered.
    """

    type: ClassVar[str] = "error"
    transient: ClassVar[bool] = False
    uncertain: ClassVar[bool] = False
    transcript: tuple[str, ...] = ()
    """How a connection was opened, of an error that says it could not be."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        parameter: str | None = None,
        source: str | None = None,
        phase: str | None = None,
        reply: Reply | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.parameter = parameter
        self.source = source
        self.phase = phase
        self.reply = reply

    @property
    def code(self) -> int | None:
        """The reply code (RFC 5321 4.2), when a reply is the cause."""
        return self.reply.code if self.reply else None

    @property
    def enhanced_code(self) -> str | None:
        """The enhanced status code (RFC 3463), when the server gave one."""
        return self.reply.enhanced_code if self.reply else None

    @property
    def retry(self) -> bool:
        """Whether sending again later is safe and may help."""
        if self.uncertain:
            return False
        return self.reply.is_transient if self.reply else self.transient

    def as_dict(self) -> dict[str, Any]:
        """The error object of the contract, section 5; keys without a value are left out."""
        facts = {
            "type": self.type,
            "message": self.message,
            "hint": self.hint,
            "parameter": self.parameter,
            "source": self.source,
            "phase": self.phase,
            "code": self.code,
            "enhancedCode": self.enhanced_code,
            "reply": str(self.reply) if self.reply else None,
        }
        return {key: value for key, value in facts.items() if value is not None} | {
            "retry": self.retry,
            "uncertain": self.uncertain,
        }


class ParameterError(NinaError, ValueError):
    """A parameter of the node cannot be used as it is."""

    type = "invalidParameter"


class MissingParameter(ParameterError):
    """A required parameter is in none of the sources."""

    type = "missingParameter"


class UnknownParameter(ParameterError):
    """A key that is no parameter of the operation."""

    type = "unknownParameter"


class InvalidAddress(ParameterError):
    """Text that is not a mailbox we would send to."""

    type = "invalidAddress"


class InvalidAttachment(ParameterError):
    """An attachment whose content, name, type or id cannot be used."""

    type = "invalidAttachment"


class TemplateError(ParameterError):
    """A template that cannot be parsed, or that asks for what the item does not have."""

    type = "templateError"


class ExtractError(ParameterError):
    """A JSONPath that cannot be parsed, or whose matches do not fit the parameter."""

    type = "extractError"


class RecipientNotAllowed(ParameterError):
    """A recipient that the credential's policy keeps out."""

    type = "recipientNotAllowed"


class LoopSuspected(ParameterError):
    """More mails to one address in a short time than anybody wants to read."""

    type = "loopSuspected"


class KeyConflict(ParameterError):
    """An idempotency key that was used before, for a mail that is not this one."""

    type = "keyConflict"


class InvalidConfiguration(ParameterError):
    """A configuration of another system that cannot be read, or that says what cannot be done."""

    type = "invalidConfiguration"


class InvalidSignature(ParameterError):
    """A signature that is missing, malformed or does not verify."""

    type = "invalidSignature"


class WorkflowError(NinaError, ValueError):
    """A workflow that cannot run; ``problems`` lists everything wrong with it, each with its place."""

    type = "invalidWorkflow"

    def __init__(self, message: str, *, problems: tuple[dict[str, str], ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.problems = problems

    def as_dict(self) -> dict[str, Any]:
        """The error object, with ``problems``."""
        return super().as_dict() | {"problems": list(self.problems)}


class NotAttempted(NinaError):
    """A mail was left alone because an earlier one failed."""

    type = "notAttempted"


class Interrupted(NinaError):
    """Whoever started the work stopped it before this mail was out."""

    type = "interrupted"
    transient = True


class InternalError(NinaError):
    """A node failed in a way it should not: a fault in its program."""

    type = "internalError"


class LedgerFailed(NinaError):
    """The ledger cannot be read or written, so nothing may be sent: nobody would know of it afterwards."""

    type = "ledgerFailed"
    transient = True


def internal(error: Exception) -> InternalError:
    """An error that is none of ours, by its kind alone: its text may hold a secret."""
    return InternalError(
        f"The mail stopped on an unexpected {type(error).__name__}.",
        hint="If it has stored files, see whether they can be read; else this is a fault of the program.",
    )


class CredentialError(NinaError):
    """The credential, the host or the way to it."""

    type = "credentialError"


class InvalidCredential(CredentialError, ValueError):
    """A field of a credential that cannot be used."""

    type = "invalidCredential"


class ConnectFailed(CredentialError, ConnectionError):
    """No connection to the host."""

    type = "connectFailed"
    transient = True


class TlsFailed(CredentialError):
    """The TLS handshake failed."""

    type = "tlsFailed"


class CertificateRejected(TlsFailed):
    """The server's certificate is not one this credential trusts."""

    type = "certificateRejected"


class TlsRequired(TlsFailed):
    """STARTTLS is mandatory, and the server does not do it cleanly."""

    type = "tlsRequired"


class AuthUnavailable(CredentialError):
    """The server does not offer the SASL mechanism of the credential."""

    type = "authUnavailable"


class AuthFailed(CredentialError):
    """The server refused the login."""

    type = "authFailed"


class TokenUnavailable(CredentialError):
    """The OAuth provider gave no access token for a reason that may pass."""

    type = "tokenUnavailable"
    transient = True


class LimitReached(CredentialError):
    """The credential may send no more for now. ``until_seconds`` is how long that will be, if it is known."""

    type = "limitReached"
    transient = True

    def __init__(self, message: str, *, until_seconds: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.until_seconds = until_seconds


class CircuitOpen(CredentialError):
    """The server failed several times in a row, and is not tried again before ``until_seconds`` are over."""

    type = "circuitOpen"
    transient = True

    def __init__(self, message: str, *, until_seconds: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.until_seconds = until_seconds


class ServerError(NinaError):
    """The server, or the network between."""

    type = "serverError"


class ServerRefused(ServerError):
    """The server does not want the session."""

    type = "serverRefused"


class ProtocolViolation(ServerError):
    """The server said something SMTP does not allow there, so nothing it says can be relied on."""

    type = "protocolViolation"


class ReplyTimeout(ServerError, TimeoutError):
    """No complete reply before the deadline."""

    type = "replyTimeout"
    transient = True


class ConnectionLost(ServerError, ConnectionError):
    """The connection broke before the final dot was written: certainly not delivered."""

    type = "connectionLost"
    transient = True


class SenderRefused(ServerError):
    """MAIL FROM was refused."""

    type = "senderRefused"


class RecipientsRefused(ServerError):
    """Every recipient was refused."""

    type = "recipientsRefused"


class SomeRecipientsRefused(ServerError):
    """Some recipients were refused, and the others got the mail: sending it again would reach them twice."""

    type = "someRecipientsRefused"

    @property
    def retry(self) -> bool:
        """Never, not as it is."""
        return False


class MessageRefused(ServerError):
    """DATA, or the message after it, was refused."""

    type = "messageRefused"


class MessageTooLarge(ServerError):
    """The message is larger than the server takes (RFC 1870)."""

    type = "messageTooLarge"


class FeatureUnavailable(ServerError):
    """The message cannot be carried by this server without changing it."""

    type = "featureUnavailable"


class DeliveryUncertain(ServerError):
    """The final dot was written and no clear answer came: delivered or not, nobody can tell."""

    type = "deliveryUncertain"
    uncertain = True


def error_from_dict(shape: dict[str, Any] | Any) -> NinaError:
    """The error that ``as_dict`` wrote, as far as its kind and its words go: for what came through JSON."""
    kinds: dict[str, type[NinaError]] = {}
    waiting: list[type[NinaError]] = [NinaError]
    while waiting:
        kind = waiting.pop()
        kinds.setdefault(kind.type, kind)
        waiting.extend(kind.__subclasses__())
    facts = {key: shape.get(key) for key in ("hint", "parameter", "source", "phase")}
    return kinds.get(str(shape.get("type")), NinaError)(str(shape.get("message", "")), **facts)
