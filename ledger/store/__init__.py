"""Where the entries lie: one database, one writer, one transaction for everything that a commit changes."""
