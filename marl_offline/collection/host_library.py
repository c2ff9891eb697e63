"""Makes a policy library from one online run in an environment on the host: scores snapshots, chooses qualities."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.collection import host_loop, host_record, policies
from marl_offline.environments.api import HostEnvironment, observation_hash
from marl_offline.evaluation import host_rollouts
from marl_offline.types import Learner

CONFIRMED = 10  # times as many episodes confirm a snapshot that seems to be at a level: ten alone are partly luck
SCORED_STEPS = 10_000  # of play that each snapshot is scored with: 400 episodes of 25 steps, ten of a thousand
CALM = 0.5  # factor on the learner's noise for medium and expert, which lose a fifth of their return to all of it
REPLAY_SNAPSHOTS = 10  # weights of that many robots' policies stay within a few megabytes
# Mean returns that the qualities aim at, those of published data as tallied by OG-MARL. spread and HalfCheetah 2x3:
# OMAR's, for HalfCheetah's expert the return that scores 100 there. 6x1, Hopper and Ant: OMIGA's, HalfCheetah's expert
# raised to OMAR's. Robots' were made with MuJoCo 2.0, where the same policies return something else. Walker2d: ours.
# tag and world have a prey of ours: their levels are what v1's data return, tag's expert what MATD3 gets to (85.5).
LEVELS = {
  "spread": {"medium-replay": 203.7, "medium": 273.4, "expert": 531.0},
  "tag": {"medium-replay": 0.0, "medium": 57.7, "expert": 84.5},
  "world": {"medium-replay": -1.5, "medium": 39.8, "expert": 50.9},
  "halfcheetah_2x3": {"medium-replay": 423.5, "medium": 1568.9, "expert": 3568.8},
  "halfcheetah_6x1": {"medium-replay": 655.8, "medium": 1425.7, "expert": 3568.8},
  "hopper_3x1": {"medium-replay": 746.4, "medium": 723.6, "expert": 2452.0},
  "ant_2x4": {"medium-replay": 1029.5, "medium": 1418.7, "expert": 2055.1},
  "walker2d_2x3": {"medium-replay": 800.0, "medium": 1500.0, "expert": 3000.0},
}


def scorer(environment: HostEnvironment, policy: Callable, seed: int, episodes: int) -> Callable:
  """-> actors [Z, ...], noise [Z] on their actions -> mean return [Z] of each, all at once. policy: see host_record."""

  def act(state, memory, obs, key):
    actors, noise = state
    action = policy(actors, obs)
    return jnp.clip(action + noise * jax.random.normal(key, action.shape), -1.0, 1.0), memory

  play = host_rollouts.evaluator(environment, Learner(None, None, act), episodes, seed)
  return lambda actors, noise: play((actors, np.float32(noise))).mean(axis=1)


def mean_lengths(
  environment: HostEnvironment, policy: Callable, actors: Any, noise: np.ndarray, seed: int, episodes: int
) -> np.ndarray:
  """Mean steps of an episode of each snapshot [Z, ...] with noise [Z]. -> [Z]."""
  act, lengths = host_record.actor(environment, policy), []
  for z in range(len(noise)):
    behavior = host_record.Behavior(jax.tree.map(lambda leaf: leaf[z], actors), float(noise[z]), 0)  # noqa: B023
    _, steps = host_record.play(environment, act, behavior, episodes, (seed, z), environment.horizon)
    lengths.append(steps.mean())
  return np.array(lengths)


def confirmed(calm_returns: np.ndarray, level: float, rescored: Callable[[int], float]) -> np.ndarray:
  """The returns [Z], where those that seem to be at the level are replaced, in order, by better estimates, up to the
  first that is at it by that too. rescored: snapshot -> its better estimate."""
  found = calm_returns.copy()
  for snapshot in np.flatnonzero(found >= level):
    found[snapshot] = rescored(snapshot)
    if found[snapshot] >= level:
      break
  return found


def choose(task: str, returns: np.ndarray, calm_returns: np.ndarray, noise: np.ndarray) -> dict[str, Any]:
  """Which snapshots make which quality, by their mean returns [Z] with the learner's noise [Z], and with CALM of it.

  Medium and expert are the first at their levels. Medium-replay is spread evenly from the beginning to medium, or as
  much further as the published mean needs, earlier play weighted up to meet it.

  Raises:
    ValueError: the run never reached a level.
  """
  levels = LEVELS[task]
  medium, expert = (policies.first_at(task, calm_returns, levels[quality]) for quality in ("medium", "expert"))
  means = np.cumsum(returns) / np.arange(1, len(returns) + 1)
  last = max(medium, policies.first_at(f"{task}, replay", means, levels["medium-replay"]))
  replay = np.unique(np.linspace(0, last, min(REPLAY_SNAPSHOTS, last + 1)).round().astype(int))
  shares = policies.tilted_shares(returns[replay], levels["medium-replay"])
  calm, pair = CALM * noise, [medium, expert]
  return {
    "medium-replay": {"snapshots": replay.tolist(), "shares": shares.tolist(), "noise": noise[replay].tolist()},
    "medium": {"snapshots": [medium], "shares": [1.0], "noise": [calm[medium]]},
    "expert": {"snapshots": [expert], "shares": [1.0], "noise": [calm[expert]]},
    "medium-expert": {"snapshots": pair, "shares": [0.5, 0.5], "noise": calm[pair].tolist()},
  }


def from_run(
  environment: HostEnvironment, policy: Callable, run: host_loop.Run, plan: Any, seed: int, **facts: Any
) -> policies.Library:
  """Scores a finished run's snapshots and keeps those that the qualities need.

  plan: has rounds, snapshots and env_steps, those of a round. facts: who learned, with what.

  Raises:
    ValueError: the run did not get as far as the qualities need.
  """
  actors = jax.tree.map(lambda leaf: leaf.astype(np.float32), run.actors)
  episodes = max(1, SCORED_STEPS // environment.horizon)
  print(f"{environment.name}: scoring {plan.snapshots + 1} snapshots with {episodes} episodes each", flush=True)
  score = scorer(environment, policy, seed + 1, episodes)
  score_again = scorer(environment, policy, seed + 3, CONFIRMED * episodes)
  returns, calm = (score(actors, share * run.noise) for share in (1.0, CALM))

  def rescored(z):
    return score_again(jax.tree.map(lambda leaf: leaf[z : z + 1], actors), CALM * run.noise[z : z + 1])[0]

  for quality in ("medium", "expert"):
    calm = confirmed(calm, LEVELS[environment.name][quality], rescored)
  roles = choose(environment.name, returns, calm, run.noise)
  replay = roles["medium-replay"]  # its shares are of episodes; data sets are shared out by rows
  chosen = jax.tree.map(lambda leaf: leaf[replay["snapshots"]], actors)
  rows = replay["shares"] * mean_lengths(
    environment, policy, chosen, run.noise[replay["snapshots"]], seed + 2, episodes
  )
  replay["shares"] = (rows / rows.sum()).tolist()
  steps = np.arange(plan.snapshots + 1) * host_loop.rounds_apart(plan) * plan.env_steps
  facts |= {
    "task": environment.name,
    "environment": {"version": environment.version, "observation_hash": observation_hash(environment)},
    "seed": seed,
    "noise_std": 1.0,  # what the qualities' noise is a factor on
    "curve": {
      "env_steps": steps.tolist(),
      "return": np.round(returns.astype(float), 1).tolist(),
      "calm_return": np.round(calm.astype(float), 1).tolist(),
      "meaning": f"mean over {episodes} episodes, with the learner's noise on every action; calm: with {CALM} of it, "
      f"where a level seemed to be reached over {CONFIRMED} times as many",
      "noise": np.round(run.noise, 4).tolist(),
    },
  }
  return policies.build([jax.tree.map(lambda leaf: leaf[z], actors) for z in range(len(returns))], roles, facts)  # noqa: B023
