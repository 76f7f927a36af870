"""The command ``tellapart``."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from sqlalchemy.exc import OperationalError

from backend import migrations
from backend.accounts import tokens
from backend.db.session import Database
from backend.domain.errors import AppError, Unavailable
from backend.ledger.queries import Jobs
from backend.serve import serve as serve_here
from backend.serve import sign_in_address
from backend.settings import Settings, SettingsError, load

commands = typer.Typer(
    help="Teach a computer to tell your pictures apart, without writing code.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


HEARD_WITHIN_S: Final = 60.0
"""A worker that has been silent for so long is taken for dead."""


class NoWorker(Unavailable):
    """No worker of this machine says that it is alive."""

    code = "worker-missing"

    def __init__(self, within_s: float) -> None:
        super().__init__(f"No worker of this machine has been heard of for {within_s:.0f} seconds.")


def app() -> None:
    """Run the command; whatever its user can mend ends in a sentence and exit code 2."""
    try:
        commands()
    except AppError as error:
        _refuse(" ".join(sentence for sentence in (error.message, error.advice) if sentence))
    except SettingsError as error:
        _refuse(str(error))
    except OperationalError as error:
        _refuse(f"The database doesn't answer as expected. Check DATABASE_URL and the server. It said: {error.orig}")


def _refuse(sentence: str) -> None:
    typer.echo(sentence, err=True)
    sys.exit(2)


@commands.command()
def serve(
    port: Annotated[int | None, typer.Option(help="Port to listen on, instead of TELLAPART_PORT.")] = None,
    worker: Annotated[bool, typer.Option(help="Also start a worker on this machine.")] = True,
) -> None:
    """Start web server and worker on this machine, and print the address."""
    serve_here(load() if port is None else load(port=port), with_worker=worker)


@commands.command()
def worker(
    check: Annotated[
        bool, typer.Option("--check", help="Start nothing; see whether a worker of this machine is alive.")
    ] = False,
) -> None:
    """Run a worker, as on a server that has web and workers apart."""
    settings = load()
    if check:
        _see_whether_a_worker_lives(settings)
        return
    migrations.check(settings.sql_url)
    # The same process, so that a signal reaches it without a detour.
    os.execv(sys.executable, (sys.executable, "-m", "worker"))


def _see_whether_a_worker_lives(settings: Settings) -> None:
    database = Database(settings.sql_url)
    try:
        with database.read() as session:
            alive = Jobs(session).workers(HEARD_WITHIN_S)
    finally:
        database.dispose()
    if not any(worker.host == socket.gethostname() for worker in alive):
        raise NoWorker(HEARD_WITHIN_S)


@commands.command()
def migrate() -> None:
    """Bring the database to this version's schema; on SQLite a backup is made first."""
    settings = load()
    former = _schema(settings)
    migrations.upgrade(settings.sql_url)
    typer.echo(f"The database has schema {_schema(settings)}" + (f", before {former}." if former else "."))


def _schema(settings: Settings) -> str | None:
    settings.data.mkdir(parents=True, exist_ok=True)
    return migrations.current(settings.sql_url)


@commands.command()
def token(
    link: Annotated[bool, typer.Option("--link", help="Print the address to sign in at, with the key in it.")] = False,
    new: Annotated[str | None, typer.Option("--new", metavar="NAME", help="Make a key for a program.")] = None,
) -> None:
    """Print the owner's key, or make another one."""
    settings = load()
    migrations.upgrade(settings.sql_url)
    database = Database(settings.sql_url)
    try:
        secret = _owner_key(database, settings) if new is None else _new_key(database, new)
    finally:
        database.dispose()
    typer.echo(sign_in_address(settings, secret) if link else secret)


def _owner_key(database: Database, settings: Settings) -> str:
    made_by_us = tokens.ensure_owner_token(database, settings)
    if made_by_us is not None:
        return made_by_us
    assert settings.token is not None, "it is either set or made"
    return settings.token.get_secret_value()


def _new_key(database: Database, name: str) -> str:
    with database.write() as session:
        _, secret = tokens.create_token(session, name)
    return secret


@commands.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="Folder to keep what the demo makes; without it, all is removed at the end.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs to train.")] = 4,
) -> None:
    """Go through the whole journey with 1,797 handwritten digits, and print what comes out."""
    # It needs more than the other commands do.
    from backend.demo import run_demo

    run_demo(data, epochs=epochs)


if __name__ == "__main__":
    app()
