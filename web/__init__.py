"""What a commune shows in a browser: server-rendered pages that read without a script, in French and English.

`app.py` wires it, `public/` is what everyone may see, `looks.py` and `chart.py` how it looks, `manners.py` what every
answer does. Nothing here decides about money: the ledger and the aggregator do, and their rules of privacy hold.
"""
