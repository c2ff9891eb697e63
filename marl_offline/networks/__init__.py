"""Flax modules with init and apply. They know shapes and no loss."""
