"""web.db: what the pages remember of those who sign in. Keys are in browsers, money is in the log."""
