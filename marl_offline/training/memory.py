"""Whether a compiled program fits, asked before it runs."""

import contextlib
import pathlib
import re

import jax

GIB = 2**30


class TooLarge(RuntimeError):
  """A program needs more memory than there is; the sentence says how much, and what to make smaller."""


def needed(compiled: jax.stages.Compiled) -> int:
  """Bytes on each device beside the arguments, which are there already; 0 where the compiler does not tell."""
  sizes = compiled.memory_analysis()
  if sizes is None:
    return 0
  return sizes.temp_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes


def free(device: jax.Device) -> int | None:
  """Bytes that are free on a device, for a CPU in the machine; None where nobody tells."""
  stats = device.memory_stats() or {}
  if "bytes_limit" in stats:
    return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
  with contextlib.suppress(OSError):
    if found := re.search(r"^MemAvailable:\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M):
      return int(found[1]) * 1024
  return None


def require(compiled: jax.stages.Compiled, device: jax.Device) -> None:
  """Refuses a program that does not fit.

  Raises:
    TooLarge: one sentence.
  """
  there, wanted = free(device), needed(compiled)
  if there is not None and wanted > there:
    raise TooLarge(
      f"one chunk of updates needs about {wanted / GIB:.2f} GiB more on {device.device_kind}, which has "
      f"{there / GIB:.2f} GiB free; train fewer seeds at once (--num_seeds), or make batch_size, ensemble_size, "
      "num_proposals or hidden_size smaller (--set)"
    )
