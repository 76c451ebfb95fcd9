"""What an entry is, who may sign it, and what it does to the accounts. Pure: values in, values out."""
