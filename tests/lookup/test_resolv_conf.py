"""The servers of resolv.conf, and when it has changed."""

from pathlib import Path

from frontproxy.lookup.resolv_conf import SERVERS_LIMIT, ResolvConf


def test_servers_are_read_and_the_rest_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_bytes(
        b"# nameserver 192.0.2.9\nsearch example.com\nnameserver 192.0.2.1\n  nameserver\t2001:db8::1 # ours\n"
        b"nameserver\nnameserver example.com\nnameserver fe80::1%lo\noptions ndots:2 \xff\n"
    )

    assert ResolvConf(path).servers() == (("192.0.2.1", 53), ("2001:db8::1", 53), ("fe80::1%lo", 53))


def test_servers_are_not_without_number(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\n" * 100)

    assert len(ResolvConf(path).servers()) == SERVERS_LIMIT


def test_no_file_is_no_server(tmp_path: Path) -> None:
    assert ResolvConf(tmp_path / "none").servers() == ()
    assert ResolvConf(tmp_path).servers() == ()


def test_a_change_is_seen_once(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    conf = ResolvConf(path)
    seen = [conf.has_changed(), conf.has_changed()]
    path.write_text("nameserver 192.0.2.1\n")
    seen += [conf.has_changed(), conf.has_changed()]
    path.unlink()
    seen += [conf.has_changed(), conf.has_changed()]

    assert seen == [True, False, True, False, True, False]
