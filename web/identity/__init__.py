"""Who is there: invitations, e-mail links, passkeys and sessions. No passwords."""
