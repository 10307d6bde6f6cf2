"""What the code may not say, wherever it stands."""

import ast
import re

FUNCTION_LINES_MAX = 50
FILE_LINES_MAX = 300
TEST_FILE_LINES_MAX = 400

CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
}
# Word → what we say. Each is an idea that has its word already (docs/glossary.md), or work put off.
BANNED = {
    r"\bTODO\b|\bFIXME\b|\bHACK\b": "do it now, or say in your report that it is not done",
    r"\bcreated_at\b": "say create_time",
    r"\bupdated_at\b": "say update_time",
    r"\bemployee\b": "say staff",
    r"_fen\b": "say _minor: the currency is a setting",
    r"pytest\.skip\(|mark\.skip|mark\.xfail|importorskip": "make it pass, or delete it",
}
NAMES_NOBODY_FINDS = {"utils", "util", "common", "helpers", "misc", "core"}
SUPPRESSIONS = re.compile(r"#\s*(?:ruff:\s*)?(noqa|type:\s*ignore|pyright:\s*ignore)(.*)")
REASON = re.compile(r"^:?\s*[A-Z0-9, ]*(?:\[[^\]]*\])?\s*(?:--?|—|\(|#)\s*\S+")
FLOATS = {"float", "Float", "Double", "REAL", "float32", "float64"}


def clock_reads(source):
    if source.path == "chassis/clock.py":
        return
    for node in ast.walk(source.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
        if (name, node.func.attr) in CLOCKS:
            yield f"{source.path}:{node.lineno}: reads a clock: take the time as an argument, or ask chassis.clock"


def names_in(node):
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def is_amount(node):
    return any(name.endswith("_minor") for name in names_in(node))


def floats_near_money(source):
    where = "an amount is an int of minor units: divide with // or divmod, and never make it a float"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.BinOp) and is_amount(node):
            sides = (node.left, node.right)
            if isinstance(node.op, ast.Div) or any(
                isinstance(side, ast.Constant) and isinstance(side.value, float) for side in sides
            ):
                yield f"{source.path}:{node.lineno}: {where}"
        elif isinstance(node, ast.Call) and set(names_in(node)) & FLOATS and is_amount(node):
            if not any(isinstance(each, ast.Call) and each is not node and is_amount(each) for each in ast.walk(node)):
                yield f"{source.path}:{node.lineno}: {where}"
        elif isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            target = node.arg if isinstance(node, ast.arg) else next(names_in(node.target), "")
            if target.endswith("_minor") and "float" in set(names_in(node.annotation)):
                yield f"{source.path}:{node.lineno}: {where}"
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"_minor\b\)*\s*(::|\bAS)\s*(float|double|real)", line, re.IGNORECASE):
            yield f"{source.path}:{number}: {where}"


def calls_out_of_place(source):
    allowed = {
        "commit": ("chassis/sql/", "leave it to the transaction's block (Database.begin), which commits at its end"),
        "abort": ("chassis/interceptors", "raise Refused: one interceptor speaks to the wire"),
        "abort_with_status": ("chassis/interceptors", "raise Refused: one interceptor speaks to the wire"),
        "set_code": ("chassis/interceptors", "raise Refused: one interceptor speaks to the wire"),
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in allowed:
            place, instead = allowed[node.func.attr]
            if not source.path.startswith(place):
                yield f"{source.path}:{node.lineno}: .{node.func.attr}( does not belong here: {instead}"


def sql_outside_store(source):
    """Outside `store` the type of a transaction may be named, and nothing else of SQLAlchemy."""
    if not source.path.startswith("services/") or "/store/" in source.path:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names if alias.name.split(".")[0] in {"sqlalchemy", "asyncpg"}]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"sqlalchemy", "asyncpg"}:
            found = [alias.name for alias in node.names if alias.name != "AsyncConnection"]
        else:
            continue
        if found:
            yield f"{source.path}:{node.lineno}: {', '.join(found)}: write a function in `store` named by its question"


def sizes(source):
    limit = TEST_FILE_LINES_MAX if source.is_test else FILE_LINES_MAX
    count = len(source.text.splitlines())
    if count > limit:
        yield f"{source.path}: has {count} lines, at most {limit} are allowed: split it by what its parts do"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield (
                    f"{source.path}:{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES_MAX} are "
                    "allowed: take a part out and name it by what it does"
                )


def suppressions_without_reason(source):
    before = ""
    for number, line in enumerate(source.text.splitlines(), 1):
        above, before = before.strip(), line
        found = SUPPRESSIONS.search(line)
        if found is None or source.path == "tests/tidy/test_code.py":
            continue
        if "type" in found[1]:
            yield f"{source.path}:{number}: write `pyright: ignore[rule] -- reason`, which names the rule"
        elif not re.match(r"\s*[:\[]", found[2]):
            yield f"{source.path}:{number}: suppresses every rule: name the one that is meant"
        elif not REASON.match(found[2]) and not above.startswith("#"):
            yield f"{source.path}:{number}: a suppression needs its reason beside it: `# noqa: RULE -- reason`"


