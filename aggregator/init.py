"""Founds a commune: keys, constitution, policy, and the first checkpoint of its log."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from aggregator.commune import ASSOCIATION_KEY, LOG_KEY, ROLES, CommuneDirectory
from aggregator.policy import Policy
from aggregator.roster import PrivateStore
from commonwatt import toml_text
from commonwatt.errors import UserError
from commonwatt.identity import SigningKey, new_id, save_key
from commonwatt.topics import is_slug
from ledger import app as ledger
from ledger import entry, found
from ledger.body import AdmitAccount, Body, Subject
from ledger.body import Policy as PolicyBody
from ledger.body import is_origin
from ledger.entry import Entry
from ledger.sequencer import Refused, Sequencer

POLICY_SIGNERS = ("steward", "townhall")
"""The rules of the money need two of three (ledger/found.py)."""
