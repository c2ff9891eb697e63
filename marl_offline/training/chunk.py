"""The compiled chunk: many updates of every seed in one program, over as many devices as there are.

Everything random derives from the seed and the step, so a resumed run is the same run: `seed_keys` splits a seed's key
into one for the initial state and one for the run, `keys_at` folds the step into the latter.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.training import memory
from marl_offline.training.devices import Layout


def seed_keys(seeds: Sequence[int]) -> tuple[jax.Array, jax.Array]:
  """Keys to initialise and keys to run, one a seed; a seed's keys do not depend on its company. [seeds], [seeds]."""
  keys = jax.vmap(jax.random.split)(jnp.stack([jax.random.key(seed) for seed in seeds]))
  return keys[:, 0], keys[:, 1]


class Repeated(NamedTuple):
  """So many minibatches again and again, from a step on; fresh ones before it."""

  count: int
  first_step: int = 0


def keys_at(run_key: jax.Array, step: jax.Array, minibatches: Repeated | None = None) -> tuple[jax.Array, jax.Array]:
  """The key of the batch and the key of the update at a step. minibatches: None where they are always fresh."""
  key_batch, key_update = jax.random.split(jax.random.fold_in(run_key, step))
  if minibatches is not None:
    count, first = minibatches
    same = jnp.where(step < first, step, first + (step - first) % count)
    key_batch, _ = jax.random.split(jax.random.fold_in(run_key, same))
  return key_batch, key_update


@functools.partial(jax.jit, static_argnames=("num_steps", "minibatches"))
def batch_keys(
  run_keys: jax.Array, first_step: jax.Array, num_steps: int, minibatches: Repeated | None = None
) -> jax.Array:
  """The keys of the batches of a chunk, as train_chunk derives them. [seeds] -> [seeds, steps]."""
  steps = first_step + jnp.arange(num_steps)
  return jax.vmap(lambda run_key: jax.vmap(lambda step: keys_at(run_key, step, minibatches)[0])(steps))(run_keys)


def first_false(flags: jax.Array, first_step: jax.Array) -> jax.Array:
  """The step of the first False along axis 0, or -1 where all hold. [steps, ...] -> [...] i32."""
  return jnp.where(jnp.all(flags, axis=0), -1, first_step + jnp.argmin(flags, axis=0)).astype(jnp.int32)


def all_finite(state: Any) -> jax.Array:
  """Whether every floating number of a tree is finite. -> [] bool."""
  floating = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
  return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in floating]))


@functools.partial(
  jax.jit, static_argnames=("update", "draw", "num_steps", "layout", "minibatches"), donate_argnames="states"
)
def train_chunk(
  update,
  draw,
  states,
  dataset,
  run_keys,
  first_step,
  num_steps,
  layout=Layout(),  # noqa: B008
  fed=None,
  minibatches=None,
):
  """`num_steps` updates of every seed in one compiled scan.

  The data set is an argument (closed over, it would be compiled in as a constant) and so is the step, unbatched over
  seeds, so that a `lax.cond` on it stays a branch.

  Args:
    update: Learner.update; static.
    draw: (dataset, key) -> batch; static. None where batches are fed.
    states: learner states [seeds, ...]; donated.
    dataset: what `draw` reads, or None.
    run_keys: [seeds].
    first_step: the step of the first update.
    num_steps: static.
    layout: devices and whether seeds run one after the other; static.
    fed: batches [seeds, num_steps, B, ...] from the host (feeding.py) in the place of drawn ones, or None.
    minibatches: see keys_at; static.

  Returns:
    states, mean of each metric [seeds], and where each stopped being finite [seeds] (-1: nowhere): the first step of
    each metric, and as "parameters" the chunk's last step if the state it ends with, which may be saved, is not.
  """
  steps = first_step + jnp.arange(num_steps)

  def seeds_of_one_device(states, run_keys, fed, dataset, steps):
    def one_seed(given):
      state, run_key, fed = given

      def one_step(state, now):
        step, batch = now
        key_batch, key_update = keys_at(run_key, step, minibatches)
        batch = draw(dataset, key_batch) if batch is None else batch
        return update(state, layout.spread(batch), key_update, step)

      state, metrics = jax.lax.scan(one_step, state, (steps, fed))
      broken = {name: first_false(jnp.isfinite(m), steps[0]) for name, m in metrics.items()}
      broken |= {"parameters": first_false(all_finite(state)[None], steps[-1])}
      return state, jax.tree.map(jnp.mean, metrics), broken

    given = (states, run_keys, fed)
    return jax.lax.map(one_seed, given) if layout.in_turn else jax.vmap(one_seed)(given)

  return layout.over_devices(seeds_of_one_device)(states, run_keys, fed, dataset, steps)


class Programs:
  """The compiled chunks of a run, one for each length; told apart so that compiling is not timed as training."""

  def __init__(self, update, draw, layout: Layout, minibatches: Repeated | None = None):
    self._static = update, draw
    self._layout, self._options = layout, {"layout": layout, "minibatches": minibatches}
    self._compiled = {}

  def __contains__(self, length: int) -> bool:
    return length in self._compiled

  def __call__(self, states, dataset, run_keys, step: int, length: int, fed=None):
    """train_chunk, compiled at the first call of a length.

    Raises:
      memory.TooLarge: it does not fit; nothing ran.
    """
    given = (states, dataset, run_keys, np.int32(step))
    if length not in self._compiled:
      program = train_chunk.lower(*self._static, *given, length, fed=fed, **self._options).compile()
      memory.require(program, self._layout.device, self._layout.copies, fed)
      self._compiled[length] = program
    return self._compiled[length](*given, fed=fed)
