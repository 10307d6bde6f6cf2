"""Change feeds (design 4.6): what one service knows and others need, without a broker and without joins.

A feed lists the current state of aggregates, each whole, in the order of their last change. The root table has
`rev xid8` set to `pg_current_xact_id()` by every statement that changes the aggregate, and an index on (rev, key).
"""

from chassis.feed_cursor import Cursor, Page
from chassis.feed_epoch import renew_epoch
from chassis.feed_follower import Follower, NotLeading
from chassis.feed_publisher import Publisher, ReadPage
from chassis.wakeups import Listener, Wakeups

__all__ = ["Cursor", "Follower", "Listener", "NotLeading", "Page", "Publisher", "ReadPage", "Wakeups", "renew_epoch"]
