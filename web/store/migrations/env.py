"""What alembic runs: the revisions, inside the transaction of the connection that the store hands over."""

from alembic import context

from web.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
)
context.run_migrations()
