"""Never losing an account: who may give it a new key, and giving it one."""
