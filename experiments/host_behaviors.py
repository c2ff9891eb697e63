"""Who acts in a data set of an environment on the host, and the training of them, kept and gone on from."""

import dataclasses
import functools
import itertools
import pathlib
import shutil
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import locks, runs, settings
from marl_offline.algorithms import matd3
from marl_offline.collection import host_library, host_loop, host_mappo, host_online, host_record, policies
from marl_offline.datasets.storage import Episodes
from marl_offline.environments.api import HostEnvironment
from marl_offline.parts.joint_critic import TrainState
from marl_offline.training import checkpoints

# Robots that fall learn by MAPPO: MATD3 stayed below 400 on Hopper 3x1 for 230,000 steps.
BY_MAPPO = {"hopper_3x1": 200, "ant_2x4": 600}  # rounds of 8,192 steps each
ROUNDS = {  # of MATD3, of 20 steps each
  "spread": 45_000,
  "tag": 60_000,
  "world": 60_000,
  "halfcheetah_2x3": 7_500,
  "halfcheetah_6x1": 10_000,
  "walker2d_2x3": 20_000,
}
KEEP_EVERY = 300.0  # seconds


def config_of(task: str) -> matd3.Config:
  """MATD3's settings; the discount of a task of 25 steps is that of all others' training on it."""
  return matd3.Config(gamma=0.95) if task in settings.PAPER_TASKS else matd3.Config()


def policy_of(environment: HostEnvironment):
  """actors, obs [N, O] -> actions [N, A], without noise."""
  if environment.name in BY_MAPPO:
    return host_mappo.mean_action
  act = matd3.make(runs.plain_spec(environment), config_of(environment.name)).act
  return lambda actors, obs: act(TrainState(actors, *[None] * 5), (), obs, None)[0]


def train_library(environment: HostEnvironment, name: str, folder: pathlib.Path, seed: int) -> None:
  """A library of our own into folder/name.*, from nothing; stopped and called again it goes on from its last five
  minutes.

  Raises:
    ValueError: the run did not get as far as the data set's qualities need, what was kept is of another plan, or
      another process trains it.
    CheckpointError: what was kept cannot be read, or cannot be written.
  """
  locks.train_once(folder, name, lambda: _train_library(environment, name, folder, seed))


class Training(NamedTuple):
  """A run that can be trained."""

  plan: Any
  run: host_loop.Run
  train: Callable  # run, keep -> run
  facts: dict[str, Any]  # what a kept run must have in common with it
  learner: str


def training_of(environment: HostEnvironment, seed: int) -> Training:
  """The run of a task's learner, not yet begun to train."""
  name = environment.name
  if name in BY_MAPPO:
    plan = host_mappo.Plan(rounds=BY_MAPPO[name])
    run = host_mappo.begin(environment, plan, seed)
    train = functools.partial(host_mappo.train, environment, plan, seed, title=f"{name}: MAPPO")
    config, learner = host_mappo.CONFIG, "MAPPO (one central value for all, a network for each agent)"
  else:
    config = config_of(name)
    plan = host_online.Plan(rounds=ROUNDS[name], batch_size=config.batch_size)
    matd3_learner = matd3.make(runs.plain_spec(environment), config)
    run = host_online.begin(environment, matd3_learner, plan, seed)
    train = functools.partial(host_online.train, environment, matd3_learner, plan, seed, title=f"{name}: MATD3")
    learner = "MATD3 (one central critic for all, layer normalization)"
  facts = {"plan": dataclasses.asdict(plan), "config": dataclasses.asdict(config), "version": environment.version}
  return Training(plan, run, train, facts, learner)


def _train_library(environment: HostEnvironment, name: str, folder: pathlib.Path, seed: int) -> None:
  kept = checkpoints.Checkpoints(folder / f".training-{name}", keep=1)
  (plan, run, train, facts, learner), last = training_of(environment, seed), time.monotonic()
  if kept.steps():
    meta = kept.meta()
    if any(meta.get(name) != value for name, value in facts.items()):
      raise ValueError(f"{kept.folder} holds a training of another plan or version; remove it to begin anew")
    run = _merged(run, kept.restore(_arrays(run), [seed])[0])

  def keep(run):
    nonlocal last
    if time.monotonic() - last > KEEP_EVERY:
      states = jax.tree.map(lambda leaf: np.asarray(leaf)[None], _arrays(run))
      kept.save(int(run.play.round), states, [seed], facts)
      last = time.monotonic()

  run = train(run, keep)
  words = {"learner": learner, "config": facts["config"]}
  shelf = host_library.from_run(environment, policy_of(environment), run, plan, seed, **words)
  policies.save(folder, name, shelf)
  shutil.rmtree(kept.folder, ignore_errors=True)  # not before the library is on disk


def _arrays(run: host_loop.Run) -> dict[str, jax.Array]:
  """The arrays that hold something; storage refuses empty ones."""
  return {str(place): leaf for place, leaf in enumerate(jax.tree.leaves(run)) if leaf.size}


