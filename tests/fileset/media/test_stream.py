"""Writing images: one pass, any output, and files that are not as planned."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from media_trees import PLANS, TIME, Tree, content, image, plan, trees

from fileset.media.errors import SourceChangedError
from fileset.media.stream import image_chunks, write_image
from projections.medium.images.tree import ImageFile

TREE: Tree = {"DICOMDIR": content(3000, 1), "A/B": content(5000, 2), "README.TXT": b"see DICOMDIR"}


@pytest.mark.parametrize("kind", PLANS)
@given(tree=trees())
def test_an_image_has_the_size_that_was_planned(kind: str, tree: Tree) -> None:
    assert len(image(kind, tree)) == plan(kind, tree).size


@pytest.mark.parametrize("kind", PLANS)
def test_a_pipe_gets_what_a_file_gets(kind: str) -> None:
    source, target = os.pipe()
    got: list[bytes] = []

    def drain() -> None:
        with os.fdopen(source, "rb") as file:
            got.append(file.read())

    reader = threading.Thread(target=drain)
    reader.start()
    paths = list(TREE)
    with os.fdopen(target, "wb", buffering=0) as output:
        written = write_image(plan(kind, TREE), lambda n: [TREE[paths[n]]], output)
    reader.join()
    assert got == [image(kind, TREE)]
    assert written.digest == f"sha256:{hashlib.sha256(got[0]).hexdigest()}"
    assert written.size == len(got[0])


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("size", [700, 1 << 19, 1 << 20, 3 << 20])
def test_chunks_are_of_a_mebibyte_at_most_and_seldom_small(kind: str, size: int) -> None:
    tree = {**TREE, "C": content(3 << 20, 3)}
    paths = list(tree)

    def in_bits(number: int) -> Iterator[bytes]:
        data = tree[paths[number]]
        return (data[at : at + size] for at in range(0, len(data), size))

    chunks = list(image_chunks(plan(kind, tree), in_bits))
    assert max(map(len, chunks)) <= 1 << 20
    assert sum(len(chunk) < 1 << 19 for chunk in chunks) < 10
    assert b"".join(chunks) == image(kind, tree)


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(("data", "found"), [(b"1234", "4 bytes"), (b"123456", "more")])
def test_a_file_of_another_size_is_named(kind: str, data: bytes, found: str) -> None:
    layout = PLANS[kind]([ImageFile("DICOMDIR", 5, TIME)])
    with pytest.raises(SourceChangedError, match=f"DICOMDIR: .* 5 bytes and has {found}"):
        write_image(layout, lambda _: [data], io.BytesIO())


@pytest.mark.parametrize("kind", PLANS)
def test_progress_ends_with_the_size_of_the_image(kind: str) -> None:
    told: list[tuple[int, int]] = []
    layout, paths = plan(kind, TREE), list(TREE)
    write_image(
        layout, lambda n: [TREE[paths[n]]], io.BytesIO(), progress=lambda *now: told.append(now)
    )
    assert told[-1] == (layout.size, layout.size)
