"""HTTPS without a proxy: certificates that are looked at before anyone meets them, and a small CA for phones nearby.

`files.py` reads and judges what an operator brings, `authority.py` makes a local CA, `phone.py` is the page by which
a phone comes to trust it, `serving.py` puts them to the server. Validity is counted in wall time, as browsers do.
"""
