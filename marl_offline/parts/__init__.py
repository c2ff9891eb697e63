"""Moves over parameters that several papers share; algorithms call them, they call no algorithm."""
