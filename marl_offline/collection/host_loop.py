"""The loop around an online learner in an environment on the host: snapshots, a bar, what is kept of it.

All that follows in a run depends on its Run alone, a tree of arrays: kept and gone on from, it is the same run.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from marl_offline.environments.api import HostEnvironment


class Run(NamedTuple):
  """A run between two snapshots. Z = plan.snapshots."""

  play: Any  # the learner's own; has `round`, the rounds that are done
  # [Z + 1, N, ...] float16: the policies of the beginning and of each snapshot; later ones are not there yet
  actors: Any
  returns: np.ndarray  # [Z + 1] mean return with noise of the episodes that ended since the one before; nan: none did
  noise: np.ndarray  # [Z + 1] mean standard deviation that each snapshot acted with; nan: not there yet


def check(plan: Any) -> None:
  """Refuses a plan that cannot run. plan: a dataclass of numbers with rounds and snapshots.

  Raises:
    ValueError: a number is not positive (noise may be 0), or snapshots does not divide rounds.
  """
  for name, value in dataclasses.asdict(plan).items():
    if value < (0 if name == "noise" else 1):
      raise ValueError(f"{name}={value} is too small for online training")
  if plan.rounds % plan.snapshots:
    raise ValueError(f"rounds={plan.rounds} must be a multiple of snapshots={plan.snapshots}")


def rounds_apart(plan: Any) -> int:
  """Rounds between two snapshots."""
  return plan.rounds // plan.snapshots


def begin(plan: Any, play: Any, look: Callable) -> Run:
  """A run with its first snapshot. look: play -> its policies and the standard deviation of their noise."""
  count = plan.snapshots + 1
  actors = jax.tree.map(lambda leaf: np.zeros((count, *leaf.shape), np.float16), look(play)[0])
  run = Run(play, actors, np.full(count, np.nan), np.full(count, np.nan))
  keep_snapshot(run, 0, [], look)
  return run


def train(plan: Any, run: Run, advance: Callable, look: Callable, keep: Callable, title: str = "") -> Run:
  """The run to its end, with a bar. The Run is used up.

  advance: play -> play, returns of the episodes that ended in this round. look: see begin. keep: Run -> None, called
  after each snapshot but the last.
  """
  done, apart = int(run.play.round), rounds_apart(plan)
  with tqdm(total=plan.rounds, initial=done, desc=title, unit="round", smoothing=0.1) as bar:
    while done < plan.rounds:
      finished = []
      for _ in range(apart):
        play, returns = advance(run.play)
        run, finished = run._replace(play=play), finished + returns
      done += apart
      keep_snapshot(run, done // apart, finished, look)
      bar.update(apart)
      if finished:
        bar.set_postfix_str(f"return {np.mean(finished):.1f}", refresh=False)
      if done < plan.rounds:
        keep(run)
  return run


def keep_snapshot(run: Run, place: int, finished: list[float], look: Callable) -> None:
  """Writes a snapshot into its place."""
  if finished:
    run.returns[place] = np.mean(finished)
  actors, run.noise[place] = look(run.play)
  for kept, leaf in zip(jax.tree.leaves(run.actors), jax.tree.leaves(actors), strict=True):
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
