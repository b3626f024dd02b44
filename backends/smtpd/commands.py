"""What MAIL and RCPT say: addresses (RFC 5321 section 4.1.2, RFC 6531) and parameters (RFC 1870, RFC 6152)."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from backends.smtpd.replies import ProtocolError, Reply, syntax_error

_ADDRESS_LIMIT = 320  # RFC 5321 section 4.5.3.1: a local part of 64 octets, "@", a domain of 255
_DOMAIN_LIMIT = 255

_PATH = re.compile(
    r"""<(?:@[^\s:<>,"]+(?:,@[^\s:<>,"]+)*:)?               # a source route is read and forgotten (appendix F.2)
        (?P<local>"(?:\\[^\x00-\x1f\x7f]|[^"\\\x00-\x1f\x7f])*"
                 |[^\x00-\x20\x7f"(),:;<>@\[\]\\]+)
        (?:@(?P<domain>\[[^\s\[\]<>]*\]|[^\x00-\x20\x7f"(),:;<>@\[\]\\]+))?>""",
    re.VERBOSE,
)
_LABEL = re.compile(r"\w(?:[\w-]{0,61}\w)?\Z")  # underscores are no host names, and are used in sender domains
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?\Z")
_SIZE = re.compile(r"[0-9]{1,20}\Z")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox."""

    local: str
    """The local part with its quotes taken off."""
    domain: str
    """In lower case; "" for a bare `postmaster`."""
    text: str
    """As the client wrote it, without brackets and source route."""


@dataclass(frozen=True, slots=True)
class Sender:
    """What a MAIL command says."""

    address: Address | None
    """None for the null sender `<>`."""
    size: int = 0
    """The size the client announced, in bytes; 0 when it did not."""
    utf8: bool = False


NULL_SENDER = Sender(None)
"""`MAIL FROM:<>`: nobody to send a bounce to."""


def parse_mail(argument: str) -> Sender:
    """The argument of MAIL, from `FROM:` on. Raises ProtocolError."""
    text = _after("FROM:", argument)
    address: Address | None = None
    if text == "<>" or text.startswith("<> "):
        rest = text[2:]
    else:
        address, rest = _parse_path(text, "5.1.7")
        if not address.domain:
            raise ProtocolError(Reply(501, "5.1.7", "The sender address has no domain"))
    parameters = _parameters(rest)
    sender = Sender(address, _size(parameters), _flag(parameters, "SMTPUTF8"))
    _check_body(parameters)
    _refuse_unknown(parameters)
    _check_characters(argument, utf8=sender.utf8)
    return sender


def parse_rcpt(argument: str, *, utf8: bool) -> Address:
    """The argument of RCPT, from `TO:` on. Raises ProtocolError."""
    address, rest = _parse_path(_after("TO:", argument), "5.1.3")
    if not address.domain and address.local.lower() != "postmaster":
        raise ProtocolError(Reply(501, "5.1.3", "The recipient address has no domain"))
    _refuse_unknown(_parameters(rest))
    _check_characters(argument, utf8=utf8)
    return address


def valid_domain(domain: str) -> bool:
    """Whether the text can be a domain: labels of letters, digits, hyphens and underscores."""
    return len(domain.encode()) <= _DOMAIN_LIMIT and all(map(_LABEL.match, domain.split(".")))


def _after(keyword: str, argument: str) -> str:
    if argument[: len(keyword)].upper() != keyword:
        raise syntax_error(f"{keyword}<address> expected")
    return argument[len(keyword) :].strip(" ")  # many clients put a space after the colon


def _parse_path(text: str, enhanced: str) -> tuple[Address, str]:
    match = _PATH.match(text)
    rest = text[match.end() :] if match else ""
    if match is None or (rest and rest[0] != " "):
        raise ProtocolError(Reply(501, enhanced, "Bad address syntax"))
    local, domain = match["local"], match["domain"] or ""
    written = f"{local}@{domain}" if domain else local
    if len(written.encode()) > _ADDRESS_LIMIT:
        raise ProtocolError(Reply(501, enhanced, "Address too long"))
    if domain and not (_valid_literal(domain) if domain[0] == "[" else valid_domain(domain)):
        raise ProtocolError(Reply(501, enhanced, "Bad domain in address"))
    if local[0] == '"':
        local = _ESCAPED.sub(r"\1", local[1:-1])
    return Address(local, domain.lower(), written), rest


def _valid_literal(literal: str) -> bool:
    body = literal[1:-1]
    try:
        if body[:5].upper() == "IPV6:":
            IPv6Address(body[5:])
        else:
            IPv4Address(body)
    except AddressValueError:
        return False
    return "%" not in body


def _parameters(text: str) -> dict[str, str | None]:
    """Parameters by their name in upper case; those that are understood are taken out by their readers."""
    parameters: dict[str, str | None] = {}
    for word in text.split():
        match = _PARAMETER.match(word)
        if match is None or match[1].upper() in parameters:
            raise syntax_error("Bad parameter syntax")
        parameters[match[1].upper()] = match[2]
    return parameters


def _size(parameters: dict[str, str | None]) -> int:
    if "SIZE" not in parameters:
        return 0
    value = parameters.pop("SIZE") or ""
    if not _SIZE.match(value):
        raise syntax_error("Bad SIZE value")
    return int(value)


def _flag(parameters: dict[str, str | None], name: str) -> bool:
    if name not in parameters:
        return False
    if parameters.pop(name) is not None:
        raise syntax_error(f"{name} takes no value")
    return True


def _check_body(parameters: dict[str, str | None]) -> None:
    if "BODY" in parameters and (parameters.pop("BODY") or "").upper() not in {"7BIT", "8BITMIME"}:
        raise syntax_error("BODY is 7BIT or 8BITMIME")


def _refuse_unknown(parameters: dict[str, str | None]) -> None:
    if parameters:
        raise ProtocolError(Reply(555, "5.5.4", "Unsupported parameter"))


def _check_characters(argument: str, *, utf8: bool) -> None:
    if not (utf8 or argument.isascii()):
        raise ProtocolError(Reply(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8"))  # RFC 6531 section 3.5
    if not argument.isprintable():
        raise syntax_error("Characters that cannot be printed have no place in an address")
