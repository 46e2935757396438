"""Delivery: when and whether a message is sent, and what became of it."""
