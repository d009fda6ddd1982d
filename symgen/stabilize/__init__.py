"""Stable forms: recognise, rewrite, probe candidates against the oracle, and fill the gaps with pieces."""
