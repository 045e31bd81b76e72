"""What goes on a medium besides its File-set: pages, a viewer, and an institution's own files.

All of it goes into the vault before the medium is begun, and the event names it by its digest. Only
the scripts with native pixels are made again each time: they follow from the instances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import define, frozen

from fileset.errors import RefusedError
from fileset.media.include import files_in, included
from fileset.media.keeping import Keeper
from fileset.media.pdi.pages import About, Preview, pages
from fileset.media.pdi.previews import previews
from fileset.media.prepare import Outline, naming_lost
from fileset.media.viewer.make import make_scripts
from fileset.media.viewer.scripts import DATA, FOLDER, list_script, page_files
from fileset.media.words import LANGUAGES
from fileset.progress import Progress
from fileset.repository.contents import Contents
from fileset.repository.repository import Repository
from ledger.events import OtherFile, Placement
from ledger.files import FileView, content_of, viewed
from ledger.instances.encodings import has_encapsulated
from projections.state.contents import contents_of, count_series
from projections.state.nodes import Leaf

_SCRIPT: Final = 2048  # bytes of a script besides its pixels, and of the list
_UNPACKED: Final = 10  # times as large as compressed pixels are the others, about
_PAGE: Final = 128 << 10  # bytes of the pages and of the viewer's own files
_PREVIEW: Final = 96 << 10  # bytes of a preview and its part of a page


@frozen
class Extras:
    """What is wanted on a medium besides the File-set.

    Attributes
    ----------
    pages : bool
        README.TXT, INDEX.HTM and the folder IHE_PDI (IHE PDI, with the web content option).
    viewer : bool
        The folder VIEWER, with a page that shows the images in a web browser.
    language : str
        Of both: a key of `LANGUAGES`.
    institution, contact : str
        Whom the pages name; the label of the medium names the institution, too.
    templates : Path or None
        A folder with templates that replace those of the pages.
    include : Path or None
        A folder whose files go on the medium.
    programs : bool
        Whether programs may be among these.
    """

    pages: bool = False
    viewer: bool = False
    language: str = "en"
    institution: str = ""
    contact: str = ""
    templates: Path | None = None
    include: Path | None = None
    programs: bool = False

    def options(self) -> dict[str, str]:
        """Return what the journal says of them: which there are, and their language."""
        wanted = {"pdi": self.pages, "viewer": self.viewer}
        told = {name: "yes" for name, is_wanted in wanted.items() if is_wanted}
        if told or self.language != Extras().language:
            told["language"] = self.language
        return told

    def once(self, block: int) -> int:
        """Return how many bytes about there are on each volume, in blocks of that size.

        Raises as `included` does for a folder that can't go on a medium.
        """
        own = files_in(self.include) if self.include is not None else ()
        sizes = (-(-path.stat().st_size // block) * block for path in own)
        return sum(sizes) + _PAGE * (self.pages or self.viewer)

    def beside(self, leaf: Leaf, size: int, *, is_first: bool) -> int:
        """Return how many bytes about there are besides an instance `leaf` of `size` bytes.

        `is_first` is whether it is the first one of its series, which has a preview.
        """
        pixels = size * _UNPACKED if has_encapsulated(leaf.transfer_syntax_uid) else size
        return (pixels * 4 // 3 + _SCRIPT) * self.viewer + _PREVIEW * (self.pages and is_first)

    def files(
        self,
        repository: Repository,
        medium: Outline,
        keeper: Keeper,
        tell: Callable[[Leaf, Exception], None],
        progress: Progress,
    ) -> list[OtherFile]:
        """Return the files that go on a medium; the keeper has what is in them.

        `tell` is called for each instance that can't be shown, with the reason, and `progress` is
        told of instances that are to be shown. Raises `RefusedError` for templates or files that
        can't be used, OSError if they can't be read, VaultError where the vault fails.
        """
        made: list[OtherFile] = []
        if self.include is not None:
            own = included(self.include, keeper, programs=self.programs)
            made += [OtherFile(path, content) for path, content in own]
        if self.pages or self.viewer:
            made += self._shown(repository, medium, keeper, tell, progress)
        times = Counter(file.path for file in made)
        if twice := [path for path, number in times.items() if number > 1]:
            raise RefusedError(
                f"{', '.join(sorted(twice))}: the folder to include has files that the medium gets "
                "anyway. Rename them."
            )
        return made

    def _shown(
        self,
        repository: Repository,
        medium: Outline,
        keeper: Keeper,
        tell: Callable[[Leaf, Exception], None],
        progress: Progress,
    ) -> Iterator[OtherFile]:
        """Yield the pages and the viewer."""
        words, started = LANGUAGES[self.language], medium.started
        contents = contents_of(medium.leaves)
        bytes_of = _Bytes(repository)
        series = count_series(contents) if self.pages else 0
        steps = _Steps(progress, series + (len(medium.leaves) if self.viewer else 0))
        if self.pages:
            about = About(
                medium.times.at(started.base),
                started.writer,
                started.id or "",
                started.volume,
                started.volumes,
                self.institution,
                self.contact,
                self.templates,
                viewer=self.viewer,
            )
            preview = previews(bytes_of.place, tell)
            for path, data in pages(contents, about, words, lambda leaf: steps.one(preview, leaf)):
                yield OtherFile(path, keeper.add(data))
        if self.viewer:
            scripts, shown = make_scripts(
                steps.each(medium.leaves),
                bytes_of.view,
                bytes_of.place,
                measure=lambda chunks, _: content_of(chunks),
                keep=keeper.add_chunks,
                tell=tell,
            )
            listed = list_script(contents, shown, words)
            for path, data in [*page_files(), (f"{FOLDER}/LIST.JS", listed)]:
                yield OtherFile(path, keeper.add(data))
            for script in scripts:
                yield OtherFile(f"{DATA}/{script.name}", script.content, script.made_from)


@define
class _Steps:
    """Counts what is shown: an instance on a page or in the viewer."""

    progress: Progress
    total: int
    done: int = 0

    def each(self, leaves: Iterable[Leaf]) -> Iterator[Leaf]:
        for leaf in leaves:
            yield leaf
            self._step()

    def one(self, preview: Preview, leaf: Leaf) -> bytes | None:
        found = preview(leaf)
        self._step()
        return found

    def _step(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)


class _Bytes:
    """The bytes of instances: in the vault or, as long as nothing is made, where they are."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._contents = Contents(repository)

    @contextmanager
    def view(self, leaf: Leaf) -> Iterator[FileView]:
        now = self._repository.state.leaf(leaf.handle)
        if now.placement is Placement.VAULT and now.content is not None:
            with (
                naming_lost(f"the instance {leaf.uid}"),
                self._repository.vault.view(now.content.digest) as view,
            ):
                yield view
            return
        with viewed(self._contents.path(leaf)) as view:
            yield view

    @contextmanager
    def place(self, leaf: Leaf) -> Iterator[Path]:
        """Give where an instance's file is: of one in the vault, a copy that goes afterwards."""
        with naming_lost(f"the instance {leaf.uid}"), self._contents.place(leaf) as path:
            yield path
