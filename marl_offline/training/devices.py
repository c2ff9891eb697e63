"""Which device works on what: seeds are shared out first, then the work of each seed."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from marl_offline import execution
from marl_offline.execution import SEED, SHARE


@dataclasses.dataclass(frozen=True)
class Layout:
  """How a chunk lies on the devices of this process. Results are the same for all but rounding."""

  in_turn: bool = False  # a device's seeds one after the other instead of batched
  mesh: Mesh | None = None  # None: the default device alone

  @classmethod
  def here(cls) -> "Layout":
    """The default device, seeds as is faster there."""
    return cls(execution.here().in_turn)

  @property
  def device(self) -> jax.Device:
    """One of them, to ask what it is and has."""
    return jax.local_devices()[0] if self.mesh is None else self.mesh.devices.flat[0]

  @property
  def copies(self) -> int:
    """How many devices share one memory, each with a copy of the data set: a CPU's cores share the machine's."""
    return self.mesh.devices.size if self.mesh is not None and self.device.platform == "cpu" else 1

  @property
  def state_copies(self) -> int:
    """How many of them in one memory hold each seed's states: a CPU's cores that share out a seed's work."""
    return self.mesh.shape[SHARE] if self.copies > 1 else 1

  def over_devices(self, function: Callable) -> Callable:
    """function of (states, run_keys, fed [seeds, ...], dataset, steps), each device with its own seeds."""
    if self.mesh is None:
      return function
    own, whole = PartitionSpec(SEED), PartitionSpec()
    specs = {"in_specs": (own, own, own, whole, whole), "out_specs": own, "axis_names": {SEED}}
    mapped, lying = jax.shard_map(function, mesh=self.mesh, check_vma=False, **specs), NamedSharding(self.mesh, own)
    # the states leave as they came, for the next chunk, not as the compiler left them
    return lambda *given: jax.lax.with_sharding_constraint(mapped(*given), lying)

  def spread(self, batch: Any) -> Any:
    """A seed's batch [B, ...] over the devices that share the seed; the compiler adds what must be summed over them.
    Where members run in turn, these are shared out instead (execution.shared_out)."""
    if self.in_turn or self.mesh is None or self.mesh.shape[SHARE] == 1:
      return batch
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, PartitionSpec(SHARE)), batch)

  def place(self, tree: Any) -> Any:
    """[seeds, ...] to the devices of its seeds."""
    return tree if self.mesh is None else jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec(SEED)))

  def place_whole(self, tree: Any) -> Any:
    """A tree, such as the data set, whole to every device."""
    return tree if self.mesh is None else jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

  def words(self, num_seeds: int) -> str:
    """For a person: "8 devices, 1 seed to 2 of them"."""
    if self.mesh is None:
      return "1 device"
    over_seeds, over_work = self.mesh.shape[SEED], self.mesh.shape[SHARE]
    many = num_seeds // over_seeds
    to = f"to {over_work} of them" if over_work > 1 else "to each"
    return f"{over_seeds * over_work} devices, {many} seed{'s' * (many > 1)} {to}"


def layout(num_seeds: int, config: Any, devices: Sequence[jax.Device] | None = None) -> Layout:
  """Seeds over as many devices as divide them, then each seed's work over as many of the rest as divide that.

  The work is the batch, or on a CPU the ensemble. A device that is left over rests.

  Args:
    num_seeds: trained at once.
    config: an algorithm's; read are batch_size and ensemble_size, if it has any.
    devices: this process's by default.
  """
  devices, here = jax.local_devices() if devices is None else list(devices), execution.here()
  over_seeds = _divisor(num_seeds, len(devices))
  work = getattr(config, "ensemble_size", 1) if here.in_turn else config.batch_size
  over_work = _divisor(work, len(devices) // over_seeds)
  if over_seeds * over_work == 1:
    return Layout.here()
  chosen = np.array(devices[: over_seeds * over_work]).reshape(over_seeds, over_work)
  return Layout(here.in_turn, Mesh(chosen, (SEED, SHARE)))


def _divisor(number: int, at_most: int) -> int:
  return max(size for size in range(1, at_most + 1) if number % size == 0)
