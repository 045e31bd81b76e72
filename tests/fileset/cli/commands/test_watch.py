"""watch: once, and as a process: killed, stopped, fed by DCMTK's storescp, at length."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_runs import CT, MR, OVERLAY, PROJECT, Cli, command_line, run
from pydicom import dcmread
from watched import House, added, digests, drop, instance, synthetic, until

from fileset.cli.screen.documents import WATCHER
from fileset.quarantine.quarantine import Quarantine
from fileset.watching import After

QUICK = ("--settle", "0.1", "--quiet", "0.2", "--tries", "2")


@contextmanager
def watching(home: House, *options: object, log: str = "log") -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in the block, from when it says that it has started."""
    path = home.path / log
    before = path.stat().st_size if path.exists() else 0
    line = command_line("--repo", home.repository, "watch", home.inbox, *QUICK, *options)
    environment = {**os.environ, "PYTHONPATH": os.fspath(PROJECT)}
    with (
        path.open("ab") as file,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=file, env=environment) as process,
    ):
        try:
            until(lambda: process.poll() is not None or path.stat().st_size > before)
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def run_killed(home: House, files: int, kills: int, after: After, seed: int) -> None:
    """Have files arrive while the watcher is killed and started again; then let it end its work."""
    chance = random.Random(seed)  # noqa: S311 - a test is to be repeatable
    good = [instance(number, study=number % 5) for number in range(files)]
    bad = {f"bad/{n}": instance(10_000 + n)[: 2000 + n] for n in range(5)}
    arriving = [(f"{n % 9}/{n}", data) for n, data in enumerate(good)]
    arriving += [(f"again/{n}", data) for n, data in enumerate(good[::10])] + list(bad.items())
    chance.shuffle(arriving)
    done = threading.Event()

    def arrive() -> None:
        for name, data in arriving:
            drop(home.inbox, name, data)
            time.sleep(chance.random() * 0.02)
        done.set()

    writer = threading.Thread(target=arrive)
    writer.start()
    for _ in range(kills):
        with watching(home, "--after", after.value) as process:
            time.sleep(chance.random())
            process.send_signal(signal.SIGKILL)
    writer.join()
    home.drain(after=after)
    assert sorted(added(home.repository)) == sorted(digests(good))
    assert {os.path.relpath(e.source, home.inbox) for e in Quarantine(home.repository)} == set(bad)
    assert all("the file ends within" in entry.reason for entry in Quarantine(home.repository))
    assert home.names() == (sorted(n for n, _ in arriving) if after is After.KEEP else [])
    with home.file_set() as fs:
        assert fs.verify() == []


def test_a_killed_watcher_has_lost_and_doubled_nothing(home: House) -> None:
    run_killed(home, files=80, kills=3, after=After.DELETE, seed=1)


def test_sigterm_ends_it_and_the_log_tells_nothing_of_patients(home: House) -> None:
    drop(home.inbox, "Smith^John.dcm", CT.read_bytes())
    drop(home.inbox, "Doe^Jane.cut", MR.read_bytes()[:3000])
    with watching(home, "--json") as process:
        quarantine = Quarantine(home.repository)
        until(lambda: len(quarantine) == 1 and added(home.repository))
        (told,) = run("--repo", home.repository, "watch", "--status", "--json").document["watchers"]
        assert told["running"]
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    (ended,) = json.loads(out)["watchers"]
    assert (ended["ingested"], ended["quarantined"], ended["running"]) == (1, 1, False)
    log = (home.path / "log").read_text()
    entries = [json.loads(line) for line in log.splitlines()]
    assert {"started", "committed", "quarantined", "stopped"} <= {e["event"] for e in entries}
    for secret in ("Smith", "Doe", "CompressedSamples", "1CT1", dcmread(CT).StudyInstanceUID):
        assert secret not in log
        assert secret not in json.dumps(told)


def test_the_status_has_the_keys_that_are_documented(home: House) -> None:
    home.drain()
    (told,) = Cli(home.repository).json("watch", "--status")["watchers"]
    documented = {name for names in WATCHER for name in names.split(", ")}
    assert documented == set(told) - {
        "format",
        "settling",
        "waiting",
        "retrying",
        "studies_waiting",
    }


