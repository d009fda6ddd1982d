"""How a kernel came about and how good it is, for people: findings, conditioning, the report, and its layout."""
