"""Tests of the bundled smtpd; each file is named after the one it tests."""
