"""`[[probes]]`: what may be polled, and that what is wrong is named with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import PROBES_MAX
from edge_runtime.host.config import Config, read_config

GOOD = """
[[probes]]
name = "door"
kind = "file"
path = "/run/door"

[[probes]]
name = "intake.log"
kind = "log"
path = "/var/log/intake"

[[probes]]
name = "page"
kind = "http"
url = "https://example.org:8443/news?x=1"
timeout_s = 30

[[probes]]
name = "queue"
kind = "command"
argv = ["/usr/bin/wc", "-l", "/var/spool/queue"]
"""


def read(folder: Path, text: str) -> Config:
    file = folder / "config.toml"
    file.write_text(text)
    return read_config(file)


def test_each_kind_has_its_own_key(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert [(probe.name, probe.kind) for probe in config.probes] == [
        ("door", "file"), ("intake.log", "log"), ("page", "http"), ("queue", "command"),
    ]  # fmt: skip
    assert [probe.timeout_s for probe in config.probes] == [10, 10, 30, 10]


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        ("name = 'door'\nkind = 'file'", "goes with `path` alone, and it has neither path, url nor argv"),
        ("name = 'door'\nkind = 'file'\npath = '/a'\nurl = 'http://b'", "it has path and url"),
        ("name = 'door'\nkind = 'http'\npath = '/a'", "goes with `url` alone"),
        ("name = 'door'\nkind = 'file'\npath = 'a/b'", "give the whole path"),
        ("name = 'door'\nkind = 'command'\nargv = ['ls']", "give the whole path"),
        ("name = 'door'\nkind = 'command'\nargv = '/bin/ls'", r"\$.probes\[0\].argv"),
        ("name = 'door'\nkind = 'shell'\nargv = ['/bin/ls']", r"\$.probes\[0\].kind"),
        ("name = 'Door!'\nkind = 'file'\npath = '/a'", r"\$.probes\[0\].name"),
        ("name = 'door'\nkind = 'file'\npath = '/a'\nevery = 5", "every"),
        ("name = 'door'\nkind = 'file'\npath = '/a'\ntimeout_s = 0", r"\$.probes\[0\].timeout_s"),
        ("name = 'door'\nkind = 'file'\npath = '/a'\ntimeout_s = 61", r"\$.probes\[0\].timeout_s"),
        ("name = 'door'\nkind = 'http'\nurl = 'ftp://a/b'", "no address of a web server"),
        ("name = 'door'\nkind = 'http'\nurl = 'http:///b'", "no address of a web server"),
        ("name = 'door'\nkind = 'http'\nurl = 'http://a:99999/'", "no address of a web server"),
        ("name = 'door'\nkind = 'file'\npath = '/a'\n[[probes]]\nname = 'door'\nkind = 'disk'\npath = '/b'", "'door'"),
    ],
)
def test_a_probe_that_is_not_right_is_named_with_what_to_write(tmp_path: Path, probe: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        read(tmp_path, f"[[probes]]\n{probe}")
    assert "config.toml" in refused.value.message


def test_there_is_a_bound_on_their_number(tmp_path: Path) -> None:
    one = "[[probes]]\nname = 'p{}'\nkind = 'file'\npath = '/a'\n"
    read(tmp_path, "".join(one.format(number) for number in range(PROBES_MAX)))
    with pytest.raises(UsageError, match="probes"):
        read(tmp_path, "".join(one.format(number) for number in range(PROBES_MAX + 1)))
