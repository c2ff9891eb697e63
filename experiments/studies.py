"""The ablations and controls as lists of cells: which algorithms with which changes on which data, and why.

`row` of a study is what its table calls a cell: algorithm and changes, without what all of its cells share.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments import settings
from experiments.cells import Cell
from experiments.hyperparameters import QUALITIES
from experiments.recipes import Recipe
from experiments.rows import Row


class Study(NamedTuple):
  """A table of its own."""

  question: str
  rows: tuple[tuple[str, tuple[str, ...]], ...]  # algorithm, its --set changes
  task: str = "spread"
  qualities: Sequence[str] = QUALITIES
  data: tuple[dict[str, Any], ...] = ({},)  # each row once on each: fields of recipes.Recipe; {}: the newest
  protocols: tuple[str, ...] = ()  # each row once with each; (): with --protocol alone


OPERATORS = ("cfcql", "icql_qs", "spacql")
INDEPENDENT = ("icql", "omar")


def as_they_are(*algorithms: str) -> tuple:
  """Each algorithm with no change."""
  return tuple((algorithm, ()) for algorithm in algorithms)


def of_size(algorithm: str, size: int) -> tuple[str, ...]:
  """What --set needs for an ensemble size; nothing where it is the algorithm's own, so that the cell is the table's."""
  return () if settings.load(algorithm).Config().ensemble_size == size else (f"ensemble_size={size}",)


def of_sizes(*sizes: int, more: Sequence[tuple[str, tuple[str, ...]]] = ()) -> tuple:
  """Every operator at every ensemble size, and beside them `more`."""
  rows = []
  for size in sizes:
    for algorithm, changes in (*((name, ()) for name in OPERATORS), *more):
      rows.append((algorithm, of_size(algorithm, size) + changes))
  return tuple(rows)


UNIFORM = ("spacql", ("sharpness=0.0",))
RELATIVE, FIXED, OWN = "disagreement=relative", "disagreement=fixed", "target=own"
STUDIES = {
  "control": Study(
    "What is left for partial replacement at equal ensemble size? SPaCQL's paper gives it ten critics, CFCQL two.",
    of_sizes(2, 10, more=[UNIFORM, ("spacql", (RELATIVE,))]),
  ),
  "ensemble": Study("How much does the ensemble's size bring?", of_sizes(2, 5, 10, 20)),
  "weighting": Study(
    "Would weights that decide score better? Sharpness 1 is the paper's 1/u_k, 0 is uniform, 2 is the variance; "
    "relative disagreement leaves out what members think of the state, fixed is its control, 1/sqrt(k) without asking "
    "them; own targets, and rows that a member's loss leaves out (bootstrap), let the members drift apart.",
    (
      *(("spacql", () if p == 1 else (f"sharpness={p:.1f}",)) for p in (0, 1, 2, 10, 30)),
      ("spacql", (RELATIVE,)),
      ("spacql", (FIXED,)),
      ("spacql", (RELATIVE, "sharpness=4.0")),
      ("spacql", (OWN,)),
      ("spacql", ("bootstrap=0.5",)),
      ("spacql", (RELATIVE, OWN)),
    ),
  ),
  "subsets": Study(
    "Does one drawn set of agents for each k do as well as all of them?",
    (("spacql", ()), ("spacql", ("exact_subsets=True",))),
  ),
  "normalization": Study(
    "How much of a gap is the operator's, and how much what normalises the critic's input?",
    as_they_are(*OPERATORS),
    qualities=("random", "expert"),
    protocols=("paper", "layer_norm", "data_norm"),
  ),
  "minibatches": Study(
    "What does the released code's repetition of 50 minibatches do to the scores?",
    as_they_are(*OPERATORS),
    protocols=("paper", "fixed_minibatches", "released_code"),
  ),
  "roles": Study(
    "The same on expert data with fixed roles, by a script (experiments.collect --fixed_roles).",
    as_they_are(*OPERATORS),
    qualities=("expert",),
    data=({"roles": True},),
    protocols=("paper", "fixed_minibatches", "released_code"),
  ),
  "names": Study(
    "Are roles what decides on expert data? The same episodes with their agents renamed: by the landmark that they end "
    "at, which gives them roles, and at random, which takes those of v2. With v1's names the starts change too: its "
    "agents take near landmarks, so in 68 % of the renamed episodes each agent starts near its own; v2's do not.",
    as_they_are("cfcql", "icql_qs", "spacql", "matd3_bc", "bc"),
    qualities=("expert",),
    data=(
      {"version": "v1"},
      {"version": "v1", "rename": "by_landmark"},
      {},
      {"version": "v2", "rename": "by_landmark"},
      {"version": "v2", "rename": "at_random"},
    ),
  ),
  "independent": Study(
    "What keeps the independent learners below the published scores: the number of updates (10,005 here as for all, "
    "2,001 in their released code, 6,001 on random), its ten minibatches again and again, OMAR's weight of imitation?",
    as_they_are(*INDEPENDENT),
    protocols=("paper", "fixed_minibatches", "released_code"),
  ),
  "independent_names": Study(
    "Is it roles that the independent learners lack on expert data, as the others do? As their released code trains.",
    as_they_are(*INDEPENDENT),
    qualities=("expert",),
    data=({}, {"version": "v2", "rename": "by_landmark"}),
    protocols=("released_code",),
  ),
  "width": Study(
    "Is it that the networks cannot represent what agents without roles do? CFCQL on v1's expert data with wider "
    "actors and critics.",
    (("cfcql", ()), ("cfcql", ("hidden_size=128",)), ("cfcql", ("hidden_size=256",))),
    qualities=("expert",),
    data=({"version": "v1"},),
  ),
  "alive": Study(
    "Do smaller steps keep policies from running into a corner of the action space (experiments.stuck_policies)?",
    (
      *((name, changes) for name in ("cfcql", "icql_qs") for changes in ((), ("learning_rate=0.003",))),
      ("spacql", ("learning_rate=0.003",)),
    ),
    qualities=("expert",),
    data=({"version": "v2", "rename": "by_landmark"}, {}),
  ),
  "shared_networks": Study(
    "The table and the control on data of agents that share a network: v1 of spread, MAPPO's. v2, as everywhere else, "
    "is MATD3's, with a network for each agent.",
    (
      *of_sizes(2, 10, more=[UNIFORM, ("spacql", (RELATIVE,))]),
      *as_they_are("matd3_bc", "iql", "bc"),
    ),
    qualities=("medium-replay", "medium", "expert"),
    data=({"version": "v1"},),
  ),
  "shared_networks_tag": Study(
    "The table on data of tag's agents that share a network, v1, MAPPO's; v2, as everywhere else, is MATD3's.",
    (
      *as_they_are("spacql", "icql_qs", "cfcql", "macql", "matd3_bc", "iql", "awac", "maicq", "bc"),
      ("spacql", ("ensemble_size=2",)),
    ),
    task="tag",
    qualities=("medium-replay", "medium", "expert"),
    data=({"version": "v1"},),
  ),
  "shared_protocols": Study(
    "What the released code's minibatches and layer normalization do to the expert scores on v1.",
    as_they_are(*OPERATORS),
    qualities=("expert",),
    data=({"version": "v1"},),
    protocols=("paper", "fixed_minibatches", "released_code", "layer_norm"),
  ),
  "tag_expert": Study(
    "Why do conservative algorithms stay far below the policies that made tag's expert data: the weight of the penalty "
    "(the papers' is 2 there), the step size (0.001; spread's is 0.01), the minimum over critics, actors and targets "
    "that move in one critic update of five, minibatches, batch statistics?",
    (
      *of_sizes(2, more=[UNIFORM]),
      *(("cfcql", (change,)) for change in ("alpha=0.5", "learning_rate=0.01", "actor_period=1", "ensemble_size=1")),
      ("icql_qs", ("ensemble_size=1",)),
    ),
    task="tag",
    qualities=("expert",),
    protocols=("paper", "fixed_minibatches", "layer_norm"),
  ),
  "alpha": Study(
    "CFCQL's conservative weight on world: its paper's figure 5.",
    tuple(("cfcql", (f"alpha={alpha}",)) for alpha in (0.1, 0.3, 0.5, 1.0, 2.0, 5.0)),
    task="world",
  ),
  "tau": Study(
    "CFCQL's temperature of the agents' weights on world: its paper's figure 4. First the uniform weights of tau = 0.",
    (
      ("cfcql", ()),
      *(("cfcql", ("agent_weights=softmax", f"temperature={tau}")) for tau in (0.1, 0.5, 1.0, 5.0)),
      ("cfcql", ("agent_weights=one_hot",)),
    ),
    task="world",
  ),
  "components": Study(
    "Which of CFCQL's parts want to be counterfactual? Its paper's table 6, there on HalfCheetah.",
    (
      ("cfcql", ()),
      ("cfcql", ("target=counterfactual",)),
      ("cfcql", ("policy_gradient=joint",)),
      ("macql", ()),
      ("macql", ("policy_gradient=joint",)),
    ),
  ),
}


def cells(study: Study, protocol: str, on: Sequence[Row], **shortened) -> list[Cell]:
  """All cells of a study, a row after the other. on: its own data, or others."""
  return [
    Cell(algorithm, task, quality, each, changes, dataset, **shortened)
    for each in study.protocols or (protocol,)
    for algorithm, changes in study.rows
    for task, quality, dataset in on
  ]


def own_data(study: Study, data_dir: str, qualities: Sequence[str] | None = None) -> list[Row]:
  """The data sets that a study asks for."""
  return [
    Row(study.task, quality, _folder(study.task, quality, data, data_dir))
    for quality in qualities or study.qualities
    for data in study.data
  ]


def recipes(study: Study, qualities: Sequence[str] | None = None) -> list[Recipe]:
  """The data sets that a study names, or compares: they are made where they are missing, whatever else is there.

  Raises:
    UserError: one cannot be made.
  """
  named = [data for data in study.data if data or len(study.data) > 1]
  found = [Recipe(study.task, quality, **data) for quality in qualities or study.qualities for data in named]
  for recipe in found:
    recipe.check()
  return found


def _folder(task: str, quality: str, data: dict[str, Any], data_dir: str) -> str | None:
  """None: the newest."""
  return str(Recipe(task, quality, **data).folder(data_dir)) if data else None
