"""Numbers that papers print, for comparison beside ours: normalised scores, mean and standard deviation over 5 seeds.

On the papers' own data (OMAR's files), not on ours; tag and world also against another prey.
"""

from typing import NamedTuple

from experiments.settings import QUALITIES


class Score(NamedTuple):
  """A cell of a table; std None where none is printed."""

  mean: float
  std: float | None
  source: str


SPACQL = "arXiv:2511.07629"
CFCQL = "arXiv:2309.12696"
# In the order of QUALITIES: random, medium-replay, medium, expert.
_ROWS = {
  ("spacql", "spread", f"{SPACQL} table 2"): ((78.2, 14.0), (71.9, 13.2), (78.6, 6.4), (111.9, 4.5)),
  ("spacql", "tag", f"{SPACQL} table 2"): ((89.4, 13.7), (75.0, 12.7), (61.9, 20.0), (111.2, 16.4)),
  ("spacql", "world", f"{SPACQL} table 2"): ((94.3, 7.4), (105.2, 11.1), (98.1, 17.7), (112.3, 7.8)),
  ("icql_qs", "spread", f"{SPACQL} table 1"): ((77.7, None), (58.2, None), (62.5, None), (97.2, None)),
  ("icql_qs", "world", f"{SPACQL} table 1"): ((89.9, None), (82.5, None), (88.6, None), (106.5, None)),
  ("cfcql", "spread", f"{CFCQL} table 5"): ((62.2, 8.1), (52.2, 9.6), (65.0, 10.2), (112.0, 4.0)),
  ("cfcql", "tag", f"{CFCQL} table 5"): ((78.5, 15.6), (71.1, 6.0), (68.5, 21.8), (118.2, 13.1)),
  ("cfcql", "world", f"{CFCQL} table 5"): ((68.0, 20.8), (73.4, 23.2), (93.8, 31.8), (119.7, 26.4)),
  ("macql", "spread", f"{CFCQL} table 5"): ((45.6, 8.7), (25.5, 5.9), (14.3, 20.2), (12.2, 31.0)),
  ("macql", "tag", f"{CFCQL} table 5"): ((25.2, 11.5), (11.9, 9.2), (55.0, 43.2), (108.4, 21.5)),
  ("macql", "world", f"{CFCQL} table 5"): ((11.7, 11.0), (13.2, 16.2), (67.4, 48.4), (99.7, 31.0)),
}


def lookup(algorithm: str, task: str, quality: str) -> Score | None:
  """What the paper prints for this cell; None where no paper does, as for data of our own making."""
  for (name, place, source), row in _ROWS.items():
    if (name, place) == (algorithm, task) and quality in QUALITIES:
      return Score(*row[QUALITIES.index(quality)], source)
  return None
