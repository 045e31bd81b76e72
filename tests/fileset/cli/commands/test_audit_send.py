"""audit send: messages go to a receiver or a folder, and what can't be sent is sent later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_runs import Cli
from pydicom.data import get_testdata_file
from syslog_receiver import Authority, Receiver


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def test_messages_go_to_a_receiver_once_and_the_status_tells_how_far_it_is(
    written: Cli, authority: Authority
) -> None:
    assert "Nothing was ever sent" in written("audit", "status").out
    with Receiver(authority).running() as receiver:
        to = f"127.0.0.1:{receiver.port}"
        options = ["--to", to, "--ca", authority.path, "--cert", authority.certificate("sender")]
        assert written("audit", "send", *options).out == f"2 messages sent to {to}.\n"
        document = written.json("audit", "send", *options)
    assert document == {
        "format": "fileset audit send", "version": 1, "destination": to, "sent": 0, "position": 7,
        "backlog": 0, "error": None, "warnings": [],
    }  # fmt: skip
    assert len(receiver.messages) == 2
    (status,) = written.json("audit", "status")["destinations"]
    assert (status["destination"], status["sent"], status["position"]) == (to, 2, 7)
    assert (status["backlog"], status["error"]) == (0, None)
    assert f"{to}: 2 messages sent, up to date" in written("audit", "status").out


def test_what_can_t_be_sent_is_a_backlog_that_blocks_nothing(
    written: Cli, authority: Authority
) -> None:
    with Receiver(authority).running() as receiver:
        to = f"127.0.0.1:{receiver.port}"
    failed = written("audit", "send", "--to", to, code=1)
    assert failed.out == f"0 messages sent to {to}.\n"
    assert f"not sent: {to}: Connection refused." in failed.err
    assert "7 events of the journal are still to be told" in failed.err
    written("undo")
    document = written.json("audit", "send", "--to", to, code=1)
    assert (document["sent"], document["backlog"]) == (0, 8)
    assert "Connection refused" in document["error"]
    status = written("audit", "status", code=1)
    assert "8 events of the journal to tell" in status.out
    assert "last error: " in status.out
    written("verify")


def test_following_sends_what_comes_until_it_is_told_to_stop(written: Cli, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    command = [sys.executable, "-m", "fileset", "--repo", os.fspath(written.repository)]
    with subprocess.Popen(
        [*command, "audit", "send", "--follow", "--spool", spool],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def until(count: int) -> None:
            for _ in range(2_000):
                if len(list(spool.glob("*.xml"))) >= count or process.poll() is not None:
                    return
                time.sleep(0.05)

        until(2)
        refused = written("audit", "send", "--spool", spool, code=3)
        assert "one sender is enough" in refused.err
        written("add", get_testdata_file("JPEG2000.dcm"))
        until(3)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out == f"3 messages sent to {spool}.\n"


def test_what_can_t_be_used_is_refused(cli: Cli, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    refused = cli("audit", "send", "--to", "[::1]:6514", "--ca", missing, code=3)
    assert "missing.pem can't be used: No such file" in refused.err
    inside = cli("audit", "send", "--spool", cli.repository / "cache", code=3)
    assert "name another folder for the messages" in inside.err
