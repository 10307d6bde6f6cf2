"""That the documents tell the truth, as far as a program can know."""

import re
from pathlib import Path

from google.api import resource_pb2

from chassis.settings import ServiceSettings
from gateway.settings import GatewaySettings

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
DOCUMENTS = (
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "README.zh-CN.md",
    "docs/api.md",
    "docs/feed.md",
    "docs/glossary.md",
    "docs/operations.md",
)


def default_of(field, root):
    if field.is_required():
        return "required"
    if field.default in (None, "", ()):
        return "none"
    if isinstance(field.default, Path):
        return f"`{field.default.relative_to(root)}`"
    if isinstance(field.default, tuple):
        return "`" + "`, `".join(field.default) + "`"
    return f"`{field.default}`"


def rows_of(settings, root):
    """The rows that the table of settings must have."""
    for name, field in settings.model_fields.items():
        yield f"| `{name.upper()}` | {default_of(field, root)} | {field.description} |"


def rows_missing(text, settings, root):
    lines = set(text.splitlines())
    for row in rows_of(settings, root):
        if row not in lines:
            yield f"docs/operations.md lacks a row of {settings.__name__}; write it, in place of an older one:\n{row}"


def words_missing(text, protos):
    listed = set(re.findall(r"`([^`]+)`", text))
    for file in protos:
        for message in file.message_type:
            resource = message.options.Extensions[resource_pb2.resource].type
            word = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", resource.partition("/")[2]).lower()
            if resource and word not in listed:
                yield f"docs/glossary.md lacks the resource `{word}`: say what it is"
        enums = [("", enum) for enum in file.enum_type]
        enums += [(f"{message.name}.", enum) for message in file.message_type for enum in message.enum_type]
        for owner, enum in enums:
            if enum.name == "ErrorReason":
                continue
            if owner + enum.name not in listed:
                yield f"docs/glossary.md lacks the enum `{owner}{enum.name}`: add its row"
            prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_"
            for value in enum.value:
                word = value.name.removeprefix(prefix)
                if value.number and word not in listed:
                    yield f"docs/glossary.md lacks `{word}` of {owner}{enum.name}: add it to the enum's row"


def links_to_nowhere(text, document, root):
    for target in LINK.findall(text):
        if "://" not in target and not ((root / document).parent / target).exists():
            yield f"{document} links to {target}, which does not exist: write it, or take the link out"


def targets_unknown(text, document, makefile):
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
        if target not in targets:
            yield f"{document} says `make {target}`, which the Makefile does not know"


def test_every_setting_is_documented(root, assert_nothing):
    text = (root / "docs" / "operations.md").read_text()
    assert_nothing([*rows_missing(text, ServiceSettings, root), *rows_missing(text, GatewaySettings, root)])


def test_every_service_adds_no_setting_of_its_own_without_a_word(root, services):
    text = (root / "docs" / "operations.md").read_text()
    for service in services:
        settings = (root / "services" / service / "settings.py").read_text()
        prefix = f"BANYAN_{service.removesuffix('_svc').upper()}_"
        assert prefix in settings
        assert f"`{prefix}`" in text
        for name in re.findall(r"^    ([a-z_]+): ", settings, re.MULTILINE):
            assert f"| `{name.upper()}` |" in text, f"docs/operations.md lacks {name} of {service}"


def test_the_glossary_has_every_word_of_the_contracts(root, protos, assert_nothing):
    assert_nothing(words_missing((root / "docs" / "glossary.md").read_text(), protos))


def test_links_lead_somewhere(root, assert_nothing):
    assert_nothing(fault for name in DOCUMENTS for fault in links_to_nowhere((root / name).read_text(), name, root))


def test_documents_name_targets_that_make_knows(root, assert_nothing):
    makefile = (root / "Makefile").read_text()
    assert_nothing(fault for name in DOCUMENTS for fault in targets_unknown((root / name).read_text(), name, makefile))


def test_both_readmes_have_the_same_commands(root):
    english, chinese = ((root / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    commands = re.compile(r"`(banyan [a-z]+|make [a-z]+)")
    assert set(commands.findall(english)) == set(commands.findall(chinese))
    assert english.count("\n## ") == chinese.count("\n## ")


def test_decisions_are_numbered_and_accepted(root):
    decisions = sorted((root / "docs" / "decisions").glob("*.md"))
    assert decisions
    for number, decision in enumerate(decisions, 1):
        assert decision.name.startswith(f"{number:04}-"), f"{decision.name}: decisions are numbered without a gap"
        text = decision.read_text()
        for part in (f"# {number}. ", "**Context.**", "**Decision.**", "**Consequences.**", "**Rejected.**"):
            assert part in text, f"{decision.name} lacks {part}"


def test_a_missing_row_and_word_are_found(root, protos):
    text = (root / "docs" / "operations.md").read_text().replace("`LOG_LEVEL`", "`LEVEL`")
    assert len(list(rows_missing(text, ServiceSettings, root))) == 1
    glossary = (root / "docs" / "glossary.md").read_text()
    assert list(words_missing(glossary.replace("`branch`", ""), protos))
    assert list(words_missing(glossary.replace("`WECHAT`", ""), protos))
    assert list(words_missing(glossary.replace("`MessageClass`", ""), protos))


def test_a_broken_link_and_an_unknown_target_are_found(root):
    assert list(links_to_nowhere("see [this](docs/nothing.md)", "README.md", root))
    assert not list(links_to_nowhere("see [this](docs/api.md#errors)", "README.md", root))
    assert list(targets_unknown("run `make coffee`", "README.md", "tea: ## Make tea\n"))
