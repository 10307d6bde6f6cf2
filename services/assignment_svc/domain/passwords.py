"""Which passwords staff may choose: long, and not among those that are tried first."""

import re
from itertools import pairwise

LENGTH_MIN = 12
LENGTH_MAX = 256
_DIFFERENT_MIN = 5
# What passwords are made of that are tried first; a longer one is such a word with digits and signs around it.
_LISTED = """
abc abcabc abcdef abcdefg abcdefgh abcdefghijkl admin administrator asdf asdfgh asdfghjkl asdfghjklzxcvbnm bank banker
banking banyan changeme changemenow default dragon football guest hello iloveyou letmein letmeinnow login manager
master mima monkey passw password passwordpassword passwort princess qazwsx qazwsxedc qazwsxedcrfv qwe qweasd qweasdzxc
qwer qwert qwerty qwertyuiop qwertyuiopasdf secret staff sunshine superman system temp temporary test testing trustno
welcome welcomeback woaini woainia yonghu zaq zaqwsx zxcvbn zxcvbnm
"""
_USUAL = frozenset(_LISTED.split())
_AROUND = re.compile(r"[\W\d_]+")
_ENDS = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_LOOKS_LIKE = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})
# A login shorter than this is in many good passwords by chance.
_NAME_LENGTH_MIN = 3


def password_fault(password: str, login: str, display_name: str) -> str | None:
    """Says what is wrong with a password, or None: it is long, varied, and nothing that one tries first."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        return f"must have from {LENGTH_MIN} to {LENGTH_MAX} characters"
    folded = password.casefold()
    if len(set(folded)) < _DIFFERENT_MIN:
        return f"must have at least {_DIFFERENT_MIN} different characters"
    for name in (login, display_name):
        if len(name) >= _NAME_LENGTH_MIN and name.casefold() in folded:
            return "must not have the login or the name in it"
    if _is_sequence(folded) or _words(folded) <= _USUAL or _words(_spelled(folded)) <= _USUAL:
        return "is among those that are tried first"
    return None


def _spelled(folded: str) -> str:
    """The word inside digits and signs, with letters where signs stand for them."""
    return _ENDS.sub("", folded).translate(_LOOKS_LIKE)


def _words(folded: str) -> frozenset[str]:
    """The words between digits and signs; nothing for a password without a letter."""
    return frozenset(word for word in _AROUND.split(folded) if word)


def _is_sequence(folded: str) -> bool:
    """Says whether it goes up or down by one all the way, a break aside, as 123456789012 does; or repeats itself."""
    steps = [ord(after) - ord(before) for before, after in pairwise(folded)]
    near = sum(1 for step in steps if step in {-1, 1})
    is_repeated = any(
        folded == (folded[:length] * len(folded))[: len(folded)] for length in range(1, len(folded) // 3 + 1)
    )
    return near >= len(steps) - 2 or is_repeated
