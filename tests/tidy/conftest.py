"""The project's own source, as the checks of this folder read it.

Each check is a function that yields what is wrong, with what to do instead; one test runs it over the project, another
shows that it can fail.
"""

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.api import annotations_pb2, field_behavior_pb2, resource_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

ROOT = Path(__file__).parents[2]
FOLDERS = ("acrm", "bench", "chassis", "cli", "deploy", "devstack", "gateway", "policy", "services", "tests")
# Their options are read by name; importing them makes them known.
assert annotations_pb2
assert field_behavior_pb2
assert resource_pb2


@dataclass(frozen=True)
class Source:
    """One Python file; the path is relative to the project's root."""

    path: str
    text: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        return self.path.startswith("tests/")

    @property
    def is_product(self) -> bool:
        """Runs at the bank, or prepares what does."""
        return not self.path.startswith(("tests/", "bench/"))


def source_of(text: str, path: str = "services/loan_svc/domain/loans.py") -> Source:
    return Source(path, text, ast.parse(text))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> Sequence[Source]:
    files = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    return [source_of(file.read_text(), file.relative_to(ROOT).as_posix()) for file in files]


@pytest.fixture(scope="session")
def parse() -> Callable[..., Source]:
    """`parse("text", "path.py")` makes a source to try a check on."""
    return source_of


@pytest.fixture(scope="session")
def protos() -> Sequence[FileDescriptorProto]:
    """Our contracts, with their comments."""
    files = FileDescriptorSet.FromString((ROOT / "gen" / "banyan.desc").read_bytes()).file
    return [file for file in files if file.package.startswith("banyan.")]


@pytest.fixture(scope="session")
def services(root: Path) -> Sequence[str]:
    return sorted(folder.name for folder in (root / "services").iterdir() if folder.name.endswith("_svc"))


@pytest.fixture(scope="session")
def assert_nothing() -> Callable[[Iterable[str]], None]:
    """Fails with every fault on a line of its own."""

    def check(faults: Iterable[str]) -> None:
        found = list(faults)
        if found:
            pytest.fail("\n".join(found), pytrace=False)

    return check
