"""What a refused recipient says about the client, by the codes and the words of the mail server."""

import re
from typing import Final, Literal

Refusal = Literal["unknown", "relay", "policy", "ours"]
_CODE: Final = re.compile(rb"5\.([0-9]{1,3})\.([0-9]{1,3})")
_RELAY: Final = b"Relay access denied"


def postfix_refusal(code: bytes, words: bytes) -> Refusal:
    """Why Postfix refused, by its enhanced code (RFC 3463) and its own words; `ours` counts nothing.

    `words` must end where Postfix' words end, before `; from=<`.
    """
    form = _CODE.fullmatch(code)
    if form is None:
        return "ours" if code.startswith(b"4") else "policy"
    match form[1]:
        case b"1":
            return "policy" if form[2] in {b"7", b"8"} else "unknown"  # those speak of the sender's address
        case b"2" | b"3" | b"4":  # the mailbox (full, disabled), the mail system, the network
            return "ours"
        case b"7" if form[2] == b"1" and (words == _RELAY or words.endswith(b">: " + _RELAY)):
            return "relay"
    return "policy"


_EXIM_CODES: Final = re.compile(rb"\A5[0-9]{2}[ -](?:5\.[0-9]{1,3}\.[0-9]{1,3} )?")  # which an access list may say
_EXIM_UNKNOWN: Final = (
    b"Unrouteable address",
    b"Unknown user",
    b"unknown user",
    b"User unknown",
    b"no such ",
    b"No such ",
)
_EXIM_RELAY: Final = (b"relay not permitted", b"relaying denied", b"Relay not permitted", b"Relaying denied")


def exim_refusal(words: bytes) -> Refusal:
    """Why Exim refused for good, by the words of its routers and of its usual access lists; it logs no codes."""
    words = _EXIM_CODES.sub(b"", words)
    if words.startswith(_EXIM_UNKNOWN):
        return "unknown"
    return "relay" if words.startswith(_EXIM_RELAY) else "policy"
