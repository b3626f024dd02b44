"""Host names: which texts are one, which look like an access line, and which domains say nothing about who sends.

A name looks like an access line if it says so (`dynamic`, `pool`, `dsl`), or if it holds the address. Words that stand
for mail servers excuse both, since their names hold numbers and addresses, too (`smtp-out-192-0-2-1`, `mail-pool1`);
unless a name does both, in different labels (`mx-ll-192-0-2-1.dynamic.isp.example`). So do words that say that the
address is fixed; but such a name tells of a customer, and the domain of its provider says nothing about who sends. The
registrable domain is never searched for words of lines: a company may be called Cable or Dynamic. If it is one of mail
(`m254-9.mailgun.example`), the end of the address is no sign: senders number their machines by it.
"""

import re
from collections.abc import Container, Iterator
from typing import Final

NAME_LIMIT: Final = 253
_is_host_name = re.compile(r"(?:[a-z0-9_-]{1,63}\.)+(?![0-9]+\Z)[a-z0-9-]{1,63}").fullmatch
_words = re.compile(r"[a-z]+").findall
_numbers = re.compile(r"[0-9]+").findall
_neighbours = re.compile(r"(?<![0-9])([0-9]{1,3})(?=[-._x]([0-9]{1,3})(?![0-9]))").findall
_hexadecimals = re.compile(r"[0-9a-f]+").findall
_SEPARATORS: Final = str.maketrans("", "", "-._")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SECOND_LEVEL: Final = _set("ac co com edu gob gov govt gv info mil ne net nom or org")
"""What companies' domains lie below in many countries: `isp.co.uk`."""
_ACCESS: Final = _set(
    """
    abo adsl bras broad broadband cable cablemodem catv cgn cgnat cpe ddns dhcp dial dialin dialup dip docsis dsl dslam
    dyn dynamic dynamicip dynip dynpool fbx fios ftth fttb fttx gpon gprs hsd hsia ipoe lte modem pool pools ppp pppoe
    resnet residential tdsl umts vdsl wifi wimax wireless xdsl
    """
)
_CUSTOMER: Final = _set("client clients cm cust customer customers home host mobile nat res subscriber subs user users")
"""They may stand for a line, together with numbers."""
_FIXED: Final = _set("fix fixed fixedip fixip sta static staticip statip")
_MAIL: Final = _set("esp imap list lists news out outgoing post postfix send")
_MAIL_BEGINS: Final = "bounce", "email", "mail", "mta", "mx", "newsletter", "outbound", "relay", "sender", "smtp"
_MAIL_NUMBERED: Final = _set("m mm mo")
"""So short that they only say what a number beside them is for: `m15-31`."""
_ENOUGH_DIGITS: Final = 3

GENERIC: Final = _set(
    """
    163data.com.cn airtelbroadband.in amazonaws.com amazonaws.com.cn arcor-ip.net as13285.net azure.com bbox.fr
    bbtec.net bestsrv.de bigpond.net.au brasiltelecom.net.br btcentralplus.com chello.nl choopa.net cloud-ips.com
    cloudapp.net colocrossing.com contaboserver.net dedibox.fr embarqhsd.net ghst.net goodsrv.de googleusercontent.com
    happysrv.de hostwindsdns.com hotsrv.de hstgr.cloud hvvc.us inmotionhosting.com interbusiness.it kimsufi.com
    leaseweb.com linode.com linodeusercontent.com luckysrv.de megasrv.de mvps.net nicesrv.de onlinehome-server.com
    onlinehome-server.info oraclecloud.com ovh.ca ovh.net ovh.us poneytelecom.eu powersrv.de prod-infinitum.com.mx
    proxad.net psychz.net quadranet.com quicksrv.de qwest.net rima-tde.net sakura.ne.jp sbcglobal.net scw.cloud
    serverkompetenz.net sfr.net shawcable.net sl-reverse.com softlayer.com speedy.com.ar startdedicated.com
    stratoserver.net superkabel.de supersrv.de t-dialin.net t-ipconnect.de tedata.net telesp.net.br telkomadsl.co.za
    tpnet.pl ttnet.com.tr ultrasrv.de veloxzone.com.br verizon.net virginm.net virtua.com.br vodafone-ip.de vultr.com
    vultrusercontent.com your-server.de yourvserver.net
    """
)
"""Registrable domains of lines and machines that are let to anybody: who shares one has nothing in common."""


def host_name(text: str) -> str:
    """The name in lower case, without the last dot; empty if it is no host name.

    Letters, digits, `-` and `_` (which hosts do have, whatever RFC 952 says), at least two labels, and no number at the
    end: nothing that could be taken for an address, for two words in a log line, or for something else in a terminal.
    """
    name = text.lower().removesuffix(".") if text.isascii() else ""
    return name if len(name) <= NAME_LIMIT and _is_host_name(name) else ""


