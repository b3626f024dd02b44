"""Tables as the text of a TOML file."""

import json
from collections.abc import Mapping
from typing import Any

import toml


def quoted(text: str) -> str:
    """A TOML string; JSON's are the same but for DEL, and for what it would write as two halves of a character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def dumps(tables: Mapping[str, Any]) -> str:
    """The tables, whatever their texts are; toml 0.10 by itself writes the two characters backslash and x wrongly."""
    encoder: toml.TomlEncoder[dict[str, Any]] = toml.TomlEncoder()
    encoder.dump_funcs[str] = quoted
    return toml.dumps(dict(tables), encoder=encoder)
