"""Host names: the texts that are one, and those that look like an access line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from frontproxy.core.address import pack
from frontproxy.core.names import GENERIC, host_name, is_access_name, is_below, is_customer_name

LINES = [
    ("73.1.2.3", "c-73-1-2-3.hsd1.ca.comcast.net"),
    ("91.15.240.31", "p5b0ff01f.dip0.t-ipconnect.de"),
    ("84.170.1.2", "p54aa0102.dip.t-dialin.net"),
    ("83.45.123.15", "15.red-83-45-123.dynamicip.rima-tde.net"),
    ("77.60.3.4", "x4d3c0304.dyn.telefonica.de"),
    ("71.162.3.4", "pool-71-162-3-4.phlapa.fios.verizon.net"),
    ("24.93.1.2", "cpe-24-93-1-2.rochester.res.rr.com"),
    ("86.200.3.4", "lfbn-lyo-1-212-4.w86-200.abo.wanadoo.fr"),
    ("90.20.1.2", "alille-651-1-20-2.w90-20.abo.wanadoo.fr"),
    ("78.192.3.4", "fbxleg-78-192-3-4.fbx.proxad.net"),
    ("81.1.2.3", "host81-1-2-3.range81-1.btcentralplus.com"),
    ("82.3.4.5", "cpc1-bolt12-2-0-cust4.10-3.cable.virginm.net"),
    ("188.100.1.2", "dslb-188-100-001-002.188.100.pools.vodafone-ip.de"),
    ("95.88.1.2", "ip5f580102.dynamic.kabel-deutschland.de"),
    ("213.47.1.2", "chello213047001002.12.14.vie.surfer.at"),
    ("83.24.1.2", "aaa2.neoplus.adsl.tpnet.pl"),
    ("189.1.2.3", "dsl-189-1-2-3-dyn.prod-infinitum.com.mx"),
    ("201.6.1.2", "c9060102.virtua.com.br"),
    ("177.1.2.3", "177-1-2-3.user3p.brasiltelecom.net.br"),
    ("222.186.1.2", "2.1.186.222.broad.zj.js.dynamic.163data.com.cn"),
    ("110.164.1.2", "mx-ll-110-164-1-2.dynamic.3bb.co.th"),
    ("122.160.1.2", "abts-north-dynamic-002.1.160.122.airtelbroadband.in"),
    ("151.20.1.2", "ppp-2-1.20-151.wind.it"),
    ("79.10.1.2", "host2-1-dynamic.10-79-r.retail.telecomitalia.it"),
    ("1.160.3.4", "1-160-3-4.dynamic-ip.hinet.net"),
    ("126.1.2.3", "softbank126001002003.bbtec.net"),
    ("99.240.1.2", "cpe00fc8d7f2a13-cm00fc8d7f2a10.cpe.net.cable.rogers.com"),
    ("192.0.2.1", "3221225985.isp.example"),
    ("192.0.2.1", "192000002001.isp.example"),
    ("192.0.2.1", "host-2-1.city.isp.example"),
    ("192.0.2.1", "1.2.isp.example"),
    ("192.0.2.1", "client-2-1.isp.co.uk"),
    ("192.0.2.1", "user-12345.isp.example"),
    ("198.61.254.9", "198-61-254-9.mailgun.net"),
    ("198.61.254.9", "254-9.dsl.mailgun.net"),
    ("198.61.254.9", "user-254.mailgun.net"),
    ("192.0.2.1", "h2-1.isp.mail"),
    ("192.0.2.1", "s2-1.t-mobile.example"),
    ("192.0.2.1", "m192-0-2-1.isp.example"),
    ("192.0.2.1", "mu2-1.isp.example"),
    ("3.80.1.2", "ec2-3-80-1-2.compute-1.amazonaws.com"),
    ("34.90.1.2", "2.1.90.34.bc.googleusercontent.com"),
    ("2001:db8:12:3400::a", "2001-db8-12-3400--a.isp.example"),
    ("2001:db8:12:3400:1:2:3:4", "host.20010db8001234000001000200030004.isp.example"),
    ("2a02:8109:1:2::1", "ip6-2a02-8109-1-2.customers.isp.example"),
    ("2003:d0:1:2::3", "p200300d0000100020000000000000003.dip0.t-ipconnect.de"),
]

SERVERS = [
    ("209.85.220.41", "mail-sor-f41.google.com"),
    ("209.85.128.170", "mail-yw1-f170.google.com"),
    ("40.107.22.55", "mail-eopbgr22055.outbound.protection.outlook.com"),
    ("40.107.1.2", "mail-am6eur05on2102.outbound.protection.outlook.com"),
    ("167.89.123.45", "o16789123x45.outbound-mail.sendgrid.net"),
    ("149.72.1.2", "o1.ptr1234.example.com"),
    ("54.240.8.42", "a8-42.smtp-out.amazonses.com"),
    ("205.201.131.12", "mail12.atl161.mcsv.net"),
    ("198.2.1.2", "mail2.suw11.mcdlv.net"),
    ("212.227.126.130", "mout.kundenserver.de"),
    ("194.25.134.17", "mailout04.t-online.de"),
    ("96.114.154.162", "resqmta-po-03v.sys.comcast.net"),
    ("80.12.242.14", "smtp-14.smtpout.orange.fr"),
    ("213.209.1.2", "mx-12-34.example.com"),
    ("192.0.2.1", "smtp-out-192-0-2-1.example.com"),
    ("192.0.2.1", "mx-2-1.example.com"),
    ("192.0.2.1", "mta-192-0-2-1.sparkpostmail.com"),
    ("192.0.2.1", "relay192-0-2-1.example.com"),
    ("192.0.2.1", "mail-pool1.example.com"),
    ("192.0.2.1", "out-pool-192-0-2-1.example.com"),
    ("192.0.2.1", "smtp.adsl.isp.example"),
    ("66.163.185.1", "sonic304-23.consmr.mail.ne1.yahoo.com"),
    ("192.0.2.1", "mail.dynamic.co.uk"),
    ("192.0.2.1", "cable.example"),
    ("192.0.2.1", "server1.cable.com"),
    ("192.0.2.1", "client1.example.com"),
    ("192.0.2.1", "web2.example.com"),
    ("192.0.2.1", "static.1.2.0.192.clients.your-server.de"),
    ("71.162.3.4", "static-71-162-3-4.phlapa.fios.verizon.net"),
    ("198.61.254.9", "m254-9.mailgun.net"),
    ("159.135.228.10", "so254-10.mailgun.net"),
    ("161.38.192.7", "rs192-7.eu.mailgun.net"),
    ("185.53.129.10", "s10-129.mailup.com"),
    ("220.181.15.31", "m15-31.126.com"),
    ("158.106.200.9", "h9-200.klaviyomail.com"),
    ("192.0.2.1", "s2-1.mailer.co.uk"),
    ("192.0.2.1", "lists.debian.org"),
    ("192.0.2.1", "vger.kernel.org"),
    ("192.0.2.1", "camomile.cloud9.net"),
    ("192.0.2.1", "liverpool.example.com"),
    ("2001:db8::1", "mail.example.com"),
    ("2001:db8:1:2::3", "mail-2001-db8-1-2.example.com"),
    ("2a00:1450:4864:20::22a", "mail-lj1-x22a.google.com"),
    ("2607:f8b0:4864:20::f2b", "node4864-20.example.com"),
    ("192.0.2.1", ""),
    ("192.0.2.1", "example"),
]


@pytest.mark.parametrize(("address", "name"), LINES)
def test_a_line_looks_like_one(address: str, name: str) -> None:
    assert is_access_name(name, pack(address))


@pytest.mark.parametrize(("address", "name"), SERVERS)
def test_a_server_does_not_look_like_a_line(address: str, name: str) -> None:
    assert not is_access_name(name, pack(address))


@pytest.mark.parametrize(("address", "name"), LINES)
def test_a_line_is_a_customers(address: str, name: str) -> None:
    assert is_customer_name(name, pack(address))


@pytest.mark.parametrize(
    "name",
    [
        "static-198-51-100-7.nyc.biz.rr.com",
        "198-51-100-7-static.hfc.comcastbusiness.net",
        "7.100.51.198.static.gvt.net.br",
        "static-ip-7.telenor.se",
        "static.vnpt.vn",
        "7.red-198-51-100.staticip.rima-tde.net",
        "198-51-100-7.fixed.kpn.net",
        "mail.static.isp.example",
        "smtp-static-7.isp.example",
        "mx7.pool.isp.example",
        "relay7.dsl.isp.example",
    ],
)
def test_a_customer_that_is_no_line_says_nothing_about_its_provider(name: str) -> None:
    assert not is_access_name(name, pack("198.51.100.7"))
    assert is_customer_name(name, pack("198.51.100.7"))


@pytest.mark.parametrize(
    "name",
    [
        "198-51-100-7.mail-mail.facebook.com",
        "mta-198-51-100-7.sparkpostmail.com",
        "mail-pool1.example.com",
        "m100-7.mailgun.net",
        "static.example",
        "mail.fixed.co.uk",
        "example.com",
        "",
    ],
)
def test_a_sender_is_nobodys_customer(name: str) -> None:
    assert not is_customer_name(name, pack("198.51.100.7"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mail.Example.COM.", "mail.example.com"),
        ("my_host-1.example.com", "my_host-1.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a." * 126 + "b", "a." * 126 + "b"),
        ("a." * 127 + "b", ""),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        ("a" * 64 + ".example", ""),
        ("localhost", ""),
        ("", ""),
        (".", ""),
        ("example.com..", ""),
        (".example.com", ""),
        ("a..example.com", ""),
        ("192.0.2.1", ""),
        ("mail.example.123", ""),
        ("mail.example.1a", "mail.example.1a"),
        ("a b.example.com", ""),
        ("a\n.example.com", ""),
        ("mail.example.com\n", ""),
        ("a\\.b.example.com", ""),
        ("\x1b[2J.example.com", ""),
        ("bücher.example", ""),
        ("\u212a.example.com", ""),  # the sign of Kelvin becomes a k in lower case
        ("a/b.example.com", ""),
    ],
)
def test_a_host_name_is_letters_digits_and_dots(text: str, name: str) -> None:
    assert host_name(text) == name


@given(
    st.text() | st.from_regex(r"[a-z0-9_.-]{0,80}", fullmatch=True),
    st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
)
def test_no_name_is_too_odd(text: str, packed: bytes) -> None:
    name = host_name(text)

    assert host_name(name) == name
    assert name == "" or set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert is_access_name(name, packed) <= is_customer_name(name, packed)


@given(st.binary(min_size=4, max_size=4))
def test_an_address_is_found_however_it_is_written(packed: bytes) -> None:
    a, b, c, d = packed
    padded = [f"{octet:03}" for octet in packed]
    for label in (
        f"{a}-{b}-{c}-{d}",
        f"h{d}.{c}.{b}.{a}",
        f"ip{a}_{b}_{c}_{d}",
        f"{d}.net-{a}-{b}-{c}",
        "-".join(padded),
        "".join(padded),
        packed.hex(),
        f"p{packed[::-1].hex()}",
        f"x{c}-{d}",
        f"{d}.{c}",
    ):
        assert is_access_name(f"{label}.isp.example", packed), label


def test_generic_domains_are_registrable_and_generic_is_what_lies_below() -> None:
    suffixes = PublicSuffixList(only_icann=True)

    assert [domain for domain in GENERIC if suffixes.privatesuffix(domain) != domain] == []
    assert is_below("ec2-192-0-2-1.compute-1.amazonaws.com", GENERIC)
    assert is_below("amazonaws.com", GENERIC)
    assert not is_below("notamazonaws.com", GENERIC)
    assert not is_below("", GENERIC)
