"""The loop around an online learner in an environment on the host: snapshots, a bar, what is kept of it.

All that follows in a run depends on its Run alone, a tree of arrays: kept and gone on from, it is the same run.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from marl_offline.environments.api import HostEnvironment


class Run(NamedTuple):
  """A run between two snapshots. Z = plan.snapshots."""

  play: Any  # the learner's own; has `learner.actors` and `round`, the rounds that are done
  # [Z + 1, N, ...] float16: the policies of the beginning and of each snapshot; later ones are not there yet
  actors: Any
  returns: np.ndarray  # [Z + 1] mean return with noise of the episodes that ended since the one before; nan: none did
  noise: np.ndarray  # [Z + 1] mean standard deviation that each snapshot acted with; nan: not there yet


def begin(play: Any, snapshots: int, noise: float) -> Run:
  """A run with its first snapshot."""
  actors = jax.tree.map(lambda leaf: np.zeros((snapshots + 1, *leaf.shape), np.float16), play.learner.actors)
  run = Run(play, actors, *(np.full(snapshots + 1, np.nan) for _ in range(2)))
  keep_snapshot(run, 0, [], noise)
  return run


def train(plan: Any, run: Run, advance: Callable, noise_of: Callable, keep: Callable, title: str = "") -> Run:
  """The run to its end, with a bar. The Run is used up.

  plan: has rounds, snapshots and every, the rounds between two of them. advance: play -> play, returns of the episodes
  that ended in this round. noise_of: play -> standard deviation. keep: Run -> None, called after each snapshot but the
  last.
  """
  done = int(run.play.round)
  with tqdm(total=plan.rounds, initial=done, desc=title, unit="round", smoothing=0.1) as bar:
    while done < plan.rounds:
      finished = []
      for _ in range(plan.every):
        play, returns = advance(run.play)
        run, finished = run._replace(play=play), finished + returns
      done += plan.every
      keep_snapshot(run, done // plan.every, finished, noise_of(run.play))
      bar.update(plan.every)
      if finished:
        bar.set_postfix_str(f"return {np.mean(finished):.1f}", refresh=False)
      if done < plan.rounds:
        keep(run)
  return run


def keep_snapshot(run: Run, place: int, finished: list[float], noise: float) -> None:
  """Writes a snapshot into its place."""
  if finished:
    run.returns[place] = np.mean(finished)
  run.noise[place] = noise
  for kept, leaf in zip(jax.tree.leaves(run.actors), jax.tree.leaves(run.play.learner.actors), strict=True):
    kept[place] = leaf


def restarted(environment: HostEnvironment, world: Any, gathered: np.ndarray, ended: np.ndarray, seed: tuple[int, int]):
  """Copies whose episode has ended begin a new one. -> world, gathered [B], returns of the episodes that ended."""
  finished = gathered[ended].tolist()
  if finished:
    fresh = environment.reset(np.random.default_rng(seed), len(finished))

    def replaced(old, new):
      joined = old.copy()
      joined[ended] = new
      return joined

    world, gathered = jax.tree.map(replaced, world, fresh), np.where(ended, 0.0, gathered)
  return world, gathered, finished
