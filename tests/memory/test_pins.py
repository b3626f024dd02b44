"""Pins: found by the longest prefix, kept in a file that people may edit."""

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.address import pack
from frontproxy.core.mistakes import Mistaken
from frontproxy.memory.pins import Pin, PinError, Pins

NOW = 1.7e9


def pin(network: str, pool: str = "nice", *, until: float | None = None, because: str = "") -> Pin:
    return Pin(network, pool, until, because, NOW)


def pool_of(pins: Pins, address: str, now: float = NOW) -> str | None:
    found = pins.find(pack(address), now)
    return found.pool if found else None


def test_without_a_file_there_are_no_pins(tmp_path: Path) -> None:
    pins = Pins.load(tmp_path / "pins.toml")

    assert pins.find(pack("192.0.2.1"), NOW) is None
    assert pins.all(NOW) == []


def test_the_longest_prefix_wins(tmp_path: Path) -> None:
    networks = [("0.0.0.0/0", "all"), ("192.0.2.0/24", "network"), ("192.0.2.1", "client"), ("2001:db8::/32", "six")]
    pins = Pins(tmp_path / "pins.toml", [pin(network, pool) for network, pool in networks])

    assert pool_of(pins, "192.0.2.1") == "client"
    assert pool_of(pins, "192.0.2.2") == "network"
    assert pool_of(pins, "198.51.100.1") == "all"
    assert pool_of(pins, "2001:db8::1") == "six"
    assert pool_of(pins, "2001:db9::1") is None


def test_an_ipv6_address_pins_its_64(tmp_path: Path) -> None:
    pins = Pins(tmp_path / "pins.toml", [pin("2001:db8::1")])

    assert pool_of(pins, "2001:db8::2") == "nice"
    assert pool_of(pins, "2001:db8:0:1::1") is None
    assert pins.remove("2001:db8::3")


def test_a_pin_whose_time_is_over_gives_way_to_a_wider_one(tmp_path: Path) -> None:
    pins = Pins(tmp_path / "pins.toml", [pin("192.0.2.1", "short", until=NOW + 60), pin("192.0.2.0/24", "long")])

    assert pool_of(pins, "192.0.2.1", NOW + 59) == "short"
    assert pool_of(pins, "192.0.2.1", NOW + 60) == "long"
    assert [pinned.pool for pinned in pins.all(NOW + 60)] == ["long"]


def test_pins_outlive_the_process_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "var" / "pins.toml"
    pins = Pins.load(path)
    pins.add(pin("192.0.2.1", "nice", until=NOW + 60, because='the "big" partner'))
    pins.add(pin("192.0.2.0/24", "hostile"))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["pins.toml"]
    assert Pins.load(path).all(NOW) == pins.all(NOW) == [pin("192.0.2.0/24", "hostile"), *pins.all(NOW)[1:]]


def test_a_later_pin_replaces_the_earlier_one(tmp_path: Path) -> None:
    pins = Pins.load(tmp_path / "pins.toml")
    pins.add(pin("192.0.2.1", "nice"))
    pins.add(pin("192.0.2.1/32", "hostile"))

    assert [pinned.pool for pinned in pins.all(NOW)] == ["hostile"]


def test_unpinning_takes_exactly_that_network(tmp_path: Path) -> None:
    pins = Pins.load(tmp_path / "pins.toml")
    pins.add(pin("192.0.2.0/24"))

    assert not pins.remove("192.0.2.1")
    assert pins.remove("192.0.2.0/24")
    assert Pins.load(tmp_path / "pins.toml").all(NOW) == []


def test_a_pin_that_cannot_be_written_does_not_hold(tmp_path: Path) -> None:
    (tmp_path / "pins.toml.new").mkdir()
    pins = Pins.load(tmp_path / "pins.toml")

    with pytest.raises(OSError, match=r"pins\.toml\.new"):
        pins.add(pin("192.0.2.1"))
    assert pool_of(pins, "192.0.2.1") is None


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("192.0.2.1/24", "192.0.2.1/24 has bits set beyond its prefix length; the network is 192.0.2.0/24"),
        ("2001:db8::1/32", "2001:db8::1/32 has bits set beyond its prefix length; the network is 2001:db8::/32"),
        ("fe80::1%eth0", "'fe80::1%eth0' has a scope; a pin holds on every interface, so leave it out"),
        ("192.0.2.0/33", "'192.0.2.0/33' has no prefix length from 0 to 32"),
        ("192.0.2.0/", "'192.0.2.0/' has no prefix length from 0 to 32"),
        ("192.0.2.0/-1", "'192.0.2.0/-1' has no prefix length from 0 to 32"),
        ("::ffff:192.0.2.0/24", "'::ffff:192.0.2.0/24' has no prefix length from 96 to 128"),
        (
            "mail\n",
            r"'mail\n' is not an IPv4 or IPv6 address; write 192.0.2.1, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/32",
        ),
    ],
)
def test_what_is_no_network_is_refused_with_the_right_one(tmp_path: Path, network: str, said: str) -> None:
    with pytest.raises(PinError) as caught:
        Pins.load(tmp_path / "pins.toml").add(pin(network))

    assert str(caught.value) == said


