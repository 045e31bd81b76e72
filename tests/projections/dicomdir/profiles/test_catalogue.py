"""The catalogue of application profiles says what PS3.11 says, and leaves nothing undefined."""

from __future__ import annotations

import re

import pytest
from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.uid import UID

from ledger.instances.record_keys import RECORD_KEYS
from projections.dicomdir.profiles.attributes import ATTRIBUTES
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.key_tables import KEY_TABLES
from projections.dicomdir.profiles.profile import MediaKind, NoOverlay, Profile, There


@pytest.mark.parametrize("keyword", ATTRIBUTES)
def test_an_attribute_is_as_the_data_dictionary_has_it(keyword: str) -> None:
    key = ATTRIBUTES[keyword]
    tag = 0x60000010 if keyword == "OverlayRows" else tag_for_keyword(keyword)
    assert key.tag == tag
    assert key.vr == dictionary_VR(key.tag)
    assert key.name == dictionary_description(key.tag)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_profile_names_only_what_there_is(profile: Profile) -> None:
    assert re.fullmatch(r"STD(-[A-Z0-9]+)+", profile.identifier)
    assert profile.table.startswith(f"{profile.annex}.")
    for takes in profile.takes:
        for uid in (*(takes.classes or ()), *(takes.syntaxes or ())):
            assert UID(uid).name != uid
    for rules in profile.rules:
        assert rules.table.startswith(f"{profile.annex}.")
        assert {keyword for keyword, _ in rules.when} <= ATTRIBUTES.keys()
        for rule in rules.rules:
            if not isinstance(rule, NoOverlay):
                assert rule.keyword in ATTRIBUTES
            if isinstance(rule, There) and rule.within:
                assert rule.within in ATTRIBUTES
    assert set(profile.keys.keys) <= set(RECORD_KEYS)
    assert profile.keys.table in {"", *KEY_TABLES}


def test_there_are_the_profiles_of_the_standard_by_annex() -> None:
    annexes = "".join(sorted({profile.annex for profile in PROFILES.values()}))
    assert annexes == "ABCDEGHIJKLMN"
    names = [name for name in PROFILES if name.startswith("STD-GEN-USB")]
    assert names == ["STD-GEN-USB-JPEG", "STD-GEN-USB-J2K"]
    assert sum(profile.annex == "C" for profile in PROFILES.values()) == 2 * 3 * 9


def test_what_is_not_made_says_why() -> None:
    for profile in PROFILES.values():
        is_left_out = "-SEC-" in profile.identifier or profile.media is MediaKind.BD
        assert bool(profile.not_offered) == is_left_out
