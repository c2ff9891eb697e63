"""Whether a compiled program fits, asked before it runs."""

import contextlib
import pathlib
import re
from typing import Any

import jax
import numpy as np

from marl_offline import control_groups

GIB = 2**30
ADVICE = (
  "train fewer seeds at once (--num_seeds), or make batch_size, ensemble_size, num_proposals or hidden_size smaller "
  "(--set)"
)


class TooLarge(RuntimeError):
  """A program needs more memory than there is; the sentence says how much, and what to make smaller."""


def ran_out(error: jax.errors.JaxRuntimeError) -> bool:
  """Whether a device found out while computing that it has not the memory."""
  return str(error).startswith("RESOURCE_EXHAUSTED")


def needed(compiled: jax.stages.Compiled) -> int:
  """Bytes on each device beside the arguments, which are there already; 0 where the compiler does not tell."""
  sizes = compiled.memory_analysis()
  if sizes is None:
    return 0
  return sizes.temp_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes


def free(device: jax.Device) -> int | None:
  """Bytes that are free on a device; for a CPU in the machine, or of what a container or a cluster's job may take.

  None where nobody tells.
  """
  stats = device.memory_stats() or {}
  if "bytes_limit" in stats:
    return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
  if device.platform != "cpu":
    return None
  with contextlib.suppress(OSError):
    if found := re.search(r"^MemAvailable:\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M):
      return min([int(found[1]) * 1024, *of_control_groups()])
  return None


def of_control_groups() -> list[int]:
  """Bytes free under each memory limit that this process runs under."""
  left = []
  with contextlib.suppress(OSError, ValueError):
    for folder in control_groups.folders("memory.max"):
      if (most := (folder / "memory.max").read_text().strip()) != "max":
        cached = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.M)
        # what is cached is given back when it is asked for
        used = int((folder / "memory.current").read_text()) - (int(cached[1]) if cached else 0)
        left.append(int(most) - used)
  return left


def require_states(states: Any, device: jax.Device, copies: int = 1) -> None:
  """Refuses states, as jax.eval_shape tells them, that are too large to be made. copies: see Layout.state_copies.

  Raises:
    TooLarge: one sentence.
  """
  there = free(device)
  wanted = copies * sum(leaf.size * getattr(leaf.dtype, "itemsize", 4) for leaf in jax.tree.leaves(states))
  if there is not None and wanted > there:
    raise TooLarge(
      f"what is trained takes {wanted / GIB:.2f} GiB of {device.device_kind}, which has {there / GIB:.2f} GiB free; "
      "train fewer seeds at once (--num_seeds), or make ensemble_size or hidden_size smaller (--set)"
    )


def require(compiled: jax.stages.Compiled, device: jax.Device, copies: int = 1, fed: Any = None) -> None:
  """Refuses a program that does not fit. copies: how many devices that run it share one memory, see Layout.copies.
  fed: what it is given from the host, a copy of which will lie on the device.

  Raises:
    TooLarge: one sentence.
  """
  there, wanted = free(device), copies * needed(compiled)
  wanted += sum(leaf.nbytes for leaf in jax.tree.leaves(fed) if isinstance(leaf, np.ndarray))
  if there is not None and wanted > there:
    raise TooLarge(
      f"one chunk of updates needs about {wanted / GIB:.2f} GiB more on {device.device_kind}, which has "
      f"{there / GIB:.2f} GiB free; {ADVICE}"
    )
