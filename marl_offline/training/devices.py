"""Which device works on what: seeds are shared out first, then each seed's batch."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from marl_offline import execution

SEED, BATCH = "seed", "batch"  # axes of the mesh


@dataclasses.dataclass(frozen=True)
class Layout:
  """How a chunk lies on the devices of this process. Results are the same for all but rounding."""

  in_turn: bool = False  # a device's seeds one after the other instead of batched
  mesh: Mesh | None = None  # None: the default device alone

  @property
  def device(self) -> jax.Device:
    """One of them, to ask what it is and has."""
    return jax.local_devices()[0] if self.mesh is None else self.mesh.devices.flat[0]

  def over_devices(self, function: Callable) -> Callable:
    """function of (states, run_keys, fed [seeds, ...], dataset, steps), each device with its own seeds."""
    if self.mesh is None:
      return function
    own, whole = PartitionSpec(SEED), PartitionSpec()
    specs = {"in_specs": (own, own, own, whole, whole), "out_specs": own, "axis_names": {SEED}}
    return jax.shard_map(function, mesh=self.mesh, check_vma=False, **specs)

  def spread(self, batch: Any) -> Any:
    """A seed's batch [B, ...] over the devices that share the seed; the compiler adds what must be summed over them."""
    if self.mesh is None or self.mesh.shape[BATCH] == 1:
      return batch
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, PartitionSpec(BATCH)), batch)

  def place(self, tree: Any) -> Any:
    """[seeds, ...] to the devices of its seeds."""
    return tree if self.mesh is None else jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec(SEED)))

  def place_whole(self, tree: Any) -> Any:
    """A tree, such as the data set, whole to every device."""
    return tree if self.mesh is None else jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

  def words(self, num_seeds: int) -> str:
    """For a person: "8 devices, 1 seed on 2 of them each"."""
    if self.mesh is None:
      return "1 device"
    seeds, batch = self.mesh.shape[SEED], self.mesh.shape[BATCH]
    many = num_seeds // seeds
    shared = f", each batch over {batch}" if batch > 1 else ""
    return f"{seeds * batch} devices, {many} seed{'s' * (many > 1)} to each{shared}"


def layout(num_seeds: int, batch_size: int, devices: Sequence[jax.Device] | None = None) -> Layout:
  """Seeds over as many devices as divide them, then each batch over as many of the rest as divide it; a device that is
  left over rests. devices: this process's by default."""
  devices = jax.local_devices() if devices is None else list(devices)
  in_turn = execution.here().in_turn
  over_seeds = _divisor(num_seeds, len(devices))
  over_batch = _divisor(batch_size, len(devices) // over_seeds)
  if over_seeds * over_batch == 1:
    return Layout(in_turn)
  chosen = np.array(devices[: over_seeds * over_batch]).reshape(over_seeds, over_batch)
  return Layout(in_turn, Mesh(chosen, (SEED, BATCH)))


def _divisor(number: int, at_most: int) -> int:
  return max(size for size in range(1, at_most + 1) if number % size == 0)
