"""Who acts in a particle task's data set, and what its card says of them."""

import numpy as np

from marl_offline.collection import fixed_roles, policies, record
from marl_offline.datasets.storage import Episodes
from marl_offline.environments.api import PureEnvironment


def recorded(
  environment: PureEnvironment,
  shelf: policies.Library | None,
  quality: str,
  rows: int,
  seed: int,
  title: str,
  kappa: float | None = None,
  roles: bool = False,
) -> tuple[Episodes, list[dict]]:
  """The episodes of a quality, and the card's words on their policies. shelf: None where none is needed."""
  episodes = rows // environment.horizon
  if shelf:
    acting, words = snapshots(shelf, quality, episodes, kappa)
  else:
    acting, words = by_script(episodes, quality) if roles else uniform(episodes, kappa)
  return record.record(environment, acting, seed, title), words


def uniform(episodes: int, kappa: float | None = None) -> tuple[list[record.Behavior], list[dict]]:
  """Random data: every component uniform in [-1, 1], agents independent but for kappa."""
  words = {"policy": "uniform in [-1, 1]" + together(kappa), "episodes": episodes}
  return [record.Behavior(None, 1.0, episodes, kappa)], [words]


def together(kappa: float | None) -> str:
  """What the card adds to a policy's name where agents are coupled."""
  return "" if kappa is None else f"; with probability {kappa:g} a step one draw for all agents, else each its own"


def snapshots(
  shelf: policies.Library, quality: str, episodes: int, kappa: float | None = None
) -> tuple[list[record.Behavior], list[dict]]:
  """Who acts in how many episodes, in the order of training, and the card's words on them."""
  mixture = shelf.mixture(quality)
  ends = [round(share * episodes) for share in np.cumsum([share for _, share, _ in mixture])]
  acting, words = [], []
  for (snapshot, _, noise), end, start in zip(mixture, ends, [0, *ends[:-1]], strict=True):
    if end == start:
      continue
    actor = shelf.actor(snapshot)
    acting.append(record.Behavior(actor, noise, end - start, kappa))
    steps = shelf.facts["curve"]["env_steps"][shelf.facts["kept"][snapshot]]
    policy = f"{shelf.facts['learner']} after {steps} steps, seed {shelf.facts['seed']}{together(kappa)}"
    std = float(noise * np.exp(actor["log_std"]).mean())
    words.append({"policy": policy, "noise_std": round(std, 3), "episodes": end - start})
  return acting, words


def by_script(episodes: int, quality: str) -> tuple[list[record.Behavior], list[dict]]:
  """The script with fixed roles. expert: all agents play it; medium: each of them in some episodes, by lot."""
  skilled = None if quality == "expert" else fixed_roles.SKILLED
  lot = "" if skilled is None else f"; each agent in an episode with probability {skilled:g}, else uniform in [-1, 1]"
  words = {"policy": fixed_roles.WORDS + lot, "noise_std": fixed_roles.STD, "episodes": episodes}
  return [record.Behavior(fixed_roles.FixedRoles(), 1.0, episodes, skilled=skilled)], [words]
