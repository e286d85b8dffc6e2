"""Proofs from the stores themselves: they share no code with the verbs that they check."""
