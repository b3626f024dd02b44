"""What Postfix says to a policy service: requests as recorded from Postfix 3.7, and rebuilt here."""

from collections.abc import Mapping

CLIENT = ("192.0.2.1", 4711)
OTHER = ("192.0.2.2", 4712)


def attributes(
    state: str = "RCPT", context: str = "", client: tuple[str, object] = CLIENT, **values: object
) -> dict[bytes, bytes]:
    """The attributes of one request, those that a test does not care about at their usual values."""
    usual = {
        "request": "smtpd_access_policy",
        "protocol_state": state,
        "protocol_name": "ESMTP",
        "client_address": client[0],
        "client_port": client[1],
        "server_port": 25,
        "helo_name": "client.example.org",
        "sender": "me@example.org",
        "recipient": "user@example.test" if state == "RCPT" else "",
        "recipient_count": 0,
        "instance": "4cf0.6b034c15.88165.0",
        "stress": "",
        "sasl_username": "",
        "encryption_protocol": "",
        "policy_context": context,
    }
    return {name.encode(): str(value).encode() for name, value in {**usual, **values}.items()}


def octets(said: Mapping[bytes, bytes]) -> bytes:
    """One request as it is sent."""
    return b"".join(b"%s=%s\n" % pair for pair in said.items()) + b"\n"


def request(state: str = "RCPT", context: str = "", **values: object) -> bytes:
    """One request as it is sent, about the usual client."""
    return octets(attributes(state, context, **values))  # type: ignore[arg-type]  # `client` may be among the values
