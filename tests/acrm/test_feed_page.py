from pathlib import Path

from acrm.business_tables import OPERATIONS
from acrm.feed_page import feed_page

PAGE = Path(__file__).parents[2] / "docs" / "feed.md"


def test_the_page_describes_the_tables_as_the_code_does():
    told = PAGE.read_text()
    assert told[told.index("## Tables of the feed") :] == feed_page(), (
        "write it anew: .venv/bin/python -c 'from acrm.feed_page import feed_page; print(feed_page())'"
    )


def test_the_page_explains_every_code_of_an_operation():
    told = PAGE.read_text()
    section = told[told.index("## Codes of operations") : told.index("## Tables of the feed")]
    assert set(OPERATIONS.split()) <= set(section.replace("`", " ").split())
