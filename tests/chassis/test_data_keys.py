import hashlib
import hmac
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chassis import clock, data_keys
from chassis.data_keys import (
    ContactKind,
    DataKeys,
    DataKeysUnusable,
    KeyPurpose,
    SealedUnreadable,
    list_data_keys,
    make_data_key,
    make_missing_data_keys,
)

MOBILE, ID_NUMBER = ContactKind.MOBILE, ContactKind.ID_NUMBER
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = "13812345678"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_missing_data_keys(tmp_path, LONG_AGO)
    return tmp_path


@pytest.fixture
def keys(folder) -> DataKeys:
    return DataKeys(folder)


def test_what_is_sealed_opens_for_its_customer_and_kind_only(keys):
    sealed = keys.encrypt(MOBILE, "c1", NUMBER)
    assert keys.decrypt(MOBILE, "c1", sealed) == NUMBER
    for kind, customer_id in ((MOBILE, "c2"), (ID_NUMBER, "c1")):
        with pytest.raises(SealedUnreadable):
            keys.decrypt(kind, customer_id, sealed)


def test_the_same_value_is_sealed_differently_each_time_and_says_its_key(keys):
    first, second = (keys.encrypt(MOBILE, "c1", NUMBER) for _ in range(2))
    assert first != second
    assert int.from_bytes(first[:4]) == keys.writing().cipher_key_id == int(LONG_AGO.timestamp())
    assert NUMBER.encode() not in first


@pytest.mark.parametrize("place", [4, 16, -1])
def test_changed_bytes_are_found_and_not_told(keys, place):
    sealed = bytearray(keys.encrypt(MOBILE, "c1", NUMBER))
    sealed[place] ^= 1
    with pytest.raises(SealedUnreadable) as raised:
        keys.decrypt(MOBILE, "c1", bytes(sealed))
    assert raised.value.__cause__ is None
    assert NUMBER not in str(raised.value)
    assert "mobile of c1" in str(raised.value)


@pytest.mark.parametrize("sealed", [b"", b"\0\0\0\1", b"x" * 200])
def test_what_was_never_sealed_does_not_open(keys, sealed):
    with pytest.raises(SealedUnreadable, match="not here"):
        keys.decrypt(MOBILE, "c1", sealed)


def test_a_short_remainder_of_a_sealed_value_does_not_open(keys):
    with pytest.raises(SealedUnreadable):
        keys.decrypt(MOBILE, "c1", keys.encrypt(MOBILE, "c1", "")[:20])


def test_another_key_of_the_same_id_does_not_open(keys, tmp_path_factory):
    sealed = keys.encrypt(MOBILE, "c1", NUMBER)
    other = tmp_path_factory.mktemp("other")
    make_missing_data_keys(other, LONG_AGO)
    with pytest.raises(SealedUnreadable, match="other bytes, or another key"):
        DataKeys(other).decrypt(MOBILE, "c1", sealed)


def test_hashes_are_keyed_by_the_folder_and_the_kind(folder, keys):
    [found] = keys.hashes(MOBILE, NUMBER)
    assert len(found) == 16
    [file] = (folder / "hash").glob("*.key")
    own = hmac.digest(bytes.fromhex(file.read_text()), b"mobile", "sha256")
    assert found == hmac.new(own, NUMBER.encode(), hashlib.sha256).digest()[:16]
    assert keys.hashes(ID_NUMBER, NUMBER) != [found]


@pytest.mark.parametrize("text", ["", "--", " ", "9" * 65])
def test_nobody_is_found_by_what_nobody_has(keys, text):
    assert keys.hashes(ID_NUMBER, text) == []


def test_many_are_sealed_and_hashed_like_single_values_and_nothing_stays_nothing(keys):
    ids, texts = ["c1", "c2", "c3"], [NUMBER, None, ""]
    now = keys.writing()
    sealed = keys.encrypt_all(MOBILE, ids, texts, now.cipher_key_id)
    assert keys.decrypt(MOBILE, "c1", sealed[0]) == NUMBER
    assert keys.decrypt(MOBILE, "c3", sealed[2]) == ""
    assert sealed[1] is None
    hashed = keys.hash_all(MOBILE, texts, now.hash_key_id)
    assert hashed[:2] == [keys.hashes(MOBILE, NUMBER)[0], None]
    assert hashed[2] is not None


