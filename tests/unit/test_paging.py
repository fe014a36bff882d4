from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidInputError
from app.storage.paging import Cursor


@given(st.integers(-(2**63), 2**63 - 1), st.uuids())
def test_a_cursor_is_32_characters_and_comes_back_as_it_was(value: int, row_id: UUID) -> None:
    text = Cursor(value, row_id).encode()
    assert len(text) == 32
    assert Cursor.decode(text) == Cursor(value, row_id)


@pytest.mark.parametrize("text", ["", "abc", "é" * 32, "=" * 32, "a" * 31, "a" * 33, "a" * 36, " " + "a" * 31])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="cursor"):
        Cursor.decode(text)
