"""Two texts side by side: what is shown of them, and what differs inside a line."""

from __future__ import annotations

from mappings.language.diff import Line, Row, side_by_side

OLD = [f"line {number}" for number in range(1, 31)]


def shown(old: list[str], new: list[str]) -> list[str]:
    """Each row in a few signs: numbers of both sides and the text, differing pieces in brackets."""
    return [one(row) for row in side_by_side("\n".join(old), "\n".join(new))]


def one(row: Row) -> str:
    if row.kind == "gap":
        return f"... {row.skipped}"
    return f"{side(row.left)} | {side(row.right)}"


def side(line: Line | None) -> str:
    if line is None:
        return ""
    text = "".join(f"[{piece.text}]" if piece.differs else piece.text for piece in line.pieces)
    return f"{line.number} {text}"


def test_equal_texts_have_no_rows() -> None:
    assert side_by_side("a\nb", "a\nb") == ()
    assert side_by_side("", "") == ()


def test_the_words_that_differ_are_marked() -> None:
    assert shown(["  email: email", "  x: y"], ["  email: {expr: lower(email)}", "  x: y"]) == [
        "1   email: email | 1   email: [{expr: lower(]email[)}]",
        "2   x: y | 2   x: y",
    ]


def test_lines_with_little_in_common_differ_as_a_whole() -> None:
    assert shown(["abc def"], ["something else: 1"]) == ["1 [abc def] | 1 [something else: 1]"]


def test_lines_that_came_and_went_stand_alone() -> None:
    assert shown(["a", "b", "c"], ["a", "c", "d"]) == ["1 a | 1 a", "2 [b] | ", "3 c | 2 c", " | 3 [d]"]
    assert shown([], ["a"]) == [" | 1 [a]"]
    assert shown(["a"], []) == ["1 [a] | "]


def test_far_away_equal_lines_are_left_out() -> None:
    new = [*OLD[:10], "line X", *OLD[11:]]
    assert shown(OLD, new) == [
        "... 7",
        "8 line 8 | 8 line 8",
        "9 line 9 | 9 line 9",
        "10 line 10 | 10 line 10",
        "11 line [11] | 11 line [X]",
        "12 line 12 | 12 line 12",
        "13 line 13 | 13 line 13",
        "14 line 14 | 14 line 14",
        "... 16",
    ]


def test_a_gap_of_one_line_is_shown_instead() -> None:
    assert shown(OLD[:5], [*OLD[:4], "line X"])[0] == "1 line 1 | 1 line 1"
    assert shown(OLD[:6], [*OLD[:5], "line X"])[0] == "... 2"


def test_both_sides_can_be_put_together_again() -> None:
    new = [*OLD[3:12], "x: y", "line 12 and more", *OLD[14:25], "z"]
    rows = side_by_side("\n".join(OLD), "\n".join(new))
    assert not [row for row in rows if row.kind == "gap" and row.skipped < 2]
    for lines, texts in (([row.left for row in rows], OLD), ([row.right for row in rows], new)):
        for line in lines:
            assert line is None or "".join(piece.text for piece in line.pieces) == texts[line.number - 1]
        left_out = sum(row.skipped for row in rows)
        assert len([line for line in lines if line]) + left_out == len(texts)
