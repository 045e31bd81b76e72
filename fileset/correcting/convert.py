"""Converting instances to Explicit VR Little Endian, so that they fit more application profiles.

    report = Converter(repository).convert(leaves)

It is recorded as a correction is: the converted instance takes the place of the original, whose
bytes stay in the vault, so undo brings them back. Nothing but the encoding changes: each converted
file is compared with the original, pixels and all other values, before it is taken.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from fileset.correcting.correct import ITS_OWN, CorrectionOutcome, CorrectionResult, Corrector
from fileset.profiles.recording import ProfileRecorder, warn_unread
from fileset.progress import Progress
from fileset.python_gc import gc_seldom
from ledger.errors import CorrectionError
from ledger.events import Handle, InstanceCorrected, InstancesConverted
from ledger.files import FileView
from ledger.instances.compare import differs
from ledger.instances.converting import CONVERTIBLE, Converted, converted
from ledger.vault.protocol import Batch
from projections.dicomdir.profiles.fitting import InstanceFacts
from projections.past.diff import place_of
from projections.state.nodes import Leaf


@frozen
class ConversionReport:
    """The account of a conversion; `change` is `None` if nothing was recorded."""

    results: tuple[CorrectionResult, ...]
    change: str | None = None

    @property
    def is_incomplete(self) -> bool:
        """Whether any instance could not be converted."""
        return any(each.outcome is CorrectionOutcome.FAILED for each in self.results)


class Converter(Corrector):
    """Converts instances of a repository."""

    def convert(
        self, leaves: Iterable[Leaf], *, reason: str | None = None, progress: Progress | None = None
    ) -> ConversionReport:
        """Convert instances of the File-set as one change, and return the account.

        One that can't be converted is in the account with the reason, and stays as it was; one
        whose transfer syntax is none of those that can be is left alone. The converted bytes are
        durable in the vault before the change is in the journal.
        """
        repository = self._repository
        wanted = sorted(
            (leaf for leaf in leaves if leaf.transfer_syntax_uid in CONVERTIBLE), key=place_of
        )
        results: list[CorrectionResult] = []
        done: dict[str, list[Handle]] = {}
        with repository.change(reason) as change, gc_seldom():
            self._profile = ProfileRecorder(repository)
            with repository.vault.batch() as batch:
                for number, leaf in enumerate(wanted, 1):
                    result = self._convert_one(leaf, batch)
                    results.append(result)
                    if result.outcome is CorrectionOutcome.CORRECTED:
                        done.setdefault(leaf.transfer_syntax_uid, []).append(leaf.handle)
                    if progress is not None:
                        progress(number, len(wanted))
                for syntax, handles in done.items():
                    self._emit(InstancesConverted(tuple(handles), syntax))
            made = (each.corrected for each in results)
            unread = self._profile.complete(handle for handle in made if handle is not None)
            warn_unread(unread, self._profile.unfit)
        return ConversionReport(tuple(results), change if done else None)

    def _convert_one(self, leaf: Leaf, batch: Batch) -> CorrectionResult:
        try:
            with self._original(leaf) as source:
                with converted(source) as made:
                    event, facts = self._proven(leaf, made, source, batch)
                secured = self._secure(leaf, source, batch)
        except ITS_OWN as exc:
            return CorrectionResult(
                leaf.handle, leaf.uid, CorrectionOutcome.FAILED, reason=str(exc)
            )
        handle = self._take_place(event, facts, secured)
        return CorrectionResult(leaf.handle, leaf.uid, CorrectionOutcome.CORRECTED, handle)

    def _proven(
        self, leaf: Leaf, made: Converted, source: bytes | FileView, batch: Batch
    ) -> tuple[InstanceCorrected, InstanceFacts | None]:
        """Return the event of a converted instance, once it is proven to be the same one."""
        with self._read(leaf, made, source) as candidate:
            with candidate.read() as file:
                what = differs(source, file)
            if what != "nothing":
                raise CorrectionError(f"can't be converted: its {what} would not be the same")
            return self._event_of(leaf, candidate, source, batch)
