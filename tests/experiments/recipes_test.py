"""What our data sets are called and whose policies play in them."""

import pytest

from experiments import collect, grid, runs
from experiments.cells import Cell
from experiments.recipes import Recipe
from marl_offline.collection import policies
from tests.experiments import binaries

NAMES = [
  (Recipe("spread", "medium"), "spread-medium-v2", "spread"),
  (Recipe("spread", "medium", version="v1"), "spread-medium-v1", "spread_mappo"),
  (Recipe("spread", "medium", kappa=0.5), "spread-medium_kappa0.5-v1", "spread_mappo"),
  (Recipe("spread", "expert", seed=3, rows=100, from_scratch=True), "spread-expert-v2.seed3.rows100.scratch", "spread"),
  (Recipe("spread", "expert", roles=True), "spread-expert_roles-v1", None),
  (Recipe("spread_6", "medium", roles=True), "spread_6-medium_roles-v1", None),
  (
    Recipe("spread", "expert", version="v1", rename="by_landmark"),
    "spread-expert_named_by_landmark-v1",
    "spread_mappo",
  ),
  (Recipe("spread", "random"), "spread-random-v1", None),
  (Recipe("tag", "medium"), "tag-medium-v2", "tag"),
  (Recipe("world", "medium", version="v1"), "world-medium-v1", "world_mappo"),
  (Recipe("spread_5", "random"), "spread_5-random-v1", None),
  (Recipe("walker2d_2x3", "expert"), "walker2d_2x3-expert-v1", "walker2d_2x3"),
]


@pytest.mark.parametrize(("recipe", "name", "library"), NAMES)
def test_names_and_libraries(recipe, name, library):
  recipe.check()
  assert recipe.folder("data").as_posix() == f"data/{name}"
  assert recipe.learned == (library is not None)
  if library:
    assert recipe.library == library and policies.load(library).facts["task"] == recipe.task


def test_decentralized_is_a_data_set_of_each_agent():
  parts = Recipe("halfcheetah_2x3", "decentralized").parts()
  assert [part.name for part in parts] == ["decentralized_agent0", "decentralized_agent1"]
  assert Recipe("spread", "expert").parts() == [Recipe("spread", "expert")]


def test_policies_of_the_other_learner_are_refused(tmp_path):
  kept = tmp_path / "policies-seed0"
  policies.save(kept, "spread", policies.load("spread_mappo"))  # as they were called before there was a v2
  flags = ["--quality=medium", "--from_scratch", "--rows=250", f"--data_dir={tmp_path}"]
  status, _, err = binaries.call(collect.main, collect.FLAGS, *flags)
  assert "spread.*: the policies of spread cannot be made or read: they are of the other" in binaries.sentence(
    status, err
  )
  assert [path.name for path in tmp_path.iterdir()] == ["policies-seed0"]


def test_cells_of_another_version_than_would_be_trained_on_are_refused(tmp_path):
  cell = Cell("bc", "spread", "medium")
  with pytest.raises(runs.UserError, match="is of spread-medium-v1, where spread-medium-v2 would be trained on now"):
    grid.require_data_of(cell, "spread-medium-v1", tmp_path, tmp_path)
  grid.require_data_of(cell, "spread-medium-v2", tmp_path, tmp_path)
  binaries.make_data("spread", "medium", tmp_path)  # v1 lies there, and nothing newer
  grid.require_data_of(cell, "spread-medium-v1", tmp_path, tmp_path)
  named = Cell("bc", "spread", "medium", dataset=str(tmp_path / "spread-medium-mine"))
  grid.require_data_of(named, "spread-medium-mine", tmp_path, tmp_path)
