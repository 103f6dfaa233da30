"""`[facts]`, `[mqtt]`, `[mavlink]`: what is taken, what is refused, and by which key it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.config import Config, read_config


def read(folder: Path, text: str) -> Config:
    """Return what a file of this text says."""
    file = folder / "config.toml"
    file.write_text(text)
    return read_config(file)


def test_an_age_is_three_intervals_unless_it_is_said(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        '[[facts.file]]\npath = "/run/a"\nname = "a.b"\ninterval = "30s"\n'
        '[[facts.file]]\npath = "/run/b"\nname = "c"\nmax_age = "1h30m"\n'
        '[mavlink]\nconnection = "/dev/ttyAMA0"\n',
    )
    assert [(file.interval_ms, file.max_age_ms) for file in config.facts.file] == [(30_000, 90_000), (60_000, 5_400_000)]
    assert config.mavlink is not None and (config.mavlink.interval_ms, config.mavlink.max_age_ms) == (5_000, 15_000)
    assert config.facts.interval_ms == 60_000 and config.mqtt is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[facts]\ninterval = "1"', r"\$\.facts\.interval"),
        ('[facts]\ninterval = "10ms"', r"shorter than 1000 ms.*\$\.facts"),
        ("[facts]\ncolour = 1", "colour"),
        ('[[facts.file]]\npath = "/a"', "name"),
        ('[[facts.file]]\npath = "/a"\nname = "A b"', r"\$\.facts\.file\[0\]\.name"),
        ('[[facts.file]]\npath = "/a"\nname = "a"\ninterval = "0s"', "shorter than 1000 ms"),
        ('[[facts.file]]\npath = "/a"\nname = "a"\ninterval = "1m"\nmax_age = "59s"', "shorter than the interval"),
        ("[mqtt]\nport = 1883", "host"),
        ('[mqtt]\nhost = "a"\nport = 70000', r"\$\.mqtt\.port"),
        ('[mqtt]\nhost = "a"\nresults = "a/#"', "no \\+ or #"),
        ('[mqtt]\nhost = "a"\nresults = "a/{colour}"', "only {object}"),
        ('[mqtt]\nhost = "a"\nresults = "a/{name"', "braces"),
        ('[mqtt]\nhost = "a"\nresults = "a/{name}}"', "braces"),
        ('[mqtt]\nhost = "a"\npassword_file = "/a"', "goes with user"),
        ('[mavlink]\nconnection = "tcpin:0.0.0.0:5760"', "tcpin"),
        ('[mqtt]\nhost = "a"\n[[mqtt.topic]]\ntopic = "a/b+"\nname = "a"', "stand alone"),
        ('[mqtt]\nhost = "a"\n[[mqtt.topic]]\ntopic = "#/a"\nname = "a"', "only at the end"),
        ('[mqtt]\nhost = "a"\n[[mqtt.topic]]\ntopic = "a/+"\nname = "a.{2}"', "does not have"),
        ('[[facts.file]]\npath = "/a"\nname = "step.a"', "policy uses for calls"),
        ('[[facts.file]]\npath = "/a"\nname = "time.trust"', "the device knows of itself"),
        ('[[facts.file]]\npath = "/a"\nname = "mavlink.outranked"', "mavlink alone says"),
        ('[mqtt]\nhost = "a"\n[[mqtt.topic]]\ntopic = "a/+"\nname = "intent.{1}"', "policy uses for calls"),
        ('[mavlink]\nbaud = 9600', "connection"),
        ('[mavlink]\nconnection = "x"\nmodes = []', r"\$\.mavlink\.modes"),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_an_example(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "config.toml") in caught.value.message and "[[mqtt.topic]]" in caught.value.message