def test_ctrl_c_ends_it_and_verbose_lines_tell_paths(home: House) -> None:
    drop(home.inbox, "a.cut", CT.read_bytes()[:3000])
    with watching(home, "-v") as process:
        until(lambda: len(Quarantine(home.repository)))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    log = (home.path / "log").read_text()
    assert "a.cut" in log
    assert "Traceback" not in log


def test_a_second_process_on_the_same_folder_is_refused(home: House) -> None:
    with watching(home):
        error = run(
            "--repo", home.repository, "watch", home.inbox, "--once", "--json", code=3
        ).document["error"]
    assert "watched already" in error["message"]


# --- the commands ---------------------------------------------------------------------------------


def test_once_ends_with_1_if_anything_was_set_aside(home: House) -> None:
    cli = Cli(home.repository)
    drop(home.inbox, "a", CT.read_bytes())
    once = ("watch", home.inbox, "--once", "--settle", "0.05", "--tries", "2")
    assert "1 ingested" in cli(*once).out
    drop(home.inbox, "b", b"no DICOM")
    assert "1 quarantined" in cli(*once, code=1).out
    assert cli.json("watch", "--status")["watchers"][0]["quarantined"] == 1
    assert "not running" in cli("watch", "--status").out


@pytest.mark.parametrize(
    "arguments",
    [
        ["watch"],
        ["watch", "inbox", "--status"],
        ["watch", "inbox", "--after", "move"],
        ["watch", "inbox", "--move-to", "done"],
        ["watch", "inbox", "--on-study", "'unclosed"],
    ],
)
def test_command_lines_that_make_no_sense_are_usage_errors(
    home: House, arguments: list[str]
) -> None:
    Cli(home.repository)(*arguments, code=2)


def test_status_tells_of_late_arrivals(home: House) -> None:
    cli = Cli(home.repository)
    for number in range(2):
        drop(home.inbox, f"{number}", instance(number))
        home.drain()
        cli("write", *([home.path / "disc"] if number == 0 else ["--dry-run"]))
    assert cli.json("status")["late"] == {"instances": 1, "studies": 1}
    assert "Late: 1 addition to studies already on the medium" in cli("status").out
    assert "late: the study has been written" in cli("log").out


# --- the real world -------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed")
def test_what_storescp_receives_while_it_is_watched_is_taken(home: House) -> None:
    outbox = home.path / "outbox"
    outbox.mkdir()
    for number, data in enumerate(synthetic(12)):
        (outbox / f"{number}.dcm").write_bytes(data)
    for path in (CT, MR, OVERLAY):
        shutil.copy(path, outbox)
    expected = {str(dcmread(path).SOPInstanceUID) for path in outbox.iterdir()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with (
        home.watched(settle=0.3, quiet=0.5) as watcher,
        subprocess.Popen(["storescp", "--output-directory", home.inbox, port]) as receiver,
    ):
        try:
            until(
                lambda: (
                    subprocess.run(
                        ["echoscu", "127.0.0.1", port], check=False, capture_output=True
                    ).returncode
                    == 0
                )
            )
            subprocess.run(
                ["storescu", "+sd", "127.0.0.1", port, outbox],
                check=True, capture_output=True, timeout=120,
            )  # fmt: skip
            until(lambda: watcher.status["ingested"] >= len(expected))
        finally:
            receiver.kill()
    with home.file_set() as fs:
        assert {str(i.SOPInstanceUID) for i in fs} == expected
    assert len(Quarantine(home.repository)) == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_of_the_how_to_is_one_that_systemd_takes(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "how-to" / "watch-a-folder.md").read_text()
    (unit,) = (block for block in page.split("```") if block.startswith("text\n[Unit]"))
    made = unit.removeprefix("text\n").replace("/opt/fileset/bin/fileset", sys.executable)
    path = tmp_path / "fileset-ward7.service"
    path.write_text(made.replace("User=fileset", "User=root"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "ward7" not in checked.stderr  # nor is anything in it ignored


# --- at length ------------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.parametrize("after", [After.KEEP, After.DELETE])
@pytest.mark.parametrize("seed", range(5))
def test_however_often_it_is_killed_nothing_is_lost_or_doubled(
    home: House, after: After, seed: int
) -> None:
    run_killed(home, files=600, kills=20, after=after, seed=seed)
