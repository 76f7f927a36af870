"""The command ``tellapart``."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from sqlalchemy.exc import DatabaseError, OperationalError

from backend import migrations
from backend.accounts import tokens
from backend.accounts.links import create_link
from backend.db.session import DATABASE_AWAY, Database
from backend.domain.errors import AppError, Conflict, Unavailable
from backend.domain.scopes import TokenScope
from backend.ledger.queries import Jobs
from backend.serve import serve as serve_here
from backend.settings import Settings, SettingsError, load
from backend.storage.permissions import make_private_folder

commands = typer.Typer(
    help="Teach a computer to tell your pictures apart, without writing code.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


HEARD_WITHIN_S: Final = 60.0
"""A worker that has been silent for so long is taken for dead."""


class NotThisServersKey(Conflict):
    """This shell has another key than the server."""

    code = "key-of-another-server"

    def __init__(self) -> None:
        super().__init__(
            "The key that is set here isn't the one that the server was started with.",
            advice="Look at TELLAPART_TOKEN of the server, or run `tellapart link` to sign in. Nothing was changed.",
        )


class NoWorker(Unavailable):
    """No worker of this machine is alive."""

    code = "worker-missing"

    def __init__(self, within_s: float) -> None:
        super().__init__(f"No worker on this machine has reported for {within_s:.0f} seconds.")


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
    except DatabaseError as error:
        _refuse(
            f"The database can't be read: {error.orig}. If its file is damaged, put the last backup in its place; "
            "docs/operating.md says how."
        )
    # A folder that can't be used; whatever else the system refuses is its user's to mend as well.
    except OSError as error:
        file = f"“{error.filename}” can't be used" if error.filename else "The system refused"
        _refuse(f"{file}: {error.strerror or error}. Check the folder in TELLAPART_DATA and its permissions.")


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
    make_private_folder(settings.data)
    return migrations.current(settings.sql_url)


@commands.command()
def token(
    new: Annotated[str | None, typer.Option("--new", metavar="NAME", help="Make a key for a program.")] = None,
    scope: Annotated[
        TokenScope, typer.Option(help="What the new key may do; each includes those before it.")
    ] = TokenScope.WRITE,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="How long the new key works.")] = None,
    as_link: Annotated[bool, typer.Option("--link", help="The same as `tellapart link`.")] = False,
) -> None:
    """Print the owner's key, or make another one."""
    settings = load()
    if as_link:
        link()
    elif new is None:
        typer.echo(_owner_key(settings))
    else:
        with _database(settings) as database, database.write() as session:
            lifetime = None if days is None else timedelta(days=days)
            _, secret = tokens.create_token(session, new, lifetime, scope=scope)
        typer.echo(secret)


@commands.command()
def link() -> None:
    """Print a link that signs a browser in as the owner: it works once, within an hour."""
    settings = load()
    with _database(settings) as database:
        typer.echo(create_link(database, settings))


def _owner_key(settings: Settings) -> str:
    """The key that is set here or kept in the data folder; where the server's database can be asked, the right one."""
    secret = tokens.owner_key(settings)
    try:
        migrations.check(settings.sql_url)
    except (AppError, *DATABASE_AWAY):
        return secret
    with _database(settings) as database:
        if not tokens.is_owner_key(database, secret):
            raise NotThisServersKey
    return secret


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    """The server's database as it is; nothing is made or migrated."""
    migrations.check(settings.sql_url)
    database = Database(settings.sql_url)
    try:
        yield database
    finally:
        database.dispose()


@commands.command()
def upload(
    place: Annotated[Path, typer.Argument(metavar="FOLDER|ARCHIVE", help="A folder of pictures, or a .zip or .tar.")],
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Name of the dataset; made if there is none.")],
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the server, if it isn't this machine's own.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the server has read an archive.")] = True,
) -> None:
    """Send a folder or an archive into a dataset. Run it again after a cut: only what is missing is sent.

    The key is TELLAPART_TOKEN, or the one in the data folder.
    """
    # It needs more than the other commands do.
    from backend.upload_command.command import run_upload

    run_upload(load(), place, dataset, server=server, waits=wait)


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
