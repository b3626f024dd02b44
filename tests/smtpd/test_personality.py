"""Personalities: defaults, layers, references, mistakes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.smtpd.personality import NAMES, Layer, Mistake, Personality, build, defaults, read_duration


def _built(name: str = "hostile", *, stress: bool = False, **values: object) -> tuple[Personality, list[Mistake]]:
    return _piled(values, name, stress=stress)


def _piled(
    values: dict[str, object], name: str = "hostile", *, stress: bool = False
) -> tuple[Personality, list[Mistake]]:
    return build([defaults(name, stress=stress), Layer("smtpd.x", values)], "mx.example.com")


def test_postfix_defaults_in_calm_weather_and_under_stress() -> None:
    calm, _ = _built()
    stressed, _ = _built(stress=True)
    assert (calm.timeout, calm.hard_error_limit, calm.junk_command_limit, calm.per_request_deadline) == (
        300,
        20,
        100,
        False,
    )
    assert (stressed.timeout, stressed.hard_error_limit, stressed.junk_command_limit) == (10, 1, 1)
    assert stressed.per_request_deadline


def test_the_nice_do_not_feel_the_stress() -> None:
    assert _built("nice", stress=True) == _built("nice")


def test_an_upper_layer_wins() -> None:
    layers = [Layer("smtpd", {"timeout": "5m"}), Layer("smtpd.hostile", {"timeout": "1m"})]
    finished, mistakes = build([defaults("hostile", stress=True), *layers], "mx")
    assert finished.timeout == 60
    assert not mistakes


@pytest.mark.parametrize("reference", ["$timeout", "${timeout}", "$smtpd_timeout", "${smtpd_timeout}"])
def test_a_reference_means_the_value_of_this_very_personality(reference: str) -> None:
    calm, _ = _built(error_sleep_time=reference)
    stressed, _ = _built(stress=True, error_sleep_time=reference)
    assert (calm.error_sleep_time, stressed.error_sleep_time) == (300, 10)


def test_a_reference_may_lead_to_another() -> None:
    finished, mistakes = _built(error_sleep_time="$timeout", timeout="${min_data_rate}ms", min_data_rate=250)
    assert finished.error_sleep_time == 0.25
    assert not mistakes


def test_the_banner_knows_the_hostname() -> None:
    assert _built(banner="$hostname ESMTP costs $$5")[0].banner == "mx.example.com ESMTP costs $5"


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("timeout", "soon", "is not a duration"),
        ("timeout", True, "is not a duration"),
        ("timeout", -1, "is not a duration"),
        ("timeout", "0s", "is too small"),
        ("timeout", "5 parsecs", "is not a duration"),
        ("timeout", ["5s"], "is not a duration"),
        ("timeout", float("nan"), "is not a duration"),
        ("timeout", {"a": 1}, "is not a duration"),
        ("hard_error_limit", "many", "is not a whole number"),
        ("hard_error_limit", 1.5, "is not a whole number"),
        ("hard_error_limit", 0, "is too small"),
        ("hard_error_limit", True, "is not a whole number"),
        ("line_length_limit", 100, "is too small"),
        ("helo_required", "maybe", "is neither yes nor no"),
        ("helo_required", [], "is neither yes nor no"),
        ("banner", "a\r\nb", "is not a line"),
        ("banner", 5, "is not a line"),
        ("banner", "ü", "is not a line"),
        ("banner", "x" * 401, "401 characters"),
        ("banner", "$nothing", "$nothing is no parameter"),
        ("timeout", "$timeout", "refers to itself (timeout -> timeout)"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: object, what: str) -> None:
    _, mistakes = _piled({name: value})
    assert [mistake.key for mistake in mistakes] == [f"smtpd.x.{name}"]
    assert what in mistakes[0].what
    assert mistakes[0].remedy


def test_a_circle_is_found_from_each_of_its_ends() -> None:
    _, mistakes = _built(timeout="$error_sleep_time", error_sleep_time="$timeout")
    assert sorted(mistake.key for mistake in mistakes) == ["smtpd.x.error_sleep_time", "smtpd.x.timeout"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("3s", 3), ("2m", 120), ("1h", 3600), ("1d", 86400), ("1w", 604800), (7, 7)]
)
def test_durations(text: object, seconds: float) -> None:
    assert read_duration(text) == seconds


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
_REFERENCES = st.sampled_from(sorted(NAMES)).map("${}".format)


@given(st.dictionaries(st.sampled_from(sorted(NAMES)), _VALUES | _REFERENCES))
def test_any_value_makes_a_personality_or_a_mistake(values: dict[str, object]) -> None:
    finished, mistakes = _piled(values)
    assert {mistake.key.rpartition(".")[2] for mistake in mistakes} <= set(values)
    shown = {name: value for name, value in finished.shown().items() if name != "banner"}
    again, _ = build([defaults("nice", stress=False), Layer("smtpd", shown)], "mx")
    assert {**again.shown(), "banner": ""} == {**finished.shown(), "banner": ""}
