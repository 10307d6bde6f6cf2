"""Who covers whom, read from the feed of the organisation."""

from collections.abc import Callable
from typing import Any

from chassis import names, wire
from chassis.acting import Acting


def acting_from_wire(acting: Any, role_name: Callable[[Any], str], *, gone: bool) -> Acting:  # noqa: ANN401 -- a message that the chassis does not know
    """What a message `ActingManager` tells; `role_name` names the values of its enum of roles."""
    branch_id, acting_manager_id = names.parse("branches/*/actingManagers/*", acting.name)
    return Acting(
        acting_manager_id=acting_manager_id,
        acting_id=names.parse_one("staff", acting.acting, "acting"),
        covered_id=names.parse_one("staff", acting.covered, "covered"),
        role=role_name(acting.role).removeprefix("ROLE_"),
        branch_id=branch_id,
        from_date=wire.date_from_wire(acting.from_date, "from_date"),
        until_date=wire.date_from_wire(acting.until_date, "until_date"),
        gone=gone,
    )
