"""The figures that a file has as columns: read for whom its maker sees them of, and of nobody else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.customer import View
from services.customer_svc.domain.exports import Place, figure_places, with_figures
from services.customer_svc.domain.indicators import Figure
from services.customer_svc.store import export_figures

_ByCustomer = Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class PageFigures:
    """What was read for a page of customers, by place."""

    by_place: Mapping[Place, _ByCustomer] = field(default_factory=dict[Place, _ByCustomer])

    def added_to(self, views: Sequence[View]) -> Sequence[View]:
        """The same views with their figures. CPU work: it belongs into a thread."""
        for place, by_customer in self.by_place.items():
            views = [with_figures(view, place, by_customer.get(view.identity.customer_id, {})) for view in views]
        return views


async def read_page_figures(conn: AsyncConnection, views: Sequence[View], columns: Sequence[str]) -> PageFigures:
    """The bank's figures of customers whose totals are seen, and of each those of the branch that is his maker's own.

    Only what some column shows is read.
    """
    places = figure_places(columns)
    found: dict[Place, _ByCustomer] = {}
    if Place.TOTAL in places:
        seen = [view.identity.customer_id for view in views if view.total is not None]
        found[Place.TOTAL] = await export_figures.read_totals(conn, seen)
    if Place.OWN in places:
        branch_of = {view.identity.customer_id: view.own.branch_id for view in views if view.own}
        found[Place.OWN] = await export_figures.read_own(conn, branch_of)
    return PageFigures(found)
