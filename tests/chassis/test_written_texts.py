from typing import Any

import pytest

from chassis.written_texts import FILE_NAME_LENGTH_MAX, SIZE_BYTES_MAX, file_faults, text_fault

GOOD: dict[str, Any] = {"file_name": "合同.pdf", "media_type": "application/pdf", "size_bytes": 1, "sha256": "a" * 64}


@pytest.mark.parametrize(
    ("text", "sound"),
    [("two\nlines\tand a tab", True), ("x" * 9, True), (" ", False), ("", False), ("x" * 20, False), ("a\x00", False)],
)
def test_a_text_says_something_within_its_length_and_without_controls(text: str, sound) -> None:
    assert (text_fault(text, 19) is None) is sound


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({}, None),
        ({"file_name": "x" * (FILE_NAME_LENGTH_MAX + 1)}, "file_name"),
        ({"file_name": " a.pdf"}, "file_name"),
        ({"file_name": "../a.pdf"}, "file_name"),
        ({"file_name": ".."}, "file_name"),
        ({"file_name": "fdp.\u202eexe"}, "file_name"),
        ({"media_type": "text/html"}, "media_type"),
        ({"size_bytes": 0}, "size_bytes"),
        ({"size_bytes": SIZE_BYTES_MAX + 1}, "size_bytes"),
        ({"sha256": "a" * 63}, "sha256"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_field(changed: dict[str, Any], field: str | None) -> None:
    told = [name for name, _ in file_faults(**{**GOOD, **changed}, media_types={"application/pdf"})]
    assert told == ([field] if field else [])
