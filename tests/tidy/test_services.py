"""That the four services are built alike, and that their contracts are kept by code."""

import ast
import importlib
import re
from pathlib import Path

ROOMS = ("__init__.py", "__main__.py", "settings.py", "domain", "jobs", "peers", "rpc", "store", "usecases")
STORE = ("__init__.py", "tables.py", "migrations")
# Functions that refuse, with the position of the reason among their arguments.
REFUSING = {"Refused": 1, "invalid_field": 2, "invalid_fields": 1, "RowError": 2}


def package_of(service):
    return f"banyan.{service.removesuffix('_svc')}.v1"


def missing_rooms(folder):
    for room in ROOMS:
        if not (folder / room).exists():
            yield f"services/{folder.name}/{room} is missing: every service has the same rooms, empty ones too"
    for room in STORE:
        if not (folder / "store" / room).exists():
            yield f"services/{folder.name}/store/{room} is missing: every store has the same parts"
    for found in sorted(folder.iterdir()):
        if found.name not in {*ROOMS, "__pycache__"}:
            yield f"services/{folder.name}/{found.name} is no room: put it into the room that its job names"


def rpcs(protos, package):
    return {
        f"/{file.package}.{service.name}/{rpc.name}"
        for file in protos
        if file.package == package
        for service in file.service
        for rpc in service.method
    }


def reasons(protos, package):
    enums = [enum for file in protos if file.package == package for enum in file.enum_type]
    values = [value for enum in enums if enum.name == "ErrorReason" for value in enum.value]
    return {value.name.removeprefix("ERROR_REASON_") for value in values if value.number}


def texts(source):
    return {node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant) and type(node.value) is str}


