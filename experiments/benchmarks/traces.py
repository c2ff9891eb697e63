"""What an accelerator does inside a chunk, by the profiler: copies to and from the host, busy time, slowest kernels.

Under a profiler XLA starts kernels one by one where it otherwise hands a GPU whole graphs of them, unless a flag says
that it shall not; and the flag is read when the device is opened.
"""

import collections
import os
import pathlib
import tempfile
import time
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import updates
from marl_offline.training import devices

SEEDS = (1, 5)
TOLD = 12  # kernels
AS_TRAINED = "--xla_enable_command_buffers_during_profiling"


def profile_as_trained() -> None:
  """Asks for the profile of the program that is trained, graphs and all, unless XLA_FLAGS say; before JAX computes."""
  if AS_TRAINED not in (given := os.environ.get("XLA_FLAGS", "")):
    os.environ["XLA_FLAGS"] = f"{given} {AS_TRAINED}=true".strip()


def lines() -> list[dict]:
  """One line a number of seeds: the second chunk of SPaCQL on the shape of spread, as a run trains it here."""
  if jax.default_backend() == "cpu":
    return [
      {"case": "spacql/spread", "skipped": "the profiler tells an accelerator's copies and kernels; this is a CPU"}
    ]
  return [line(seeds) for seeds in SEEDS]


def line(num_seeds: int) -> dict:
  """A chunk compiled and run once, run again by the clock, and again under the profiler; nothing is handed to it from
  the host then.

  Raises:
    JaxRuntimeError: something was all the same.
  """
  learner, config = updates.learner_of("spacql", updates.SHAPES["spread"])
  layout, steps = devices.layout(num_seeds, config), updates.at_once()
  case = updates.updating("spread", learner, config, num_seeds, layout)
  states, run_keys = case.inputs(jax.random.key(0))
  dataset = layout.place_whole(updates.data("spread"))
  starts = layout.place_whole(jax.device_put([np.int32(steps * chunk) for chunk in range(3)]))
  program = updates.lowered("spread", learner, config, layout, states, run_keys, starts[0]).compile()

  def timed(states, start):
    began = time.perf_counter()
    states, *_ = jax.block_until_ready(program(states, dataset, run_keys, start))
    return states, round(1e3 * (time.perf_counter() - began) / steps, 3)

  states, _ = timed(states, starts[0])
  states, milliseconds = timed(states, starts[1])
  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder), jax.transfer_guard("disallow"):
      _, profiled = timed(states, starts[2])
    file = next(pathlib.Path(folder).rglob("*.xplane.pb"))
    told = summary(jax.profiler.ProfileData.from_file(str(file)).planes, steps)
  line = {"case": f"spacql/spread/{num_seeds} seeds", "ms": milliseconds, "ms_profiled": profiled, "updates": steps}
  return line | {"repeats": 1, "xla_flags": os.environ.get("XLA_FLAGS", "")} | told


def summary(planes: Iterable[Any], num_updates: int) -> dict:
  """Of the profiler's planes (name, lines of events): what the devices' streams did, an update; `skipped` where it
  tells of no stream, so that nothing is not taken for idleness.

  busy_ms counts a moment once, however many streams are busy then; launches: copies and kernels; copies of a whole
  chunk by the profiler's names, such as MemcpyD2H for one to the host; kernels: microseconds an update of the slowest.
  """
  copies, kernels, spans, others = collections.Counter(), collections.Counter(), [], []
  for plane in planes:
    if not plane.name.startswith("/device:"):
      continue
    for stream in plane.lines:
      if not stream.name.startswith("Stream"):  # the others tell the same again, by module and operation
        others.append(f"{plane.name} {stream.name}")
        continue
      for event in stream.events:
        spans.append((event.start_ns, event.start_ns + event.duration_ns))
        if event.name.startswith("Memcpy"):
          copies[event.name] += 1
        else:
          kernels[event.name[:80]] += event.duration_ns
  if not spans:
    return {"skipped": f"the profiler told of no stream of a device, only of {', '.join(others) or 'nothing'}"}
  busy = end = 0
  for start, stop in sorted(spans):
    busy, end = busy + max(0, stop - max(start, end)), max(end, stop)
  slowest = {name: round(spent / 1e3 / num_updates, 1) for name, spent in kernels.most_common(TOLD)}
  told = {"busy_ms": round(busy / 1e6 / num_updates, 3), "launches_an_update": round(len(spans) / num_updates, 1)}
  return told | {"copies": dict(copies), "kernels": slowest}
