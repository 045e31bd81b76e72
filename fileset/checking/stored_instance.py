"""What the journal says of an instance compared with its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fileset.checking.findings import RepositoryFinding, RepositoryFindingKind
from fileset.checking.record_comparison import differing_uids
from ledger.errors import InstanceError
from ledger.instances.instance import Instance
from projections.state.nodes import Leaf


def compare_instance(
    leaf: Leaf, where: str, read: Callable[[], Instance]
) -> Iterator[RepositoryFinding]:
    """Yield in what the bytes that `read` takes from `where` are not those of the instance.

    Of one that was taken out of the File-set nothing is wrong with what is left.
    """
    if not leaf.is_live:
        return
    try:
        found = read()
    except InstanceError as exc:
        faults = [exc.reason]
    else:
        said = leaf.sop_class_uid, leaf.uid, leaf.transfer_syntax_uid
        faults = [
            f"its {what} is {own}, and the event that added it says {says}"
            for _, what, says, own in differing_uids(said, found)
        ]
    for fault in faults:
        message = f"{where}: {fault}. Add the right file, and remove this instance."
        yield RepositoryFinding(RepositoryFindingKind.INSTANCE_DIFFERS, where, message, leaf.handle)
