"""Registrable domains, as far as they may stand for a provider."""

import pytest

from frontproxy.lookup.registrable import Domains

DOMAINS = Domains(["Own.Example.", "hosting.co.uk"])


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("mail.example.com", "example.com"),
        ("example.com", "example.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", ""),
        ("com", ""),
        ("", ""),
        ("mail.example.nosuchtld", "example.nosuchtld"),
        ("mx.company.uk.com", "company.uk.com"),
        ("uk.com", ""),
        ("me.dyndns.org", "me.dyndns.org"),
        ("ec2-192-0-2-1.compute-1.amazonaws.com", ""),
        ("v220211012345678901.ultrasrv.de", ""),
        ("vps-1a2b3c4d.vps.ovh.ca", ""),
        ("vps123456.inmotionhosting.com", ""),
        ("ik1-123-45678.vs.sakura.ne.jp", ""),
        ("srv123456.hstgr.cloud", ""),
        ("mail.own.example", ""),
        ("www.hosting.co.uk", ""),
        ("mail.nothosting.co.uk", "nothosting.co.uk"),
        ("xn--mail-0ra.xn--bcher-kva.de", "xn--bcher-kva.de"),
    ],
)
def test_a_domain_stands_for_a_provider_or_not(name: str, domain: str) -> None:
    assert DOMAINS.of(name) == domain
