"""The steps that derive tables from a checked feed: each reads what stands in files, and writes files whole."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr import types as ir

from acrm.derived import DERIVED
from acrm.engines import Engine, engine
from acrm.parameters import Parameters
from acrm.progress import Progress
from acrm.stages.account_periods import account_periods
from acrm.stages.bookings import flows, standing_bookings
from acrm.stages.branch_facts import Sources, branch_facts
from acrm.stages.branch_totals import PAIR, Business, branch_totals
from acrm.stages.customer_tags import customer_tags
from acrm.stages.figures import figures, holding_categories
from acrm.stages.key_tests import key_tests
from acrm.stages.merged import MERGED, living, united
from acrm.stages.monthly_balances import month_totals, monthly_balances
from acrm.stages.score_inputs import ScoreSources, balance_steps, customer_months
from acrm.stages.tag_inputs import TagSources, tag_inputs
from acrm.stages.value import customer_base
from acrm.tables import FEED

# Among the stages of a night: who was merged into whom when it began; not there if nobody was.
MERGED_FILE = "merged_customers.parquet"


@dataclass(frozen=True)
class Bench:
    """What a step works on."""

    engine_url: str
    tables: Path
    """The folder of the feed's checked tables and of those that are derived."""
    stages: Path
    """The folder of results that only later steps read."""
    business_date: date
    parameters: Parameters


class _Work:
    """One step at work: tables by name in, tables by name out."""

    def __init__(self, bench: Bench, opened: Engine, progress: Progress) -> None:
        self.day, self.parameters = bench.business_date, bench.parameters
        self.counts: dict[str, int] = {}
        self._bench, self._engine, self._progress = bench, opened, progress

    def feed(self, name: str) -> ir.Table:
        """A table of the feed, with what belongs to customers who were merged under their survivors."""
        table = self._engine.read(name, self._bench.tables / f"{name}.parquet", FEED[name].schema)
        path = self._bench.stages / MERGED_FILE
        if "customer_id" not in FEED[name].schema.names or not path.exists():
            return table
        merged = self._engine.read("merged_customers", path, MERGED)
        return living(table, merged) if name == "customers" else united(table, merged, FEED[name].key)

    def stage(self, name: str) -> ir.Table:
        return self._engine.read_stage(name, self._bench.stages / f"{name}.parquet")

    def keep(self, name: str, expression: ir.Table) -> ir.Table:
        """Writes a result that later steps read."""
        self._told(name, self._engine.write_stage(expression, self._bench.stages / f"{name}.parquet"))
        return self.stage(name)

    def write(self, name: str, expression: ir.Table) -> None:
        """Writes a derived table."""
        path = self._bench.tables / f"{name}.parquet"
        self._told(name, self._engine.write(expression, DERIVED[name].schema, path))

    def _told(self, name: str, count: int) -> None:
        self.counts[name] = count
        self._progress(name, count, count)


def keep_merged(bench: Bench, merged: Sequence[tuple[str, str]]) -> None:
    """Remembers for all steps of a night who was merged into whom."""
    bench.stages.mkdir(parents=True, exist_ok=True)
    path = bench.stages / MERGED_FILE
    path.unlink(missing_ok=True)
    if merged:
        customer_ids, survivor_ids = zip(*merged, strict=True)
        unfinished = path.with_suffix(".unfinished")
        pq.write_table(pa.table({"customer_id": customer_ids, "survivor_id": survivor_ids}, schema=MERGED), unfinished)
        unfinished.replace(path)


def derive(step: str, bench: Bench, progress: Progress) -> dict[str, int]:
    """Does one of STEPS, which are in the order in which they need one another; answers the rows of each result."""
    bench.stages.mkdir(parents=True, exist_ok=True)
    with engine(bench.engine_url, bench.stages) as opened:
        work = _Work(bench, opened, progress)
        STEPS[step](work)
        return work.counts


def _facts(work: _Work) -> None:
    sources = Sources(**{name: work.feed(name) for name in Sources.__annotations__})
    work.write("branch_facts", branch_facts(sources, work.day))


def _figures(work: _Work) -> None:
    accounts, holdings = work.feed("accounts"), work.feed("holdings")
    stands = standing_bookings(work.feed("transactions"), accounts, work.day)
    business = Business(
        periods=work.keep("account_periods", account_periods(accounts, work.feed("balances"), work.day)),
        loans=work.feed("loans"),
        cards=work.feed("cards"),
        holdings=holdings,
        flows=work.keep("flows", flows(stands, work.day)),
    )
    totals = work.keep("branch_totals", branch_totals(business, work.day, work.parameters))
    products = work.feed("products")
    by_branch = holding_categories(holdings, products, PAIR, work.day)
    work.write("customer_branch_figures", figures(totals, by_branch, PAIR, work.day))
    categories = holding_categories(holdings, products, ("customer_id",), work.day)
    base = customer_base(work.feed("customers"), totals, categories, work.day, work.parameters)
    work.write("customer_figures", work.keep("customer_base", base))


def _series(work: _Work) -> None:
    totals = work.keep("month_totals", month_totals(work.stage("account_periods"), work.day))
    work.write("monthly_balances", monthly_balances(totals, work.day))


def _tags(work: _Work) -> None:
    accounts = work.feed("accounts")
    sources = TagSources(
        base=work.stage("customer_base"),
        months=work.stage("month_totals"),
        stands=standing_bookings(work.feed("transactions"), accounts, work.day),
        accounts=accounts,
        balances=work.feed("balances"),
        complaints=work.feed("complaints"),
        opt_outs=work.feed("opt_outs"),
    )
    inputs = work.keep("tag_inputs", tag_inputs(sources, work.day, work.parameters))
    work.write("customer_tags", customer_tags(inputs, work.day, work.parameters))


def _key_tests(work: _Work) -> None:
    work.write("key_tests", key_tests(work.stage("customer_base"), work.day, work.parameters))


def _scores(work: _Work) -> None:
    accounts = work.feed("accounts")
    sources = ScoreSources(
        base=work.stage("customer_base"),
        months=work.stage("month_totals"),
        accounts=accounts,
        loans=work.feed("loans"),
        cards=work.feed("cards"),
    )
    work.write("balance_steps", balance_steps(accounts, work.feed("balances"), work.day))
    work.write("customer_months", customer_months(sources, work.day, work.parameters))


STEPS: Mapping[str, Callable[[_Work], None]] = {
    "facts": _facts,
    "figures": _figures,
    "series": _series,
    "tags": _tags,
    "keys": _key_tests,
    "scores": _scores,
}
