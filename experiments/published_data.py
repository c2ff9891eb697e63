"""What is known of data sets that others published: their returns, where they come from, their licences."""

from typing import NamedTuple

from marl_offline.datasets import public_pymarl


class Returns(NamedTuple):
  """Episodes' returns as published: the sum over an episode of the first agent's rewards, in most the whole team's."""

  mean: float
  std: float
  rows: int | None  # None: not said
  source: str
  rounding: float = 0.0  # how far mean and standard deviation may lie from what they were rounded to
  episodes: int | None = None  # None: not said


OG_MARL = "OG-MARL's data cards"
OMAR = "OMAR, arXiv:2111.11188"
OMIGA = "OMIGA, arXiv:2307.11620"
CFCQL = "CFCQL, arXiv:2309.12696"
UNSTATED = "not stated by its authors"
ELSEWHERE = "not in the files; see the page that they were downloaded from"
TOLERANCE = 0.02  # of the published standard deviation
_MILLION = 1_000_000
# OG-MARL's tally of OMAR's files: of the first of the five seeds, as its code counts (analyse_vault.py).
_OMAR = {
  "spread": {
    "random": (159.57, 60.46, _MILLION),
    "medium-replay": (203.74, 80.49, 97_500),
    "medium": (273.39, 92.06, _MILLION),
    "expert": (530.95, 71.41, _MILLION),
  },
  "tag": {
    "random": (-4.13, 10.81, _MILLION),
    "medium-replay": (3.90, 20.28, 62_500),
    "medium": (116.36, 58.86, _MILLION),
    "expert": (207.90, 77.51, _MILLION),
  },
  "world": {
    "random": (-6.83, 5.74, _MILLION),
    "medium-replay": (1.23, 13.49, 80_000),
    "medium": (65.86, 29.55, _MILLION),
    "expert": (85.21, 31.11, _MILLION),
  },
  "halfcheetah_2x3": {
    "random": (-282.89, 77.50, _MILLION),
    "medium-replay": (423.49, 655.68, 460_000),
    "medium": (1568.87, 273.38, _MILLION),
    "expert": (3338.69, 252.58, _MILLION),
  },
}
# Of OMIGA's files; rows without those that only hold a final observation, which OG-MARL's tally counts.
_OMIGA = {
  "hopper_3x1": {
    "expert": (2452.02, 1097.86, 998_910),
    "medium": (723.57, 211.66, 915_391),
    "medium-replay": (746.42, 671.89, 1_310_666),
    "medium-expert": (1190.61, 973.40, 1_914_301),
  },
  "ant_2x4": {
    "expert": (2055.07, 22.07, _MILLION),
    "medium": (1418.70, 37.04, _MILLION),
    "medium-replay": (1029.51, 141.27, 1_750_000),
    "medium-expert": (1736.88, 319.64, 2_000_000),
  },
  "halfcheetah_6x1": {
    "expert": (2785.10, 1053.14, _MILLION),
    "medium": (1425.66, 520.12, _MILLION),
    "medium-replay": (655.76, 590.40, _MILLION),
    "medium-expert": (2105.38, 1073.24, 2_000_000),
  },
}
# Of CFCQL's files of SMAC, to three decimals.
_CFCQL = {
  "2s3z": {
    "medium": (12.762, 3.319),
    "medium-replay": (7.941, 3.413),
    "expert": (19.975, 0.374),
    "mixed": (16.391, 4.326),
  },
  "3s_vs_5z": {
    "medium": (20.857, 3.469),
    "medium-replay": (18.848, 4.199),
    "expert": (21.187, 0.705),
    "mixed": (21.037, 2.507),
  },
  "5m_vs_6m": {
    "medium": (12.047, 4.360),
    "medium-replay": (9.024, 2.591),
    "expert": (18.168, 3.794),
    "mixed": (15.111, 5.108),
  },
  "6h_vs_8z": {
    "medium": (16.634, 3.028),
    "medium-replay": (12.974, 2.222),
    "expert": (19.012, 2.112),
    "mixed": (17.810, 2.878),
  },
}
_THREE_DECIMALS = 0.0005
_FEWER_EPISODES = {("2s3z", "medium-replay"): 1_976}  # of all others there are 5,000
STATISTICS = {"omar": _OMAR, "omiga": _OMIGA, "og_marl": _OMAR | _OMIGA, "pymarl": _CFCQL}
# Tasks whose observations, actions and physics are those of ours of the same name.
SAME_AS_OURS = ("spread", "tag", "world")
# What no task of ours is, until one has this version: OMIGA's observations and order of actuators. OMAR's HalfCheetah
# sees and acts as ours does, in an older simulator: it may be played here, and the caveat goes with every score.
OTHER_VERSIONS = dict.fromkeys(_OMIGA, "omiga-mujoco200") | dict.fromkeys(public_pymarl.TASKS, "starcraft2")
_PREY = (
  "the prey that played here is OMAR's, published with its files and in OG-MARL's repository; ours, against which "
  "policies are evaluated here, is another and harder to catch"
)
_MUJOCO = "played in MuJoCo 2.0, whose returns are not those of later versions"
_WHOLE = (
  f"{_MUJOCO}; each agent observes the whole state and its own number, standardised vector by vector, and agents' "
  "actions lie one after the other on the actuators"
)
_SMAC = "played in StarCraft II (SMAC), which no task here is: other observations, actions, rewards and opponents"
# What keeps scores from comparing, task by task.
CAVEATS = {"tag": _PREY, "world": _PREY, "halfcheetah_2x3": _MUJOCO} | dict.fromkeys(_OMIGA, _WHOLE)
CAVEATS |= dict.fromkeys(public_pymarl.TASKS, _SMAC)


def returns(kind: str, task: str, quality: str) -> Returns | None:
  """What is published of a data set's returns; None where nothing is known to us."""
  row = STATISTICS.get(kind, {}).get(task, {}).get(quality)
  if row and task in _CFCQL:
    return Returns(*row, None, OG_MARL, _THREE_DECIMALS, _FEWER_EPISODES.get((task, quality), 5_000))
  return Returns(*row, OG_MARL) if row else None


def difference(found_mean: float, found_std: float, rows: int, episodes: int, published: Returns) -> str:
  """A sentence with both numbers where the data are not what was published, "" where they are.

  Means and standard deviations may differ by 2 % of the published standard deviation and by what rounding did, rows and
  episodes not at all.
  """
  allowed = TOLERANCE * published.std + published.rounding
  wrong = abs(found_mean - published.mean) > allowed or abs(found_std - published.std) > allowed
  if not wrong and published.rows in (None, rows) and published.episodes in (None, episodes):
    return ""
  known = [f"{count} {what}" for count, what in ((published.rows, "rows"), (published.episodes, "episodes")) if count]
  theirs = f" in {' and '.join(known)}" if known else ""
  return (
    f"the first agent's return is {found_mean:.2f} +- {found_std:.2f} in {rows} rows and {episodes} episodes where "
    f"{published.mean:.2f} +- {published.std:.2f}{theirs} was published ({published.source})"
  )
