"""E-mail: letters that wait in web.db, and the postman who brings them to an SMTP server."""
