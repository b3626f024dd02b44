"""Pages made from a few lines of main.cf."""

from pathlib import Path

from frontproxy.core import config
from frontproxy.core.config_values import Config
from frontproxy.migrate.page import Page
from frontproxy.migrate.postscreen import translate

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.cf"))
NAMED = "myhostname = mx.example.org\nmynetworks = 127.0.0.0/8\n"
"""Without this, there are remarks about it."""


def read_beside(path: Path) -> str:
    """A table of /etc/postfix is the file of that name in this folder."""
    return (HERE / path.name).read_text()


def page_of(text: str) -> Page:
    """The page for a main.cf."""
    return translate(text, file="main.cf", folder=Path("/etc/postfix"), read_table=read_beside)


def remarks_of(text: str) -> list[str]:
    """The remarks for a main.cf that has a name and networks."""
    return [str(remark) for remark in page_of(NAMED + text).remarks]


def config_of(text: str) -> Config:
    """What config.toml makes of the page; it has no mistakes."""
    checked = config.parse(text, file_name="config.toml", folder=Path("/etc/frontproxy"))
    assert checked.mistakes == []
    return checked.config
