"""`python -m bench [name …]`: runs the benchmarks, prints one table and writes `bench/results.json`."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from bench.results import Result, keep, show
from bench.search_run import keeping

# In this order, those that share a bank last; each is a module with `measure() -> list[Result]`, and the names of its
# figures begin with its own.
BENCHMARKS = (
    "rpc_governed",
    "gateway_cpu",
    "import_customers",
    "allocate_1m",
    "claim_race",
    "allocate_incremental",
    "score_cards_1m",
    "feed_follow",
    "stream_group_1m",
    "memory",
    "search_page_1m",
    "search_count_1m",
)


def main(asked: Sequence[str]) -> int:
    unknown = [name for name in asked if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    results: list[Result] = []
    with keeping():
        for name in asked or BENCHMARKS:
            print(f"{name} …", file=sys.stderr, flush=True)
            measure: Callable[[], list[Result]] = import_module(f"bench.{name}").measure
            results += measure()
            keep(results)
    show(results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
