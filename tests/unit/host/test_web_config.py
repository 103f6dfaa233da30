"""`[web]`: loopback unless it is said explicitly, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.config import Config, read_config
from edge_runtime.host.options import RunOptions
from edge_runtime.host.web_config import LISTEN, WebConfig, is_loopback


def read(folder: Path, text: str) -> Config:
    """Return the parsed file of this text."""
    file = folder / "config.toml"
    file.write_text(text)
    return read_config(file)


def test_without_the_section_there_is_no_page(tmp_path: Path) -> None:
    assert read(tmp_path, "").web is None
    assert RunOptions(tmp_path).web_of(Config()) is None


def test_the_section_alone_means_loopback(tmp_path: Path) -> None:
    web = read(tmp_path, "[web]\n").web
    assert web is not None
    assert (web.address, web.beyond_loopback) == (("127.0.0.1", 8080), False)


@pytest.mark.parametrize("listen", [LISTEN, "127.8.8.8:1", "[::1]:0", "localhost:80"])
def test_addresses_of_loopback_need_no_further_word(listen: str) -> None:
    assert is_loopback(WebConfig(listen).address[0])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('listen = "0.0.0.0:8080"', "beyond_loopback = true"),
        ('listen = "192.0.2.1:8080"', "beyond_loopback = true"),
        ('listen = "drone.local:8080"', "write an IP address"),
        ('listen = ":8080"', "write an IP address"),
        ('listen = "8080"', "HOST:PORT"),
        ('listen = "127.0.0.1:99999"', "HOST:PORT"),
        ("port = 8080", "port"),
        ('hosts = ["a b"]', "hosts"),
        ('hosts = ["*"]', "hosts"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UsageError, match="web") as caught:
        read(tmp_path, f"[web]\n{text}\n")
    assert named in caught.value.message


def test_the_option_replaces_the_address_of_the_file_and_keeps_the_rest(tmp_path: Path) -> None:
    config = Config(web=WebConfig("127.0.0.1:1", ["drone.local"]))
    found = RunOptions(tmp_path, web="127.0.0.1:2").web_of(config)
    assert found == WebConfig("127.0.0.1:2", ["drone.local"])
    with pytest.raises(UsageError, match="--web: .* beyond_loopback"):
        RunOptions(tmp_path, web="0.0.0.0:2").web_of(config)
