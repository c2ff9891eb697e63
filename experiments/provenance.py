"""What a number came from: versions, commit, device."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

import jax

PACKAGES = ("marl_offline", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def versions() -> dict[str, str]:
  """Versions of Python and of what the numbers depend on."""
  return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
  """A checkout also works where it was copied to and never installed."""
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return "not installed"


def commit() -> str | None:
  """The commit of the source, with "+changes" where files differ from it; None outside a git checkout.

  MARL_OFFLINE_COMMIT says it where the source was copied to a machine without its history.
  """
  if told := os.environ.get("MARL_OFFLINE_COMMIT"):
    return told
  root = pathlib.Path(__file__).resolve().parents[1]

  def git(*words):
    return subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, timeout=20, check=True).stdout

  try:
    if pathlib.Path(git("rev-parse", "--show-toplevel").strip()).resolve() != root:
      return None  # installed inside somebody else's repository
    return git("rev-parse", "HEAD").strip() + ("+changes" if git("status", "--porcelain", "-uno").strip() else "")
  except (OSError, subprocess.SubprocessError):
    return None


def device() -> str:
  """What the program runs on, such as "cpu" or "NVIDIA H200"."""
  return jax.devices()[0].device_kind
