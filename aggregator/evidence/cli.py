"""`commonwatt evidence delete`."""

from pathlib import Path

import typer

from commonwatt.i18n import _

app = typer.Typer(no_args_is_help=True, help=_("Delete what a member's devices measured."))


@app.callback()
def _group() -> None:
    """Keeps a group of one command a group."""


@app.command("delete", help=_("Delete the blocks of a member's devices. The aggregator must not be running."))
def delete_command(
    directory: Path = typer.Argument(help=_("The directory of a commune.")),
    member: str = typer.Argument(help=_("The member's name in the roster, or id.")),
    database: str = typer.Option(
        "", help=_("The engine's URL; default: what aggregator.toml says, or SQLite in DIR.")
    ),
) -> None:
    """Hashes stay, so that the log, its mints and the proofs of others verify as before."""
    from aggregator.evidence.deletion import delete_of_member

    done = delete_of_member(directory, member, database_url=database)
    typer.echo(
        _("{count} blocks of {devices} devices are deleted; {before} had been before.").format(
            count=done.blocks, devices=done.devices, before=done.before
        )
    )
