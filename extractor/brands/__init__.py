"""Whose a product is: brand names as shops write them, a registry of brands, and which of them a name means."""
