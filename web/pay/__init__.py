"""Paying and being paid: codes, payments signed in the browser, requests, favourites, and all of it offline."""
