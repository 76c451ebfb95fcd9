"""The first page of an office: what waits for it, and the first steps of a commune that was just founded."""