def banned_words(source):
    if source.path == "tests/tidy/test_code.py":
        return
    for number, line in enumerate(source.text.splitlines(), 1):
        for pattern, instead in BANNED.items():
            if found := re.search(pattern, line):
                yield f"{source.path}:{number}: `{found[0]}`: {instead}"


def names_without_a_job(source):
    for part in source.path.removesuffix(".py").split("/"):
        if part in NAMES_NOBODY_FINDS:
            yield f"{source.path}: `{part}` fits everything and finds nothing: name it by its job"


def over(check, sources):
    return [fault for source in sources for fault in check(source)]


def test_only_the_clock_reads_a_clock(sources, assert_nothing):
    assert_nothing(over(clock_reads, [source for source in sources if source.is_product]))


def test_no_float_comes_near_money(sources, assert_nothing):
    assert_nothing(over(floats_near_money, [source for source in sources if source.is_product]))


def test_commits_and_status_codes_stay_in_the_chassis(sources, assert_nothing):
    assert_nothing(over(calls_out_of_place, [source for source in sources if source.is_product]))


def test_sql_stays_in_store(sources, assert_nothing):
    assert_nothing(over(sql_outside_store, sources))


def test_files_and_functions_are_short(sources, assert_nothing):
    assert_nothing(over(sizes, sources))


def test_every_suppression_has_its_reason(sources, assert_nothing):
    assert_nothing(over(suppressions_without_reason, sources))


def test_no_word_is_used_that_has_a_better_one(sources, assert_nothing):
    assert_nothing(over(banned_words, sources))


def test_every_name_says_its_job(sources, assert_nothing):
    assert_nothing(over(names_without_a_job, sources))


def test_each_check_of_the_clock_can_fail(parse):
    for text in ("datetime.now(UTC)", "date.today()", "time.time()", "x = dt.datetime.utcnow()"):
        assert list(clock_reads(parse(text))), text
    assert not list(clock_reads(parse("datetime.now(UTC)", "chassis/clock.py")))
    assert not list(clock_reads(parse("clock.now()")))


def test_the_check_of_money_can_fail(parse):
    for text in (
        "x = balance_minor / 30",
        "x = balance_minor * 0.5",
        "x = float(row.balance_minor)",
        "balance_minor: float = 0",
        "def f(balance_minor: float | None): ...",
        "Column('balance_minor', Float)",
        "pa.field('balance_minor', pa.float64())",
        "q = 'SELECT balance_minor::float8'",
        "q = 'CAST(sum(balance_minor) AS DOUBLE)'",
    ):
        assert list(floats_near_money(parse(text))), text
    for text in ("x = balance_minor // 30", "x = total / 30", "f(pa.field('a_minor', pa.int64()), pa.float64())"):
        assert not list(floats_near_money(parse(text))), text


def test_the_check_of_calls_can_fail(parse):
    assert list(calls_out_of_place(parse("await tx.commit()")))
    assert list(calls_out_of_place(parse("await context.abort(code, 'no')", "services/loan_svc/rpc/loans.py")))
    assert not list(calls_out_of_place(parse("await tx.commit()", "chassis/sql/engine.py")))


def test_the_check_of_sql_can_fail(parse):
    path = "services/loan_svc/usecases/lend.py"
    assert list(sql_outside_store(parse("from sqlalchemy import select", path)))
    assert list(sql_outside_store(parse("import asyncpg", path)))
    assert not list(sql_outside_store(parse("from sqlalchemy.ext.asyncio import AsyncConnection", path)))
    assert not list(sql_outside_store(parse("from sqlalchemy import select", "services/loan_svc/store/loans.py")))


def test_the_check_of_sizes_can_fail(parse):
    assert list(sizes(parse("\n" * 301)))
    assert list(sizes(parse("def f():\n" + "    x = 1\n" * 50)))
    assert not list(sizes(parse("def f():\n" + "    x = 1\n" * 49)))


def test_the_check_of_suppressions_can_fail(parse):
    for text in (
        "x = 1  # noqa",
        "x = 1  # noqa: S101",
        "x = 1  # type: ignore",
        "x = 1  # pyright: ignore[reportAny]",
    ):
        assert list(suppressions_without_reason(parse(text))), text
    for text in (
        "x = 1  # noqa: S101 -- a reason",
        "# A reason.\nx = 1  # noqa: S101",
        "x = 1  # noqa: S101, S102 (a reason)",
        "x = 1  # noqa: S101 - a reason",
        "x = 1  # pyright: ignore[reportAny] -- a reason",
        "x = 1  # pyright: ignore[reportAny]  # a reason",
    ):
        assert not list(suppressions_without_reason(parse(text))), text


def test_the_check_of_words_can_fail(parse):
    assert list(banned_words(parse("created_at = 1")))
    assert list(banned_words(parse("# TO" + "DO: later")))
    assert list(names_without_a_job(parse("", "chassis/utils.py")))
    assert not list(names_without_a_job(parse("", "chassis/wire.py")))
