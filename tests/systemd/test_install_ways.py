"""The other ways onto a machine: pip, uv, and a folder of wheels for a board of 64-bit ARM, run by an emulator."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.aarch64 import run_aarch64
from tests.support.booted import made_once
from tests.support.daemons import ROOT
from tests.support.requires import require

RUN_S = 180.0


def run(*command: str, **env: str) -> str:
    """Run a program to its end; what it said."""
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=RUN_S, check=False, cwd="/",
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
    return done.stdout


def works(program: Path, state: Path) -> None:
    """It starts outside of the clone, makes a device, and has with it what stands outside of an environment."""
    assert run(str(program), "--version", PYTHONPATH="").startswith("edge-runtime 0.")
    assert "device" in run(str(program), "--state", str(state), "--json", "init", PYTHONPATH="")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree: nothing is built inside the one that is tested."""
    folder = tmp_path_factory.mktemp("clone") / "edge-runtime"
    ignored = shutil.ignore_patterns(".git", "__pycache__", ".venv*", "build", "dist", ".*_cache")
    shutil.copytree(ROOT, folder, ignore=ignored)
    return folder


def test_pip_installs_a_clone(clone: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    run(str(tmp_path / "venv/bin/python"), "-m", "pip", "install", "-q", str(clone))
    works(tmp_path / "venv/bin/edge-runtime", tmp_path / "state")
    (files,) = (tmp_path / "venv").glob("lib/python3*/site-packages/edge_runtime/installed")
    expected = {"config.toml", "edge-runtime.service", "install.sh", "policy.example.toml"}
    assert expected <= {path.name for path in files.iterdir()}
    assert not (clone / "build").exists(), "an installation leaves nothing in the clone"


def test_uv_installs_a_clone_as_a_tool(clone: Path, tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        run(sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), "uv>=0.5")

    uv = made_once("uv", make) / "bin/uv"
    places = {"UV_TOOL_DIR": f"{tmp_path}/tools", "UV_TOOL_BIN_DIR": f"{tmp_path}/bin", "UV_CACHE_DIR": f"{tmp_path}/cache"}
    run(str(uv), "tool", "install", "--quiet", "--python", sys.executable, str(clone), **places)
    works(tmp_path / "bin/edge-runtime", tmp_path / "state")


@pytest.fixture(scope="module")
def house(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels for a board, made as the documents say; only its Python is that of the emulated root."""
    folder = tmp_path_factory.mktemp("board") / "wheels"
    run("sh", str(clone / "deploy/wheelhouse.sh"), "--extras", "web,mqtt", str(folder), PYTHON=sys.executable)
    return folder


def test_a_wheelhouse_for_a_board_holds_only_what_runs_there_for_both_releases_of_debian(house: Path) -> None:
    wheels = [path.name for path in house.glob("*.whl")]
    for name in ("edge_runtime", "pynacl", "cbor2", "msgspec", "zeroconf", "aiofiles", "uvicorn", "aiomqtt"):
        assert any(wheel.startswith(f"{name}-") for wheel in wheels), name
    assert all(re.search(r"-(any|manylinux\w*_aarch64)[\w.]*\.whl$", wheel) for wheel in wheels), wheels
    assert {"cp311", "cp313"} <= {wheel.split("-")[2] for wheel in wheels}
    assert (house / "install.sh").exists() and (house / "edge-extras").read_text() == "web,mqtt"
    print(f"{sum(path.stat().st_size for path in house.iterdir()) // 1024} KiB")


def test_a_board_of_64_bit_arm_is_installed_offline_and_does_a_step(house: Path, tmp_path: Path) -> None:
    require("aarch64")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/hello.py").write_text("async def greet(name):\n    return f'hello {name}'\n")
    script = """
uname -m
sh /wheels/install.sh
cd /app
edge-runtime --state /state run --app hello:greet >/ready &
tries=0
until grep -q ready /ready; do tries=$((tries + 1)); [ $tries -lt 600 ]; sleep 0.1; done
edge-runtime --state /state submit greet --arg name=Ada --wait
kill $!
wait $!
/opt/edge-runtime/current/bin/python -c 'import platform, aiomqtt, uvicorn; print("runs on", platform.machine())'
"""
    said = run_aarch64(script, {house: "/wheels", tmp_path / "app": "/app"}, tmp_path / "arm")
    assert said.startswith("aarch64\n") and said.endswith("runs on aarch64\n")
    assert "the daemon starts at the next boot" in said and "hello Ada" in said
    files = tmp_path / "arm/files"
    assert (files / "etc/systemd/system/multi-user.target.wants/edge-runtime.service").is_symlink()