def test_an_ipv4_network_in_ipv6_clothes_is_that_network(tmp_path: Path) -> None:
    assert pool_of(Pins(tmp_path / "pins.toml", [pin("::ffff:192.0.2.0/120")]), "192.0.2.7") == "nice"


@pytest.mark.parametrize("because", ["two\nlines", "\x1b[2J", "back\\slash", "x" * 201])
def test_a_reason_that_the_file_or_a_terminal_cannot_take_is_refused(tmp_path: Path, because: str) -> None:
    with pytest.raises(PinError, match="because"):
        Pins.load(tmp_path / "pins.toml").add(pin("192.0.2.1", because=because))


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(exclude_characters="\\"), max_size=200).filter(str.isprintable))
def test_every_reason_that_is_taken_can_be_read_again(tmp_path_factory: pytest.TempPathFactory, because: str) -> None:
    path = tmp_path_factory.getbasetemp() / "reasons.toml"
    Pins(path).add(pin("192.0.2.1", because=because))

    assert Pins.load(path).all(NOW) == [pin("192.0.2.1", because=because)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[pin]]\nnetwork = ", "is not TOML: Invalid value (at end of document)"),
        ("pin = 1", "pin: is not a list of [[pin]] tables"),
        ("pin = [1]", "pin number 1: it is not a table"),
        ("[[pins]]", "pins: is unknown; the file holds [[pin]] tables only"),
        ("[[pin]]\npool = 'nice'", "pin number 1: network is missing or no text"),
        ("[[pin]]\nnetwork = '192.0.2.1'", "pin number 1: pool is missing or no text"),
        ("[[pin]]\nnetwork = '192.0.2.1'\npool = ''", "pin number 1: the pool is empty"),
        ("[[pin]]\nnetwork = '192.0.2.1'\npool = 'nice'\nbecause = 1", "pin number 1: because is no text"),
        ("[[pin]]\nnetwork = '192.0.2.1'\npool = 'nice'\nuntil = 'soon'", "pin number 1: until is no number"),
        ("[[pin]]\nnetwork = '192.0.2.1'\npool = 'nice'\nuntil = nan", "pin number 1: until is nan, which is no time"),
        ("[[pin]]\nnetwork = '192.0.2.1'\npool = 'nice'\nfor = '1h'", "pin number 1: 'for' is unknown"),
        ("[[pin]]\nnetwork = '192.0.2.1/8'\npool = 'nice'", "the network is 192.0.0.0/8"),
    ],
)
def test_a_broken_file_is_a_mistake_with_its_remedy(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "pins.toml"
    path.write_text(text)

    with pytest.raises(Mistaken) as caught:
        Pins.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert str(caught.value).endswith("; correct it, or move the file away to begin without pins")


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes(b"# \xe9")

    for name in ("folder", "latin"):
        with pytest.raises(Mistaken, match="cannot be read"):
            Pins.load(tmp_path / name)


def test_what_was_edited_by_hand_survives_the_next_pin(tmp_path: Path) -> None:
    path = tmp_path / "pins.toml"
    pins = Pins.load(path)
    pins.add(Pin("192.0.2.1", "nice", None, "", 0.0))
    path.write_text(path.read_text().replace("192.0.2.1", "192.0.2.7"))

    pins.refresh()
    pins.add(Pin("192.0.2.2", "nice", None, "", 0.0))

    assert [pin.network for pin in Pins.load(path).all(0.0)] == ["192.0.2.2", "192.0.2.7"]


def test_pins_whose_time_is_over_leave_the_file_with_the_next_one(tmp_path: Path) -> None:
    pins = Pins.load(tmp_path / "pins.toml")
    pins.add(Pin("192.0.2.1", "nice", 100.0, "", 0.0))

    pins.add(Pin("192.0.2.2", "nice", None, "", 200.0))

    assert "192.0.2.1" not in (tmp_path / "pins.toml").read_text()
