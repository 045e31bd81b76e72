"""Checking a File-set against an application profile, and which profiles it would fit.

    report = check_repository(repository, profile_named("STD-GEN-CD"))
    report = check_root(Path("/media/cdrom"), None)

A repository is checked as it would be written. A root is checked as it lies there, whoever made it:
its files, and its DICOMDIR for the keys that the profile adds to records. Every file's header is
read; nothing is changed.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from attrs import Factory, define, frozen

from fileset.adoption.places import Level, Place, instances
from fileset.checking.dicomdir_file import read_dicomdir
from fileset.errors import RefusedError
from fileset.medium.file_ids import RootFolder
from fileset.pictures.icon import icon
from fileset.pictures.picture import NotInstalledError, PictureError
from fileset.profiles.facts import FactsReader, facts_of_file
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.elements import find
from ledger.errors import InstanceError, LedgerError
from ledger.instances.record_keys import Need
from ledger.tags import PATIENT_ID
from ledger.uids import EXPLICIT_VR_LITTLE_ENDIAN
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import DICOMDIR
from projections.dicomdir.findings import Finding
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.fitting import InstanceFacts, Misfit, fits, without_icon
from projections.dicomdir.profiles.icons import icon_sides, icon_size
from projections.dicomdir.profiles.profile import Profile
from projections.dicomdir.profiles.record_keys import keys_of
from projections.dicomdir.tree import Tree, link
from projections.state.nodes import Leaf

_SECURE: Final = "-SEC-"


@frozen
class InstanceMisfit:
    """An instance that does not fit: its UID, where it is, and why not."""

    uid: str
    where: str
    misfits: tuple[Misfit, ...]


@define
class ProfileReport:
    """What was found.

    Attributes
    ----------
    profile : Profile or None
        What was checked; without one, only what would fit.
    instances : int
        How many there are.
    misfits : list of InstanceMisfit
        Those that don't fit the profile.
    unread : list of tuple of str
        The places of those that can't be read, each with the reason: of them nothing is known.
    directory : list of Misfit
        What of the File-set as a whole, or of its directory records, does not fit.
    not_fitting : Counter
        How many instances don't fit each profile, by identifier, of those that can be made or
        checked; a profile that is not there fits.
    """

    profile: Profile | None
    instances: int = 0
    misfits: list[InstanceMisfit] = Factory(list)
    unread: list[tuple[str, str]] = Factory(list)
    directory: list[Misfit] = Factory(list)
    not_fitting: Counter[str] = Factory(Counter)

    @property
    def fitting(self) -> tuple[str, ...]:
        """The profiles that everything fits, as far as it can be read."""
        candidates = (name for name in PROFILES if _SECURE not in name) if self.instances else ()
        return tuple(name for name in candidates if not self.not_fitting[name])

    @property
    def counts(self) -> dict[str, int]:
        """How many instances fit each profile, by identifier, of all profiles but secure ones."""
        read = self.instances - len(self.unread)
        return {name: read - self.not_fitting[name] for name in PROFILES if _SECURE not in name}

    @property
    def is_fitting(self) -> bool:
        """Whether everything is known to fit the profile, or without one any of them."""
        if self.unread or self.directory or self.misfits:
            return False
        return bool(self.profile or self.fitting)


def check_repository(
    repository: Repository, profile: Profile | None, *, progress: Progress | None = None
) -> ProfileReport:
    """Check the File-set of a repository as it would be written against a profile."""
    state = repository.refresh()
    profile = profile or PROFILES.get(state.identity.profile or "")
    check = _Check(profile)
    reader = FactsReader(repository)
    leaves = [leaf for leaf in state.hierarchy.walk_leaves() if leaf.is_live]
    for done, leaf in enumerate(leaves, 1):
        where = leaf.file_id or leaf.source or leaf.uid
        try:
            check.take(
                leaf.uid, where, reader.read(leaf), partial(_why_no_icon, repository, reader, leaf)
            )
        except (OSError, LedgerError) as exc:
            check.unread(where, exc)
        if progress:
            progress(done, len(leaves))
    patients = [
        branch.key
        for branch in state.hierarchy.root.branches()
        if branch.is_live and branch.own.type == "PATIENT"
    ]
    check.as_a_whole(patients)
    return check.report


def _why_no_icon(repository: Repository, reader: FactsReader, leaf: Leaf, size: int) -> str | None:
    """Return why no icon can be made of an instance, `None` if there is one or it can be.

    Raises `NotInstalledError` if that can't be told, and as `FactsReader.read`.
    """
    if repository.state.recorded.icon(size, leaf.handle) is not None:
        return None
    try:
        with reader.source(leaf) as source:
            icon(source, size)
    except NotInstalledError:
        raise
    except PictureError as exc:
        return str(exc)
    return None


def check_root(
    root: Path, profile: Profile | None, *, progress: Progress | None = None
) -> ProfileReport:
    """Check the File-set at the folder `root` against a profile.

    `RefusedError` if there is no DICOMDIR, or one that can't be read.
    """
    root = root.resolve()
    data = read_dicomdir(root)
    if isinstance(data, Finding):
        raise RefusedError(f"{root}: {data.message}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a check against the Standard tells
            directory = decode_dicomdir(data, name=DICOMDIR)
            tree = link(directory)
            places = list(instances(tree))
    except (InstanceError, MemoryError) as exc:
        raise RefusedError(f"{root / DICOMDIR} can't be read: {exc}") from exc
    check = _Check(profile)
    if profile and directory.transfer_syntax_uid != EXPLICIT_VR_LITTLE_ENDIAN:
        what = "the DICOMDIR is not in Explicit VR Little Endian"
        check.report.directory.append(Misfit(what, profile.table))
    folder = RootFolder(root)
    for done, place in enumerate(places, 1):
        where = "/".join(place.record.file_id or ())
        try:
            path = Path(folder.find(place.record.file_id or ()).path)
            facts = facts_of_file(path, _types(place))
        except (OSError, InstanceError) as exc:
            check.unread(where, exc)
        else:
            check.take(place.record.sop_instance_uid or "", where, facts)
            check.take_records(where, place, facts)
        if progress:
            progress(done, len(places))
    check.as_a_whole(_patient_ids(tree))
    return check.report


def _types(place: Place) -> tuple[str, ...]:
    return (*(level.record.type for level in _above(place)), place.record.type or "")


def _above(place: Place) -> list[Level]:
    levels, level = [], place.level
    while level is not None:
        levels.append(level)
        level = level.above
    return levels[::-1]


def _patient_ids(tree: Tree) -> Iterator[str]:
    for node in tree.roots:
        if node.record.type == "PATIENT":
            element = find(node.record.elements, PATIENT_ID)
            yield "" if element is None else element.value.decode("latin-1").strip("\0 ")


class _Check:
    """Collects what does not fit, instance by instance."""

    def __init__(self, profile: Profile | None) -> None:
        self.report = ProfileReport(profile)
        # Many profiles differ in nothing but their media: each kind is compared once.
        self._alike: dict[object, list[Profile]] = {}
        for each in PROFILES.values():
            if _SECURE not in each.identifier:
                what = (each.takes, each.keys.table, each.rules, each.icon)
                self._alike.setdefault(what, []).append(each)
        self._records: set[tuple[int | None, str]] = set()

    def take(
        self,
        uid: str,
        where: str,
        facts: InstanceFacts,
        why_no_icon: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        """Take down what of an instance does not fit.

        `why_no_icon` is called with the size of the icon that its record needs, and passes on what
        it raises: then nothing was taken down.
        """
        report = self.report
        found: tuple[Misfit, ...] = ()
        if (profile := report.profile) is not None:
            found = fits(facts, profile)
            size = icon_size(profile, facts.record_types[-1], facts.sop_class_uid, asked=False)
            if not found and size is not None and (why := why_no_icon(size)) is not None:
                found = (without_icon(profile, why),)
        report.instances += 1
        for alike in self._alike.values():
            if fits(facts, alike[0]):
                report.not_fitting.update(each.identifier for each in alike)
        if found:
            report.misfits.append(InstanceMisfit(uid, where, found))

    def unread(self, where: str, exc: Exception) -> None:
        self.report.instances += 1
        why = exc.strerror if isinstance(exc, OSError) else str(exc)
        self.report.unread.append((where, why or str(exc)))

    def take_records(self, where: str, place: Place, facts: InstanceFacts) -> None:
        """Take down which keys the records of an instance lack, those above it once."""
        profile = self.report.profile
        if profile is None:
            return
        records = [
            *((level.record.type, level.record.elements, level.offset) for level in _above(place)),
            (place.record.type or "", place.record.elements, place.record.offset),
        ]
        for record_type, elements, offset in records:
            wanted = keys_of(profile.keys, record_type, facts.sop_class_uid, facts.elements)
            for key, made in wanted:
                need = key.need_of(facts.sop_class_uid)
                if made is None or find(elements, key.key.tag) is not None:
                    continue
                if (offset, key.key.keyword) in self._records:
                    continue
                self._records.add((offset, key.key.keyword))
                kind = "" if need is Need.TYPE_1C else f" (type {need.value})"
                what = f"the {record_type} record of {where} lacks {key.key.name}{kind}"
                self.report.directory.append(Misfit(what, profile.keys.table))
        self._take_icon(where, place, facts, profile)

    def _take_icon(self, where: str, place: Place, facts: InstanceFacts, profile: Profile) -> None:
        """Take down which icon a record lacks, or what is wrong with its own."""
        record_type, wanted = place.record.type or "", profile.icon
        if wanted is None:
            return
        needs = icon_size(profile, record_type, facts.sop_class_uid, asked=False) is not None
        sides = icon_sides(place.record.elements)
        what = None
        if sides is None:
            what = "lacks Icon Image Sequence (type 1)" if needs else None
        elif sides != (wanted.size, wanted.size):
            rows, columns = sides
            what = f"has an icon of {rows} by {columns} pixels, not {wanted.size} by {wanted.size}"
        if what is not None:
            misfit = Misfit(f"the {record_type} record of {where} {what}", wanted.section)
            self.report.directory.append(misfit)

    def as_a_whole(self, patient_ids: Iterator[str] | list[str]) -> None:
        """Take down what is wrong with the File-set as a whole."""
        report, profile = self.report, self.report.profile
        if profile is None:
            return
        section = f"{profile.annex}.3.3"
        if not report.instances:
            report.directory.append(Misfit("the File-set is empty", section))
        counts: Mapping[str, int] = Counter(patient_ids)
        for patient_id, number in counts.items():
            if number > 1 and profile.one_patient_id:
                what = f"{number} PATIENT records have the Patient ID {patient_id!r}"
                report.directory.append(Misfit(what, section))
