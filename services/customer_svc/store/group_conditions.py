"""Which tags a customer bears and which saved groups he is in, as SQL (Q9)."""

from sqlalchemy import ColumnElement, and_, any_, true

from services.customer_svc.domain.conditions import GroupCondition, TagCondition
from services.customer_svc.store.columns import KEY
from services.customer_svc.store.scope import looked_up, texts
from services.customer_svc.store.tables_groups import customer_groups, group_members
from services.customer_svc.store.tables_search import customer_search

# Made once: what SQLAlchemy prepares for an alias takes longer than many a look-up.
_MEMBER, _GROUP = group_members.alias("member"), customer_groups.alias("in_group")
_LIVE_MEMBER = _MEMBER.join(
    _GROUP, and_(_GROUP.c.group_id == _MEMBER.c.group_id, _GROUP.c.live_generation == _MEMBER.c.generation)
)


def tags_hold(condition: TagCondition) -> ColumnElement[bool]:
    """Says of a customer whether he bears these tags and not those."""
    tags = customer_search.c.tag_codes
    parts: list[ColumnElement[bool]] = []
    if condition.all_of:
        parts.append(tags.contains(texts(condition.all_of)))
    if condition.any_of:
        parts.append(tags.overlap(texts(condition.any_of)))
    if condition.none_of:
        parts.append(~tags.overlap(texts(condition.none_of)))
    return and_(true(), *parts)


def groups_hold(condition: GroupCondition) -> ColumnElement[bool]:
    """Says of a customer whether he is in one of these groups, and in none of those, as they were last built."""
    parts: list[ColumnElement[bool]] = []
    if condition.any_of:
        parts.append(_is_in(condition.any_of))
    if condition.none_of:
        parts.append(~_is_in(condition.none_of))
    return and_(true(), *parts)


def _is_in(group_ids: tuple[str, ...]) -> ColumnElement[bool]:
    of_these = _MEMBER.c.group_id == any_(texts(group_ids))
    return looked_up(_LIVE_MEMBER, _MEMBER.c.customer_id == KEY, of_these)
