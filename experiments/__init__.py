"""Binaries with absl flags. They import every room of marl_offline; nothing imports them."""
