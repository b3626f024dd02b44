"""What a refused recipient says about the client."""

import pytest

from frontproxy.core.refusal import exim_refusal


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (b"Unrouteable address", "unknown"),
        (b"550 5.1.1 Unknown user", "unknown"),
        (b"550 Unknown user", "unknown"),
        (b"relay not permitted", "relay"),
        (b"550-5.7.1 relay not permitted", "relay"),
        (b"550 your 550 5.1.1 Unknown user", "policy"),
        (b"", "policy"),
    ],
)
def test_exims_words_count_whatever_codes_an_access_list_puts_before_them(words: bytes, refusal: str) -> None:
    assert exim_refusal(words) == refusal
