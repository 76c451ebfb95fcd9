"""The ledger as the pages need it: followed, searched by account, and given what people sign."""
