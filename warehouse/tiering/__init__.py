"""Months that move down a tier: hot to warm, warm to cold; and what of each is proven before anything is dropped."""
