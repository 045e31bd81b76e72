"""What one operation did to the file system, recorded with `strace` as the system saw it.

The operation runs in a forked child, so all that Python imports is there already, and the trace
begins before it does. All file system calls are recorded, SQLite's among them, with their data.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attrs import frozen

_CALLS: Final = (  # noqa: SIM905 - names in a row read better than a list of them
    "open openat creat close dup dup2 dup3 fcntl lseek read write pwrite64 writev pwritev "
    "pwritev2 truncate ftruncate fallocate rename renameat renameat2 link linkat symlink symlinkat "
    "unlink unlinkat mkdir mkdirat rmdir chmod fchmod fchmodat fsync fdatasync sync syncfs "
    "sync_file_range msync mmap sendfile copy_file_range splice mknod mknodat fork vfork clone "
    "clone3 chdir fchdir"
).split()
_RAW: Final = "read,fcntl"  # what was read is of no interest, only that the offset moved
_LINE: Final = re.compile(r"\d+ +(\w+)\((.*)\) += (-?[0-9a-fx]+)(?: .*)?")
_UNFINISHED: Final = re.compile(r"(\d+) +(.*) <unfinished \.\.\.>")
_RESUMED: Final = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_LONGEST: Final = 1 << 28  # bytes of one call's data that are recorded
_SECONDS: Final = 30


class ReplayError(Exception):
    """A trace can't be had, or holds something that this module does not understand."""


@frozen
class Call:
    """A system call that succeeded.

    `arguments` are as strace writes them, but for text, which is bytes; `data` is all of its text
    in one, which for `writev` is what was written.
    """

    name: str
    arguments: tuple[bytes | str, ...]
    data: bytes
    result: int

    def number(self, index: int) -> int:
        """Return an argument that is a number; octal and hexadecimal as C writes them."""
        text = str(self.arguments[index])
        return int(text, 8 if re.fullmatch(r"0[0-7]+", text) else 0)

    def path(self, index: int) -> str:
        """Return an argument that is a path."""
        found = self.arguments[index]
        if not isinstance(found, bytes):
            raise ReplayError(f"{self.name}: {found} is no path")
        return os.fsdecode(found)

    def flags(self, index: int) -> frozenset[str]:
        """Return an argument that is a set of flags."""
        return frozenset(str(self.arguments[index]).split("|"))


def why_not() -> str | None:
    """Return why nothing can be recorded here, `None` where it can."""
    if not sys.platform.startswith("linux"):
        return "strace is there on Linux only"
    if shutil.which("strace") is None:
        return "strace is not installed (Debian: apt-get install strace)"
    try:
        calls = record(lambda: os.close(os.open(os.devnull, os.O_RDONLY)))
    except (ReplayError, OSError) as exc:
        return f"strace can't trace here: {exc}"
    return None if any(call.name == "openat" for call in calls) else "strace shows no calls"


def record(act: Callable[[], object], *options: str) -> list[Call]:
    """Run `act` in a forked child and return the calls that it made.

    ReplayError if it can't be traced, or `act` raises. More `options` are for strace: to have calls
    fail, for example.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".strace", encoding="ascii") as trace:
        ready, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(go)
            _be_child(ready, act)
        os.close(ready)
        try:
            tracer = _attach(child, trace.name, options)
        except BaseException:
            os.close(go)  # the child ends
            os.waitpid(child, 0)
            raise
        os.write(go, b"!")
        os.close(go)
        _, status = os.waitpid(child, 0)
        _, told = tracer.communicate(timeout=_SECONDS)
        if status:
            raise ReplayError(f"What was to be recorded failed ({status}): {told.strip()}")
        return list(_parsed(trace))


def _be_child(ready: int, act: Callable[[], object]) -> None:
    code = 1
    try:
        if os.read(ready, 1):
            act()
            code = 0
    except BaseException:  # noqa: BLE001 - nothing of the parent's is to run here
        traceback.print_exc()
    finally:
        os._exit(code)


def _attach(child: int, trace: str, options: Iterable[str]) -> subprocess.Popen[str]:
    """Have strace follow `child`, and return when it does."""
    calls = ",".join(f"?{name}" for name in _CALLS)  # not every machine has all of them
    command = ["strace", "-f", "-xx", "-s", str(_LONGEST), "-o", trace]
    command += ["-e", f"trace={calls}", "-e", f"raw={_RAW}", "-e", "signal=none", *options]
    tracer = subprocess.Popen([*command, "-p", str(child)], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    # To be traced is not enough: until strace has stopped the child as well, its calls are missed.
    told = tracer.stderr.readline()
    if "attached" not in told:
        tracer.kill()
        _, more = tracer.communicate()
        raise ReplayError(f"{told}{more}".strip() or "strace did not attach")
    return tracer


def _parsed(lines: Iterable[str]) -> Iterator[Call]:
    begun: dict[str, str] = {}
    for line in lines:
        text = line.rstrip("\n")
        if (unfinished := _UNFINISHED.fullmatch(text)) is not None:
            begun[unfinished[1]] = text.removesuffix(" <unfinished ...>")
            continue
        if (resumed := _RESUMED.fullmatch(text)) is not None:
            text = begun.pop(resumed[1]) + resumed[2]
        call = _call(text)
        if call is not None and call.result >= 0:
            yield call


def _call(line: str) -> Call | None:
    found = _LINE.fullmatch(line)
    if found is None:
        if "exit" in line or line.endswith("= ?"):
            return None
        raise ReplayError(f"This line of strace can't be understood: {line[:200]}")
    name, arguments, result = found.groups()
    texts = [bytes.fromhex(each[1].replace("\\x", "")) for each in _TEXT.finditer(arguments)]
    if any(each[2] for each in _TEXT.finditer(arguments)):
        raise ReplayError(f"{name}: strace cut its data short")
    parts = _TEXT.sub("\0", arguments).split(", ")
    waiting = iter(texts)
    return Call(
        name,
        tuple(next(waiting) if part == "\0" else part for part in parts),
        b"".join(texts),
        int(result, 0),
    )
