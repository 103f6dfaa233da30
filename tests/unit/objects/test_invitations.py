"""Codes and files that invite a device: what a slip does, and what a file holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.base.errors import UsageError
from edge_runtime.objects.codec import encode
from edge_runtime.objects.invitations import (
    ALPHABET,
    CODE_CHARS,
    FILE_KIND,
    SECRET_BYTES,
    Code,
    InvitationFile,
    derive_key,
    read_code,
    spell_secret,
)

codes = st.builds(Code, st.integers(0, 31), st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES).map(spell_secret))


@given(codes)
def test_a_code_is_read_as_it_was_shown_however_it_is_typed(code: Code) -> None:
    shown = str(code)
    assert len(shown) == CODE_CHARS + 3
    for typed in (shown, shown.lower(), shown.replace("-", " "), shown.replace("-", ""), f" {shown}\n"):
        assert read_code(typed) == code
    assert read_code(shown.replace("0", "O").replace("1", "l")) == code


@given(codes, st.integers(0, CODE_CHARS - 1), st.integers(1, 31))
def test_one_wrong_character_is_told_before_anybody_is_asked(code: Code, at: int, by: int) -> None:
    plain = str(code).replace("-", "")
    wrong = ALPHABET[(ALPHABET.index(plain[at]) + by) % 32]
    with pytest.raises(UsageError, match="slip"):
        read_code(plain[:at] + wrong + plain[at + 1 :])


@given(codes, st.integers(0, CODE_CHARS - 2))
def test_two_neighbours_that_are_exchanged_are_told(code: Code, at: int) -> None:
    plain = str(code).replace("-", "")
    if plain[at] != plain[at + 1]:
        with pytest.raises(UsageError, match="slip"):
            read_code(plain[:at] + plain[at + 1] + plain[at] + plain[at + 2 :])


@pytest.mark.parametrize(
    ("text", "says"), [("7K3M", "16 characters"), ("", "16 characters"), ("7K3M-9QXT-2B4C-U8RD", "'U'")]
)
def test_what_is_no_code_says_what_a_code_looks_like(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_code(text)


def test_a_secret_has_seventy_bits_of_chance() -> None:
    assert spell_secret(bytes(9)) == "0" * 14
    assert spell_secret(b"\xff" * 9) == "Z" * 14
    assert len({spell_secret((1 << bit).to_bytes(9, "big")) for bit in range(70)}) == 70


def test_both_sides_make_the_same_key_and_another_secret_makes_another() -> None:
    key = derive_key("7" * 14)
    assert len(key) == 32 and key == derive_key("7" * 14) != derive_key("8" * 14)


def test_a_file_says_whose_fleet_it_leads_to() -> None:
    file = InvitationFile(Code(3, spell_secret(b"chance 12")), "boats", b"r" * 32, ("10.0.0.1:4711",))
    assert InvitationFile.from_bytes(file.to_bytes()) == file


def test_what_is_no_invitation_is_left_to_others_and_a_damaged_one_is_named() -> None:
    assert InvitationFile.from_bytes(b"\x00junk") is None
    assert InvitationFile.from_bytes(encode(["boats", b"r" * 32, [b"grant"]])) is None
    for parts in ([FILE_KIND], [FILE_KIND, "7K3M", "boats", b"r" * 32, []], [FILE_KIND, "7K3M", "boats", b"short", []]):
        with pytest.raises(UsageError):
            InvitationFile.from_bytes(encode(parts))
