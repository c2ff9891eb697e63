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
# In the order of QUALITIES: random, medium-replay, medium, expert. CFCQL's are of uniform agent weights.
# Those of ICQL, OMAR, MA-TD3+BC and MAICQ are cited from OMAR's paper, which built all of them on independent TD3.
# MA-TD3+BC and MAICQ here have central critics, as CFCQL's appendix C.3 describes them.
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
  ("matd3_bc", "spread", f"{CFCQL} table 5"): ((9.8, 4.9), (15.4, 5.6), (29.3, 4.8), (108.3, 3.3)),
  ("matd3_bc", "tag", f"{CFCQL} table 5"): ((5.7, 3.5), (28.7, 20.9), (65.1, 29.5), (115.2, 12.5)),
  ("matd3_bc", "world", f"{CFCQL} table 5"): ((2.8, 5.5), (17.4, 8.1), (73.4, 9.3), (110.3, 21.3)),
  ("iql", "spread", f"{CFCQL} table 5"): ((5.5, 1.1), (10.8, 4.5), (28.2, 3.9), (103.7, 2.5)),
  ("iql", "tag", f"{CFCQL} table 5"): ((1.3, 1.6), (23.2, 12.0), (53.6, 19.9), (109.3, 10.1)),
  ("iql", "world", f"{CFCQL} table 5"): ((2.9, 4.0), (41.5, 9.5), (70.5, 15.3), (107.8, 17.7)),
  ("awac", "spread", f"{CFCQL} table 5"): ((0.5, 3.7), (2.7, 3.0), (25.7, 4.1), (103.3, 3.5)),
  ("awac", "tag", f"{CFCQL} table 5"): ((0.2, 1.0), (8.3, 5.3), (50.9, 19.0), (106.5, 10.1)),
  ("awac", "world", f"{CFCQL} table 5"): ((-2.4, 2.0), (8.9, 5.1), (63.9, 14.2), (107.6, 15.6)),
  ("maicq", "spread", f"{CFCQL} table 5"): ((6.3, 3.5), (13.6, 5.7), (29.3, 5.5), (104.0, 3.4)),
  ("maicq", "tag", f"{CFCQL} table 5"): ((2.2, 2.6), (34.5, 27.8), (63.3, 20.0), (113.0, 14.4)),
  ("maicq", "world", f"{CFCQL} table 5"): ((1.0, 3.2), (12.0, 9.1), (71.9, 20.0), (109.5, 22.8)),
  ("icql", "spread", f"{CFCQL} table 5"): ((24.0, 9.8), (20.0, 8.4), (34.1, 7.2), (98.2, 5.2)),
  ("icql", "tag", f"{CFCQL} table 5"): ((5.0, 8.2), (24.8, 17.3), (61.7, 23.1), (93.9, 14.0)),
  ("icql", "world", f"{CFCQL} table 5"): ((0.6, 2.0), (29.6, 13.8), (58.6, 11.2), (71.9, 28.1)),
  ("omar", "spread", f"{CFCQL} table 5"): ((34.4, 5.3), (37.9, 12.3), (47.9, 18.9), (114.9, 2.6)),
  ("omar", "tag", f"{CFCQL} table 5"): ((11.1, 2.8), (47.1, 15.3), (66.7, 23.2), (116.2, 19.8)),
  ("omar", "world", f"{CFCQL} table 5"): ((5.9, 5.2), (42.9, 19.5), (74.6, 11.5), (110.4, 25.7)),
}


def lookup(algorithm: str, task: str, quality: str) -> Score | None:
  """What the paper prints for this cell; None where none does, and on robots, whose papers' simulator was another."""
  for (name, place, source), row in _ROWS.items():
    if (name, place) == (algorithm, task) and quality in QUALITIES:
      return Score(*row[QUALITIES.index(quality)], source)
  return None
