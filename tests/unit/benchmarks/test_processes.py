"""What the kernel counts: CPU time, memory, flushes, file systems."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import processes
from benchmarks.processes import cpu_ms, cpu_ms_of, file_system_of, flushes_in, rss_mb
from tests.support.requires import require

TICK_MS = 1000 / processes.TICKS_PER_S


def test_cpu_time_is_user_and_system_time_whatever_the_program_is_called() -> None:
    rest = "S 1 2 3 4 5 6 7 8 9 10 70 30 900 900 20 0 4 0"
    assert cpu_ms_of(f"77 (a) b ) c) {rest}\n") == 100 * TICK_MS


def test_cpu_time_and_memory_of_this_very_process_can_be_read() -> None:
    before = cpu_ms(os.getpid())
    while cpu_ms(os.getpid()) < before + TICK_MS:
        sum(range(10_000))
    assert 1 < rss_mb(os.getpid()) < 100_000


MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/vdb /srv/two\\040words xfs rw 0 0
tmpfs /srv/x tmpfs rw 0 0
/dev/vdc /srv/x btrfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/x", "ext4"),
        ("/run", "tmpfs"),
        ("/run/a/b", "tmpfs"),
        ("/running", "ext4"),
        ("/srv/two words/a", "xfs"),
        ("/srv/x/a", "btrfs"),  # mounted over the one before
    ],
)
def test_the_nearest_mount_says_what_kind_of_file_system_a_path_is_on(path: str, kind: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == kind


def test_nothing_is_measured_on_a_memory_file_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "BUILD", tmp_path)
    monkeypatch.setattr(processes, "file_system", lambda path: "tmpfs")
    with pytest.raises(processes.Unusable, match="a flush costs nothing"), processes.folder():
        pytest.fail("a folder was made there")


def test_the_folder_is_gone_after_use_whatever_happened_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "BUILD", tmp_path / "build")
    monkeypatch.setattr(processes, "file_system", lambda path: "ext4")
    with pytest.raises(KeyError), processes.folder() as place:
        (place / "file").write_text("x")
        raise KeyError
    assert list((tmp_path / "build").iterdir()) == []


def test_a_flush_that_another_thread_interrupted_in_the_log_counts_once() -> None:
    assert (
        flushes_in(
            [
                "10 fdatasync(3)                      = 0",
                "11 fsync(4 <unfinished ...>",
                "10 fdatasync(3)                      = 0",
                "11 <... fsync resumed>)              = 0",
                "10 +++ exited with 0 +++",
            ]
        )
        == 3
    )


CHILD = """
import os, sys, tempfile
sys.stdin.readline()
with tempfile.TemporaryFile() as file:
    os.fsync(file.fileno()), os.fdatasync(file.fileno()), os.fdatasync(file.fileno())
print("done", flush=True)
sys.stdin.readline()
"""


def test_flushes_of_a_running_process_are_counted_and_it_goes_on_afterwards() -> None:
    require("command:strace")
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if os.geteuid() and scope.exists() and scope.read_text().strip() != "0":
        pytest.skip("needs ptrace: only root may trace here (kernel.yama.ptrace_scope)")
    processes.BUILD.mkdir(exist_ok=True)
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None
    with child:
        with processes.count_flushes(child.pid) as flushes:
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "done\n"
            assert flushes.count is None, "nothing is known before the tracer has written all"
        child.stdin.close()
        assert child.wait(10) == 0
    assert flushes.count == 3


def test_without_the_tracer_nothing_is_counted_rather_than_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with processes.count_flushes(os.getpid()) as flushes:
        os.getpid()
    assert flushes.count is None


def test_what_is_measured_is_compiled_once_even_where_bytecode_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = processes.environment()
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert Path(environment["PYTHONPYCACHEPREFIX"]).is_relative_to(processes.BUILD)
