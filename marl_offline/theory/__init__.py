"""Tabular truth against which the shipped targets and weights are checked."""