def is_below(name: str, domains: Container[str]) -> bool:
    """The name is one of these domains, or lies in one."""
    return any(domain in domains for domain in _upwards(name))


def is_access_name(name: str, packed: bytes) -> bool:
    """A host name (`host_name`) looks like that of an access line, given the address it belongs to."""
    labels, domain = _parted(name)
    words = _words_of(labels)
    if words & _FIXED:
        return False
    others = _not_of_mail(labels)
    if len(others) < len(labels):
        return not _ACCESS.isdisjoint(_words_of(others)) and _holds(name, packed)
    if words & _ACCESS or (words & _CUSTOMER and sum(map(len, _numbers(".".join(labels)))) >= _ENOUGH_DIGITS):
        return True
    is_mailer = bool(words & _MAIL_NUMBERED) or any(map(_is_of_mail, _words(domain)))
    return _holds(name, packed) or (not is_mailer and _holds_end(".".join(labels), packed))


def is_customer_name(name: str, packed: bytes) -> bool:
    """A host name looks like one that a provider gives to its customers: of an access line, or of a fixed address.

    Its domain stands for nobody, then. So it does where mail and a line meet in a name (`relay7.dsl.isp.example`).
    """
    labels, _domain = _parted(name)
    has_words = _words_of(labels) & _FIXED or _words_of(_not_of_mail(labels)) & _ACCESS
    return bool(has_words) or is_access_name(name, packed)


def _upwards(name: str) -> Iterator[str]:
    """`mail.example.com`, `example.com`, `com`."""
    while name:
        yield name
        name = name.partition(".")[2]


def _parted(name: str) -> tuple[list[str], str]:
    """The labels before the registrable domain, and the first of that, as well as can be told without a suffix list."""
    labels = name.split(".")
    below_second_level = len(labels[-1]) == 2 and len(labels) > 2 and labels[-2] in _SECOND_LEVEL
    own = max(0, len(labels) - (3 if below_second_level else 2))
    return labels[:own], labels[own]


def _words_of(labels: list[str]) -> set[str]:
    return {word for label in labels for word in _words(label)}


def _not_of_mail(labels: list[str]) -> list[str]:
    return [label for label in labels if not any(map(_is_of_mail, _words(label)))]


def _is_of_mail(word: str) -> bool:
    return word in _MAIL or word.startswith(_MAIL_BEGINS) or word.endswith("mail")


def _holds(name: str, packed: bytes) -> bool:
    """The address is in the name: three or four of its octets as numbers, or all of it in one piece."""
    pieces = name.translate(_SEPARATORS)
    if packed.hex() in pieces or packed[::-1].hex() in pieces:
        return True
    if len(packed) != 4:
        return _holds_groups(name, packed)
    texts = _numbers(name)
    numbers = [int(text) if len(text) <= 3 else -1 for text in texts]
    octets = list(packed)
    threes = octets[:3], octets[1:], octets[2::-1], octets[:0:-1]
    return (
        any(sorted(numbers[at : at + 4]) == sorted(octets) for at in range(len(numbers) - 3))
        or any(numbers[at : at + 3] in threes for at in range(len(numbers) - 2))
        or not _glued(octets).isdisjoint(texts)
    )


def _glued(octets: list[int]) -> set[str]:
    """An IPv4 address as one number: each octet in three digits, in both orders; or all of it as one decimal."""
    padded = [f"{octet:03}" for octet in octets]
    return {"".join(padded), "".join(reversed(padded)), str(int.from_bytes(bytes(octets), "big"))}


def _holds_end(name: str, packed: bytes) -> bool:
    """The last two octets of an IPv4 address stand side by side: `host-2-1`, `1.2.isp.example`."""
    if len(packed) != 4:
        return False
    ends = [packed[2], packed[3]]
    return any(sorted(map(int, pair)) == sorted(ends) for pair in _neighbours(name))


def _holds_groups(name: str, packed: bytes) -> bool:
    """Four groups of an IPv6 address in a row: its network, or its host."""
    numbers = [int(text, 16) if len(text) <= 4 else -1 for text in _hexadecimals(name)]
    groups = [int.from_bytes(packed[at : at + 2], "big") for at in range(0, 16, 2)]
    fours = groups[:4], groups[4:], groups[3::-1], groups[:3:-1]
    return any(numbers[at : at + 4] in fours for at in range(len(numbers) - 3)) or packed[8:].hex() in name