def methods(source):
    classes = [node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    return {
        method.name
        for found in classes
        for method in found.body
        if isinstance(method, ast.AsyncFunctionDef) and method.name[0].isupper()
    }


def raised(source):
    """Reasons that are written where something is refused."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name not in REFUSING:
            continue
        given = [*node.args[REFUSING[name] : REFUSING[name] + 1]]
        given += [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
        for each in given:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield node.lineno, each.value


def reasons_never_raised(known, service, its_sources, chassis_sources):
    said = set().union(*(texts(source) for source in (*its_sources, *chassis_sources)))
    for reason in sorted(known - said):
        yield f"{service}: ErrorReason {reason} is never raised: raise it, or take it out of error_reason.proto"


def reasons_unknown(known, its_sources, chassis_sources):
    chassis = {reason for source in chassis_sources for _, reason in raised(source)}
    for source in its_sources:
        for line, reason in raised(source):
            if reason not in known | chassis:
                yield f"{source.path}:{line}: reason {reason} is not in the package's ErrorReason: add it there first"


def rpcs_not_served(wanted, main, its_sources, chassis_sources):
    served = texts(main)
    written = set().union(*(methods(source) for source in (*its_sources, *chassis_sources)))
    for path in sorted(wanted):
        service, name = path.strip("/").split("/")
        if not {service, service.rpartition(".")[2]} & served:  # by its name, or by its descriptor's
            yield f"{main.path}: {service} has no servicer: add a Served to the App"
        elif name not in written:
            yield f"{main.path}: {path} has no method: write it in the servicer of {service}"


def permissions_missing(wanted, service, its_sources):
    """The table of permissions names each RPC by its path."""
    written = {text for source in its_sources for text in texts(source) if text.startswith("/banyan.")}
    for path in sorted(wanted - written):
        yield f"{service}: nothing says who may call {path}: add it to the table of permissions in `rpc`"
    for path in sorted(written - wanted):
        yield f"{service}: the table of permissions names {path}, which does not exist: take it out"


def of(sources, folder):
    return [source for source in sources if source.path.startswith(f"{folder}/")]


def test_every_service_has_the_same_rooms(root, services, assert_nothing):
    assert len(services) == 4
    assert_nothing(fault for service in services for fault in missing_rooms(root / "services" / service))


def test_every_rpc_has_a_servicer(sources, protos, services, assert_nothing):
    mains = {source.path: source for source in sources}
    assert_nothing(
        fault
        for service in services
        for fault in rpcs_not_served(
            rpcs(protos, package_of(service)),
            mains[f"services/{service}/__main__.py"],
            of(sources, f"services/{service}/rpc"),
            of(sources, "chassis"),
        )
    )


def test_every_rpc_says_who_may_call_it(sources, protos, services, assert_nothing):
    assert_nothing(
        fault
        for service in services
        for fault in permissions_missing(
            rpcs(protos, package_of(service)), service, of(sources, f"services/{service}/rpc")
        )
    )


def test_every_error_reason_is_raised(sources, protos, services, assert_nothing):
    assert_nothing(
        fault
        for service in services
        for fault in reasons_never_raised(
            reasons(protos, package_of(service)), service, of(sources, f"services/{service}"), of(sources, "chassis")
        )
    )


def test_no_unknown_reason_is_raised(sources, protos, services, assert_nothing):
    assert_nothing(
        fault
        for service in services
        for fault in reasons_unknown(
            reasons(protos, package_of(service)), of(sources, f"services/{service}"), of(sources, "chassis")
        )
    )


def test_the_services_take_the_columns_that_the_feed_has(services):
    """The nightly batch and the services may not import one another, so their schemas are held equal here."""
    from acrm.derived import DERIVED  # noqa: PLC0415 -- the other checks need no Arrow
    from acrm.tables import FEED  # noqa: PLC0415 -- the other checks need no Arrow
    from chassis.data_keys import DataKeys  # noqa: PLC0415 -- the same
    from chassis.sql.bulk import BulkTable  # noqa: PLC0415 -- the same

    feed = {**FEED, **DERIVED}
    taken = set()
    for service in services:
        if service == "alert_svc":  # transactions come as messages
            continue
        imports = importlib.import_module(f"services.{service}.store.imports")
        # Only customers are sealed; a schema needs no keys.
        keys = [DataKeys(Path())] if service == "customer_svc" else []
        tables = getattr(imports, "TABLES", None) or imports.bulk_tables(*keys)
        assert all(isinstance(table, BulkTable) for table in tables), service
        for table in tables:
            expected = feed[table.name].schema
            assert table.schema.equals(expected), f"{service}: {table.name} takes\n{table.schema}\nand not\n{expected}"
            taken.add(table.name)
    # Balances and complaints are read by the nightly batch alone.
    assert taken == set(feed) - {"balances", "complaints", "transactions"}


def test_a_missing_and_an_extra_room_are_found(tmp_path):
    for room in ROOMS[:-1]:
        (tmp_path / room).mkdir()
    (tmp_path / "helpers").mkdir()
    faults = "\n".join(missing_rooms(tmp_path))
    assert "usecases is missing" in faults
    assert "store/tables.py is missing" in faults
    assert "helpers is no room" in faults


def test_an_rpc_without_a_servicer_is_found(parse):
    main = parse('Served("banyan.loan.v1.LoanService", add, LoanServicer())', "services/loan_svc/__main__.py")
    servicer = parse("class LoanServicer:\n    async def GetLoan(self): ...", "services/loan_svc/rpc/loans.py")
    wanted = {"/banyan.loan.v1.LoanService/GetLoan", "/banyan.loan.v1.LoanService/ListLoans"}
    [fault] = rpcs_not_served(wanted, main, [servicer], [])
    assert "ListLoans has no method" in fault
    [fault] = rpcs_not_served({"/banyan.loan.v1.RateService/GetLoan"}, main, [servicer], [])
    assert "RateService has no servicer" in fault


def test_an_rpc_without_permissions_and_permissions_without_an_rpc_are_found(parse):
    table = parse('ALLOWED = {"/banyan.loan.v1.LoanService/GetLoan": ANY}', "services/loan_svc/rpc/permissions.py")
    faults = permissions_missing({"/banyan.loan.v1.LoanService/ListLoans"}, "loan_svc", [table])
    assert [fault.partition(":")[2].split()[0] for fault in faults] == ["nothing", "the"]


def test_a_reason_that_nobody_raises_and_one_that_nobody_knows_are_found(parse):
    source = parse('raise Refused(Kind.INVALID, "LOAN_LATE", "…")\nraise invalid_field("a", "b", reason="DULL")')
    assert list(reasons_never_raised({"LOAN_LATE", "LOAN_GONE"}, "loan_svc", [source], [])) == [
        "loan_svc: ErrorReason LOAN_GONE is never raised: raise it, or take it out of error_reason.proto"
    ]
    [fault] = reasons_unknown({"LOAN_LATE"}, [source], [])
    assert re.search("reason DULL is not", fault)
