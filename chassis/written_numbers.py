"""What two ways to write the same number have in common."""

from unicodedata import decimal, normalize

_COUNTRY_PREFIXES = ("+86", "0086")


def same_document(text: str) -> str:
    """A document's number without spaces and signs, in capitals, whatever forms its letters and digits have."""
    if text.isascii() and text.isalnum():
        return text.upper()
    return "".join(filter(str.isalnum, normalize("NFKC", text))).upper()


def same_mobile(text: str) -> str:
    """A mobile's digits without China's own prefix; a text without digits as a document's number."""
    if not (text.isascii() and text.isdigit()):
        kept = (c for c in normalize("NFKC", text) if c.isdecimal() or c == "+")
        text, written = "".join(c if c == "+" else str(decimal(c)) for c in kept), text
        if not text.strip("+"):
            return same_document(written)
    for prefix in _COUNTRY_PREFIXES:
        if text.startswith(prefix):
            return text.removeprefix(prefix).replace("+", "")
    return text.replace("+", "")
