# SPDX-License-Identifier: BSD-3-Clause
"""Puts what was measured into a page of docs/, so that its tables come from a run."""


def insert(page, mark, text):
    """The page with text between its marks <!-- mark:begin --> and <!-- mark:end -->."""
    begin, end = f"<!-- {mark}:begin -->\n", f"\n<!-- {mark}:end -->"
    head, found, rest = page.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"there are no marks {begin.strip()} and {end.strip()}")
    return head + begin + text + end + tail


def write(path, mark, text):
    """Replaces what is between the marks in the file; ValueError when it has none."""
    with open(path, encoding="utf-8") as f:
        page = insert(f.read(), mark, text)
    with open(path, "w", encoding="utf-8") as f:
        f.write(page)
