"""Parameters in force: what main.cf sets, over Postfix's own defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.migrate.expansion import Expanded, ExpansionError, expand
from frontproxy.migrate.main_cf import Setting

DEFAULTS: Final[Mapping[str, str]] = {
    "default_process_limit": "100",
    "mail_name": "Postfix",
    "postscreen_access_list": "permit_mynetworks",
    "postscreen_allowlist_interfaces": "${postscreen_whitelist_interfaces?{$postscreen_whitelist_interfaces}:"
    "{static:all}}",
    "postscreen_bare_newline_enable": "no",
    "postscreen_denylist_action": "${postscreen_blacklist_action?{$postscreen_blacklist_action}:{ignore}}",
    "postscreen_dnsbl_action": "ignore",
    "postscreen_dnsbl_allowlist_threshold": "${postscreen_dnsbl_whitelist_threshold?"
    "{$postscreen_dnsbl_whitelist_threshold}:{0}}",
    "postscreen_dnsbl_reply_map": "",
    "postscreen_dnsbl_sites": "",
    "postscreen_dnsbl_threshold": "1",
    "postscreen_greet_action": "ignore",
    "postscreen_greet_banner": "$smtpd_banner",
    "postscreen_greet_wait": "${stress?{2}:{6}}s",
    "postscreen_non_smtp_command_enable": "no",
    "postscreen_pipelining_enable": "no",
    "postscreen_upstream_proxy_protocol": "",
    "smtpd_banner": "$myhostname ESMTP $mail_name",
    "smtpd_client_connection_count_limit": "50",
}
"""As Postfix has them, the old spellings of 3.5 and before included."""
OLD_SPELLINGS: Final[Mapping[str, str]] = {
    "postscreen_blacklist_action": "postscreen_denylist_action",
    "postscreen_whitelist_interfaces": "postscreen_allowlist_interfaces",
    "postscreen_dnsbl_whitelist_threshold": "postscreen_dnsbl_allowlist_threshold",
}


@dataclass(frozen=True, slots=True)
class Value:
    """What a parameter comes to."""

    text: str
    """In calm weather; without what `unknown` stands for."""
    stressed: str
    """Under stress."""
    unknown: tuple[str, ...]
    """Parameters that it needs and that nobody told us."""
    line: int
    """Where the file sets it; 0 for Postfix's default."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The settings of one main.cf."""

    file: str
    settings: Mapping[str, Setting]
    folder: Path
    """`$config_directory`."""

    def value(self, name: str) -> Value:
        """A parameter in force. Raises Mistaken for an expression that Postfix could not understand either."""
        calm, stressed = self._expanded(name, ""), self._expanded(name, "yes")
        return Value(calm.text, stressed.text, tuple(sorted(calm.unknown)), self.line(name))

    def line(self, name: str) -> int:
        """Where the file sets a parameter, by its name of today or an old one; 0 if it does not."""
        names = [name, *(old for old, new in OLD_SPELLINGS.items() if new == name)]
        return next((self.settings[each].line for each in names if each in self.settings), 0)

    def is_set(self, name: str) -> bool:
        """The file sets it."""
        return self.line(name) > 0

    def _expanded(self, name: str, stress: str) -> Expanded:
        def lookup(name: str) -> str | None:
            if name == "stress":
                return stress
            if name in self.settings:
                return self.settings[name].value
            return str(self.folder) if name == "config_directory" else DEFAULTS.get(name)

        try:
            return expand(f"${name}", lookup)
        except ExpansionError as error:
            remedy = "put it right; Postfix refuses it too"
            raise Mistaken([Mistake(self.file, self.line(name), name, str(error), remedy)]) from None