def _merged(run: host_loop.Run, arrays: dict[str, np.ndarray]) -> host_loop.Run:
  leaves, shape = jax.tree.flatten(run)
  return jax.tree.unflatten(shape, [arrays[str(n)][0] if leaf.size else leaf for n, leaf in enumerate(leaves)])


def recorded(
  environment: HostEnvironment, shelf: policies.Library | None, quality: str, rows: int, seed: int, title: str
) -> tuple[Episodes, list[dict]]:
  """The episodes of a quality, and the card's words on their policies. shelf: None for uniform play."""
  if shelf is None:
    acting, words = [host_record.Behavior(None, 0.0, rows)], [{"policy": "uniform in [-1, 1]", "rows": rows}]
  else:
    # a particle task's episodes are all of one length, and none is cut between two policies
    acting, words = snapshots(
      shelf, quality, rows, environment.horizon if environment.name in settings.PAPER_TASKS else 1
    )
  return host_record.record(environment, policy_of(environment), acting, seed, title), words


def snapshots(
  shelf: policies.Library, quality: str, rows: int, unit: int = 1
) -> tuple[list[host_record.Behavior], list[dict]]:
  """Who acts for how many rows, a multiple of `unit` each, in the order of training, and the card's words on them."""
  mixture, std = shelf.mixture(quality), shelf.facts["noise_std"]
  ends = [unit * round(share * rows / unit) for share in np.cumsum([share for _, share, _ in mixture])]
  acting, words = [], []
  for (snapshot, _, noise), end, start in zip(mixture, ends, [0, *ends[:-1]], strict=True):
    if end == start:
      continue
    acting.append(host_record.Behavior(shelf.actor(snapshot), noise * std, end - start))
    words.append({"policy": _words(shelf, snapshot), "noise_std": noise * std, "rows": end - start})
  return acting, words


def _words(shelf: policies.Library, snapshot: int) -> str:
  """What the card calls a snapshot."""
  steps = shelf.facts["curve"]["env_steps"][shelf.facts["kept"][snapshot]]
  return f"{shelf.facts['learner']} after {steps} steps, seed {shelf.facts['seed']}"


def decentralized(
  environment: HostEnvironment, shelf: policies.Library, agent: int, rows: int, seed: int, title: str
) -> tuple[Episodes, list[dict]]:
  """One agent's own data set, N = 1, for learners that never see the others' actions: arXiv:2108.01832, appendix A.

  A fifth is early play of all; then this agent is medium among experts, an expert among medium, one of experts: 35, 35
  and 10 %. What all learn from is the state; its observations, actions and the team's reward are this agent's.
  """
  (medium, _, calm), (expert, _, _) = shelf.mixture("medium-expert")
  acting, words = snapshots(shelf, "medium-replay", round(0.2 * rows))
  words = [{**entry, "part": "early play of all"} for entry in words]
  ends = [round(share * rows) for share in (0.2, 0.55, 0.9, 1.0)]
  parts = (medium, expert, "medium among experts"), (expert, medium, "expert among medium"), (expert, expert, "experts")
  for (own, others, part), (start, end) in zip(parts, itertools.pairwise(ends), strict=True):
    noise = calm * shelf.facts["noise_std"]
    acting.append(host_record.Behavior(_with_agent(shelf.actor(others), shelf.actor(own), agent), noise, end - start))
    words.append({"policy": _words(shelf, own), "part": part, "noise_std": noise, "rows": end - start})
  # a seed of its own: with one for all, parts in which the same policies act would be the same episodes
  together = host_record.record(environment, policy_of(environment), acting, seed + 1_000_000 * agent, title)
  own = slice(agent, agent + 1)
  fields = {name: getattr(together, name)[:, own] for name in ("obs", "action", "reward", "final_obs", "final_action")}
  return dataclasses.replace(together, **fields), words


def _with_agent(actors, of, agent: int):
  """actors [N, ...] with one agent's weights taken from `of`."""

  def replaced(all_agents, other):
    joined = all_agents.copy()
    joined[agent] = other[agent]
    return joined

  return jax.tree.map(replaced, actors, of)


def references(environment: HostEnvironment, shelf: policies.Library, seed: int) -> dict[str, float]:
  """Mean returns of uniform play, 1,000 episodes, and of the shipped expert without noise, 100 episodes."""
  act = host_record.actor(environment, policy_of(environment))
  (snapshot, _, _), *_ = shelf.mixture("expert")
  means = {}
  for name, actors, episodes in (("random", None, 1_000), ("expert", shelf.actor(snapshot), 100)):
    behavior = host_record.Behavior(actors, 0.0, episodes * environment.horizon)
    rows, steps = host_record.play(environment, act, behavior, episodes, (seed, 0), environment.horizon)
    means[name] = round(float(rows["reward"].mean(axis=1).sum() / len(steps)), 1)
  return means
