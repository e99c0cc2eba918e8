"""Text from files and folders as a terminal may show it."""

from __future__ import annotations


def plain(text: object) -> str:
    r"""One line whose every character can be seen: control characters, and bytes that are no text, are spelt out.

    >>> print(plain("a\nb \x1b[2J\udcff é"))
    a\nb \x1b[2J\udcff é
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode()
                   for letter in str(text))
