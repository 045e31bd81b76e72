"""`find`: instances by their elements, or the series, studies and patients that they are of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

import click

from fileset.cli.command import command, pass_session
from fileset.cli.matching import (
    LITERAL,
    LOAD,
    UNREADABLE,
    advice,
    parse_query,
    tell_nothing,
    unreadable_document,
    unreadable_notes,
)
from fileset.cli.moments import AT, FROM, file_set_at
from fileset.cli.rows import (
    DEFAULT_COLUMNS,
    LEVELS,
    Row,
    Rows,
    columns_named,
    filled,
    row_document,
    sorted_rows,
    template_fields,
)
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.listing import instance_lines
from fileset.cli.screen.output import Answer, Line, Span, columns
from fileset.cli.screen.tables import csv_lines, tsv_lines
from fileset.cli.screen.text import clean
from fileset.cli.session import Session
from fileset.criteria import Query
from fileset.fileset import FileSet
from fileset.views.search import Search
from projections.state.nodes import Leaf


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    """Return the names in a list with commas between: the option's callback."""
    del ctx, param
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    if not all(name.removeprefix("-") for name in names):
        raise click.BadParameter("names of columns are separated by single commas.")
    return names


@command(
    "find",
    {
        "level": "of what the rows are: patient, study, series or instance",
        "instances": "those that match, see below; none at other levels. They have `elements` too, "
        "those of the instance's directory record in the DICOM JSON model, and with --columns "
        "`columns`, the values by name",
        "records": "at other levels, [{record_type, key, elements, studies, series, instances}] of "
        "those that instances were found of; the last three count what was found",
        **UNREADABLE,
    },
    pages=True,
)
@click.argument("query", metavar="[KEYWORD=VALUE]...", nargs=-1)
@click.option(
    "--level",
    type=click.Choice(list(LEVELS)),
    default="instance",
    show_default=True,
    help="List the patients, studies or series that instances were found of.",
)
@click.option(
    "--columns",
    "names",
    metavar="NAME,...",
    callback=_names,
    help="What to show: keywords or tags, and file_id, sop_class, staged, size and digest of "
    "instances, studies, series and instances, as numbers, of others.",
)
@click.option(
    "--sort", "order", metavar="NAME,...", callback=_names,
    help="Sort by columns; with - in front, from the last to the first.",
)  # fmt: skip
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for spreadsheets.")
@click.option("--tsv", "as_tsv", is_flag=True, help="Print a table with tabs for programs.")
@click.option(
    "--template", metavar="TEXT", help="Print a line for each, such as '{PatientID} {StudyDate}'."
)
@LITERAL
@LOAD
@FROM
@AT
@pass_session
def find(
    session: Session,
    query: tuple[str, ...],
    level: str,
    names: list[str] | None,
    order: list[str] | None,
    as_csv: bool,
    as_tsv: bool,
    template: str | None,
    literal: bool,
    load: bool,
    moment: str | None,
) -> Answer:
    """List the instances whose elements have all the values, or all instances.

    \b
    An element is named by keyword or tag, and a value is one of:
      PatientName='doe*'       * is any characters, ? one; names in any case
      StudyDate=2026-03        a day, month or year; a time as in 14:30
      StudyDate=2026-03-01..   from then on; also A..B, ..B and 'StudyDate<2026-03-01'
      SeriesNumber=1..10       numbers in the same way
      Modality=CT,MR           one of several; in texts a backslash is between them
      PatientBirthDate=        no value; '*' is any

    Of an element with several values one has to match, or all where they are given with
    backslashes between, as in 'ImageType=ORIGINAL\\PRIMARY\\AXIAL'. On a terminal, long values are
    shortened; elsewhere they are complete.
    """
    if as_csv + as_tsv + (template is not None) + session.as_json > 1 or (names and template):
        raise click.UsageError("Choose one of --csv, --tsv, --template and --json.")
    fs = file_set_at(session, moment)
    wanted = parse_query(query, literal=literal)
    shown = template_fields(template) if template is not None else names
    is_plain = shown is None and not (as_csv or as_tsv) and order is None and level == "instance"
    shown = list(DEFAULT_COLUMNS[level]) if shown is None else shown
    sorted_by = [name for each in order or () if (name := each.removeprefix("-")) not in shown]
    made = columns_named(level, [*shown, *dict.fromkeys(sorted_by)])
    search = Search(load)
    found = Rows(fs.state, level, made).of(search.matching(fs, wanted))
    rows = found if order is None else sorted_rows(found, order, made)
    width = len(shown)
    if session.as_json:
        asked = made[:width] if names else None
        documents = [row_document(row, fs.state, asked) for row in rows]
        session.warnings += advice(search, wanted)
        if not documents:
            tell_nothing(session, search, fs, wanted)
        return Answer(
            {
                "level": level,
                "instances": documents if level == "instance" else [],
                "records": [] if level == "instance" else documents,
                "unreadable": unreadable_document(search),
            },
            status=INCOMPLETE if search.unreadable else OK,
        )
    counted = _Counted(rows)
    answer = Answer({})
    texts = (row.texts()[:width] for row in counted)
    if template is not None:
        answer.data = (filled(template, shown, [*map(clean, each)]) + "\n" for each in texts)
    elif as_csv or as_tsv:
        answer.data = (csv_lines if as_csv else tsv_lines)(shown, texts)
    elif is_plain:
        leaves = (row.node for row in counted if isinstance(row.node, Leaf))
        answer.lines = instance_lines(leaves, fs.state)
    else:
        answer.lines = _table(shown, texts)
    answer.ending = partial(_end, answer, session, search, fs, wanted, counted)
    return answer


class _Counted:
    """Rows, gone through once, and how many they were."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.number = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.number += 1
            yield row


def _end(
    answer: Answer, session: Session, search: Search, fs: FileSet, wanted: Query, rows: _Counted
) -> None:
    """Tell what is known when all was looked through."""
    session.warnings += advice(search, wanted)
    answer.notes = [
        *unreadable_notes(search),
        *([] if rows.number else [tell_nothing(session, search, fs, wanted)]),
    ]
    answer.status = INCOMPLETE if search.unreadable else OK


def _table(names: Sequence[str], texts: Iterable[Sequence[str]]) -> Iterator[Line]:
    """Yield a heading and the rows below it; nothing, if there are none."""
    rows = iter(texts)
    first = next(rows, None)
    if first is not None:
        heading = tuple(Span(name, "title") for name in names)
        yield from columns(chain([heading], map(tuple, chain([first], rows))))