def test_a_new_key_rests_before_it_writes_while_old_ones_go_on_reading(folder):
    old = DataKeys(folder)
    sealed, [old_hash] = old.encrypt(MOBILE, "c1", NUMBER), old.hashes(MOBILE, NUMBER)
    make_data_key(folder, KeyPurpose.CIPHER, clock.now())
    resting = DataKeys(folder)
    assert len(resting.key_ids(KeyPurpose.CIPHER)) == 2
    assert resting.writing() == old.writing()
    for purpose in KeyPurpose:
        make_data_key(folder, purpose, clock.now() - data_keys.KEY_REST)
    new = DataKeys(folder)
    assert new.writing().cipher_key_id > old.writing().cipher_key_id
    assert new.decrypt(MOBILE, "c1", sealed) == NUMBER
    assert old_hash in new.hashes(MOBILE, NUMBER)
    assert len(new.hashes(MOBILE, NUMBER)) == 2


def test_a_key_that_was_added_later_is_found_soon(folder, monkeypatch):
    keys = DataKeys(folder)
    keys.check()
    key_id = make_data_key(folder, KeyPurpose.CIPHER, clock.now() - timedelta(hours=1))
    sealed = DataKeys(folder).encrypt(MOBILE, "c1", NUMBER)
    assert int.from_bytes(sealed[:4]) == key_id
    with pytest.raises(SealedUnreadable, match="not here"):
        keys.decrypt(MOBILE, "c1", sealed)
    monkeypatch.setattr(data_keys, "_REREAD_UNKNOWN_SECONDS", -1.0)
    assert keys.decrypt(MOBILE, "c1", sealed) == NUMBER


def test_a_folder_that_is_spoiled_later_leaves_the_keys_that_were_read(folder, monkeypatch):
    keys = DataKeys(folder)
    sealed = keys.encrypt(MOBILE, "c1", NUMBER)
    monkeypatch.setattr(data_keys, "_REREAD_SECONDS", -1.0)
    for file in folder.glob("*/*.key"):
        file.write_text("spoiled")
    assert keys.decrypt(MOBILE, "c1", sealed) == NUMBER


def test_keys_are_for_their_owner_only_and_two_of_one_second_differ(folder):
    first, second = (make_data_key(folder, KeyPurpose.HASH, LONG_AGO + timedelta(days=1)) for _ in range(2))
    assert first != second
    for file in folder.glob("*/*.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    listed = list_data_keys(folder, clock.now())
    assert [(key.purpose, key.writes) for key in listed] == [
        (KeyPurpose.CIPHER, True),
        (KeyPurpose.HASH, False),
        (KeyPurpose.HASH, False),
        (KeyPurpose.HASH, True),
    ]
    make_missing_data_keys(folder, clock.now())
    assert list_data_keys(folder, clock.now()) == listed


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: [file.unlink() for file in folder.glob("cipher/*")], "holds no data key"),
        (lambda folder: [file.write_text("ab") for file in folder.glob("hash/*")], "holds 1 bytes"),
        (lambda folder: [file.write_text("zz") for file in folder.glob("hash/*")], "cannot be read"),
        (lambda folder: (folder / "cipher" / "mine.key").write_text("ab" * 32), "cannot be read"),
    ],
)
def test_a_folder_that_is_none_of_data_keys_is_named(folder, spoil, told):
    spoil(folder)
    with pytest.raises(DataKeysUnusable, match=told) as raised:
        DataKeys(folder).check()
    assert str(folder) in str(raised.value)


def test_a_piece_of_a_file_opens_under_its_own_name_only(keys) -> None:
    sealed = keys.seal_piece("export/0", b"\xef\xbb\xbfcustomer")
    assert keys.open_piece("export/0", sealed) == b"\xef\xbb\xbfcustomer"
    for name, content in (("export/1", sealed), ("export/0", sealed[:-1] + bytes([sealed[-1] ^ 1])), ("export/0", b"")):
        with pytest.raises(SealedUnreadable):
            keys.open_piece(name, content)
