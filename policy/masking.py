"""What a mask leaves of what tells who somebody is, for viewers who may see no more (visibility.py)."""


def mask_mobile(mobile: str) -> str:
    """Keeps the first three and the last four digits: `138****5678`; of a short number nothing."""
    return _keep(mobile, 3, 4)


def mask_id_number(id_number: str) -> str:
    """Keeps the first three and the last two characters, so not the day of birth; of a short number nothing."""
    return _keep(id_number, 3, 2)


def mask_name(display_name: str) -> str:
    """Keeps the first character: `王**`."""
    return display_name[:1] + "*" * (len(display_name) - 1)


def _keep(text: str, first: int, last: int) -> str:
    hidden = len(text) - first - last
    if hidden < min(4, len(text)):
        return "*" * len(text)
    return text[:first] + "*" * hidden + text[-last:]
