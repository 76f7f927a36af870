"""The owner's key, and keys for programs."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from backend.accounts.tokens import (
    OwnerTokenStays,
    TokenNotFound,
    authenticate,
    create_token,
    ensure_owner_token,
    list_tokens,
    revoke_token,
    token_file,
)
from backend.db.session import Database
from backend.domain.ids import TokenId
from backend.settings import Settings, load
from backend.tables.accounts import TokenRow


def settings_with(folder: Path, token: str | None = None) -> Settings:
    return load(_env_file=None, data=folder, token=token)


class TestTheOwnersKey:
    def test_it_is_made_at_the_first_start(self, database: Database, tmp_path: Path) -> None:
        settings = settings_with(tmp_path / "data")

        secret = ensure_owner_token(database, settings)

        assert secret is not None
        assert len(secret) == 43
        caller = authenticate(database, secret)
        assert caller is not None
        assert caller.is_owner

    def test_only_its_owner_may_read_the_file(self, database: Database, tmp_path: Path) -> None:
        settings = settings_with(tmp_path / "data")

        ensure_owner_token(database, settings)

        assert stat.S_IMODE(token_file(settings).stat().st_mode) == 0o600
        assert list(token_file(settings).parent.iterdir()) == [token_file(settings)]

    def test_a_file_that_others_may_read_is_closed(self, database: Database, tmp_path: Path) -> None:
        settings = settings_with(tmp_path)
        ensure_owner_token(database, settings)
        token_file(settings).chmod(0o644)

        ensure_owner_token(database, settings)

        assert stat.S_IMODE(token_file(settings).stat().st_mode) == 0o600

    def test_it_stays_the_same_at_the_next_start(self, database: Database, tmp_path: Path) -> None:
        settings = settings_with(tmp_path)

        assert ensure_owner_token(database, settings) == ensure_owner_token(database, settings)

    def test_several_servers_that_start_together_agree(self, database: Database, tmp_path: Path) -> None:
        settings = settings_with(tmp_path / "data")
        with ThreadPoolExecutor(8) as pool:
            secrets = set(pool.map(lambda _: ensure_owner_token(database, settings), range(8)))

        assert len(secrets) == 1
        with database.read() as session:
            assert session.query(TokenRow).count() == 1

    def test_one_that_was_set_is_not_written_down_or_shown(self, database: Database, tmp_path: Path) -> None:
        settings = settings_with(tmp_path, "a-key-of-my-own-choice")

        assert ensure_owner_token(database, settings) is None
        assert not token_file(settings).exists()
        assert authenticate(database, "a-key-of-my-own-choice") is not None

    def test_a_new_one_kills_the_old_one(self, database: Database, tmp_path: Path) -> None:
        ensure_owner_token(database, settings_with(tmp_path, "the-first-of-two-keys"))

        ensure_owner_token(database, settings_with(tmp_path, "the-second-of-two-keys"))

        assert authenticate(database, "the-first-of-two-keys") is None
        assert authenticate(database, "the-second-of-two-keys") is not None

    def test_setting_one_kills_the_one_that_was_made(self, database: Database, tmp_path: Path) -> None:
        made = ensure_owner_token(database, settings_with(tmp_path))
        assert made is not None

        ensure_owner_token(database, settings_with(tmp_path, "a-key-of-my-own-choice"))

        assert authenticate(database, made) is None
        assert not (tmp_path / "token").exists()

    def test_going_back_to_an_old_one_works(self, database: Database, tmp_path: Path) -> None:
        for key in ("the-first-of-two-keys", "the-second-of-two-keys", "the-first-of-two-keys"):
            ensure_owner_token(database, settings_with(tmp_path, key))

        assert authenticate(database, "the-first-of-two-keys") is not None
        assert authenticate(database, "the-second-of-two-keys") is None

    def test_deleting_the_file_makes_a_new_one(self, database: Database, tmp_path: Path) -> None:
        settings = settings_with(tmp_path)
        old = ensure_owner_token(database, settings)
        token_file(settings).unlink()

        new = ensure_owner_token(database, settings)

        assert old is not None
        assert new != old
        assert authenticate(database, old) is None

    def test_a_damaged_file_is_replaced(self, database: Database, tmp_path: Path) -> None:
        settings = settings_with(tmp_path)
        token_file(settings).write_text("x")

        secret = ensure_owner_token(database, settings)

        assert secret is not None
        assert len(secret) == 43

    def test_programs_keep_theirs_when_it_changes(self, database: Database, tmp_path: Path) -> None:
        ensure_owner_token(database, settings_with(tmp_path, "the-first-of-two-keys"))
        with database.write() as session:
            _, secret = create_token(session, "script")

        ensure_owner_token(database, settings_with(tmp_path, "the-second-of-two-keys"))

        assert authenticate(database, secret) is not None


class TestKeysForPrograms:
    def test_only_the_hash_is_kept(self, database: Database) -> None:
        with database.write() as session:
            row, secret = create_token(session, "script")

        assert len(secret) == 43
        assert secret not in (row.sha256, row.name, row.id)
        assert len(row.sha256) == 64

    def test_it_works_until_it_expires(self, database: Database) -> None:
        with database.write() as session:
            _, fresh = create_token(session, "fresh", timedelta(days=1))
            _, expired = create_token(session, "expired", timedelta(seconds=-1))

        assert authenticate(database, fresh) is not None
        assert authenticate(database, expired) is None

    def test_only_those_that_work_are_listed(self, database: Database) -> None:
        with database.write() as session:
            create_token(session, "one")
            create_token(session, "expired", timedelta(seconds=-1))
            gone, _ = create_token(session, "gone")
            revoke_token(session, TokenId(gone.id))
            create_token(session, "two")

        with database.read() as session:
            assert [row.name for row in list_tokens(session, after=None, limit=10)] == ["one", "two"]

    def test_taking_one_away_twice_is_asked_so(self, database: Database) -> None:
        with database.write() as session:
            row, _ = create_token(session, "script")
            revoke_token(session, TokenId(row.id))

            with pytest.raises(TokenNotFound):
                revoke_token(session, TokenId(row.id))

    def test_the_owners_key_cannot_be_taken_away(self, database: Database, tmp_path: Path) -> None:
        ensure_owner_token(database, settings_with(tmp_path))
        with database.write() as session:
            row = session.query(TokenRow).one()

            with pytest.raises(OwnerTokenStays):
                revoke_token(session, TokenId(row.id))
