"""Tables, studies and figures of data sets that were not made here: converted ones, and a task of somebody's own."""

import json

import pytest

from experiments import (
  ablation_table,
  cell_data,
  cells,
  grid,
  main_table,
  rows,
  runs,
  settings,
  studies,
  uncertainty_figure,
  weights_figure,
)
from experiments.rows import Row
from marl_offline.datasets import storage
from tests.experiments import binaries, own_task

SHORT = ("--gradient_steps=20", "--evaluations=2", "--episodes=3", "--num_seeds=1")
TINY = ("--set=batch_size=8", "--set=hidden_size=8", "--set=num_proposals=2")


def converted(data_dir, quality, version, **changes):
  """A data set of spread that says that it was converted."""
  made = binaries.make_data("spread", "random", data_dir)
  name = f"spread-{quality}-{version}"
  binaries.hash_again(made, name=name, quality=quality, version=version, origin="converted", **changes)
  return str(made.rename(data_dir / name))


def call(binary, folder, *arguments):
  places = (f"--out={folder / 'out'}", f"--runs_dir={folder / 'runs'}", f"--data_dir={folder / 'data'}")
  return binaries.call(binary.main, binary.FLAGS, *places, *arguments)


def table(folder, *arguments):
  return call(main_table, folder, "--algorithms=matd3_bc", *SHORT, *arguments)


def test_published_data_stand_beside_the_papers_numbers(tmp_path, monkeypatch):
  """Two data sets, one with a quality of its own, whose settings --qualities names."""
  monkeypatch.setitem(settings.GRADIENT_STEPS, "spread", 20)  # no trial, beside which no paper's number stands
  expert, mine = converted(tmp_path, "expert", "omar0"), converted(tmp_path, "mine", "v1", caveat="odd starts")
  datasets = f"--datasets={expert},{mine}"
  status, out, err = table(tmp_path, datasets, "--qualities=random")
  assert status == 0, err
  found = {cell["dataset"]["name"]: cell for cell in cells.load_all(tmp_path / "out" / "cells")}
  assert {name: (cell["quality"], cell["settings_of"]) for name, cell in found.items()} == {
    "spread-expert-omar0": ("expert", "expert"), "spread-mine-v1": ("mine", "random")}  # fmt: skip
  lines = [line for line in out.splitlines() if line.startswith("| spread-")]
  assert "| spread-expert-omar0 | 108.3 +- 3.3 |" in lines and "| spread-mine-v1 | - |" in lines
  assert "spread-mine-v1 was not collected here but converted from other files; odd starts." in out
  assert "spread-mine-v1 is trained on with the settings of random." in out and "the papers' is over five" in out
  assert f"| spread-mine-v1 | matd3_bc | 1 | {cells.score(found['spread-mine-v1'])[0]:.1f} |" in out  # its own score is
  assert "| spread-expert-omar0 (" in out  # told where it compares
  assert not any("spread-random-v1" in line for line in lines)  # ours are not asked for
  assert "nothing to train" in table(tmp_path, datasets, "--qualities=random")[1]


def test_a_task_of_ones_own_has_a_table(tmp_path):
  folder = tmp_path / "data" / "mine"  # not what its card calls it
  own_task.save_data(folder)
  mine = (f"--tasks={own_task.__name__}", f"--datasets={folder}")
  status, out, err = table(tmp_path, *mine)
  assert status == 0, err
  assert "push-mine-v1" in out and f"{own_task.__name__}: 0 = 0.0, 100 = 3.0" in out
  assert "nothing to train" in table(tmp_path, *mine)[1]
  assert (tmp_path / "out" / "table.png").stat().st_size > 5000
  for path in (tmp_path / "out" / "cells").iterdir():
    path.unlink()
  folder.rename(tmp_path / "other")
  own_task.save_data(folder)
  binaries.hash_again(folder, source="another")
  status, _, err = table(tmp_path, *mine)
  assert status == 0, err  # its finished run counts again: the same arrays
  assert "--tasks=tag,world: --datasets says which rows there are" in binaries.sentence(
    *table(tmp_path, "--tasks=tag,world", mine[1])[::2]
  )
  told = binaries.sentence(*table(tmp_path, mine[1])[::2])
  assert "is of task 'push', which is none of ours; --tasks names a module of your own" in told


def test_a_finished_run_counts_only_on_the_data_that_lie_in_the_folder_now(tmp_path):
  folder = converted(tmp_path / "here", "random", "omar0")
  assert table(tmp_path, f"--datasets={folder}")[0] == 0
  for path in (tmp_path / "out" / "cells").iterdir():
    path.unlink()
  (tmp_path / "here" / "spread-random-omar0").rename(tmp_path / "old")
  made = binaries.make_data("spread", "random", tmp_path / "here", seed=1)
  made.rename(folder)
  told = binaries.sentence(*table(tmp_path, f"--datasets={folder}")[::2])
  assert "was trained on a data set spread-random-omar0 of other content" in told


def test_a_study_and_the_figures_take_them_too(tmp_path, monkeypatch):
  sizes = ("batch_size=8", "hidden_size=8", "num_proposals=2")
  study = studies.Study("Why?", (("cfcql", sizes), ("macql", sizes)), data=({"version": "v1"}, {}))
  monkeypatch.setitem(studies.STUDIES, "tiny", study)
  datasets = f"--datasets={converted(tmp_path, 'expert', 'omar0')},{converted(tmp_path, 'random', 'omar0')}"
  assert [row.quality for row in rows.of_folders(datasets.removeprefix("--datasets=").split(","))] == [
    "expert",
    "random",
  ]
  status, out, err = call(ablation_table, tmp_path, "--study=tiny", datasets, *SHORT)
  assert status == 0, err
  assert "| spread-expert-omar0 | cfcql (batch_size=8" in out and "Against the first data set" not in out
  assert not (tmp_path / "data").exists()  # none of ours was made
  for binary, more in ((weights_figure, ()), (uncertainty_figure, ("--ensemble_size=2",))):
    status, out, err = call(binary, tmp_path, datasets, *more, *SHORT, *TINY)
    assert status == 0, err
    assert "Data sets spread-expert-omar0, spread-random-omar0; 20 gradient steps" in out


def test_each_seed_may_have_a_data_set_of_its_own(tmp_path):
  """As the papers pair them: seed s on the data set of its number; more seeds later, and what is not there."""
  for seed in range(3):
    binaries.make_data("spread", "random", tmp_path, seed=seed).rename(tmp_path / f"spread-random-omar{seed}")
    binaries.hash_again(tmp_path / f"spread-random-omar{seed}", name=f"spread-random-omar{seed}", origin="converted")
  datasets = f"--datasets={tmp_path}/spread-random-omar{{seed}}"
  for count in (1, 2, 3):
    status, out, err = table(tmp_path, datasets, f"--num_seeds={count}")
    assert status == 0, err
  (cell,) = cells.load_all(tmp_path / "out" / "cells")
  assert cell["seeds"] == [0, 1, 2] and cell["dataset"]["name"] == "spread-random-omar{seed}"
  each = [storage.load(tmp_path / f"spread-random-omar{seed}")[1] for seed in range(3)]
  assert [data["sha256"] for data in cell["dataset"]["each"].values()] == [card["sha256"] for card in each]
  mean = sum(card["return"]["mean"] for card in each) / 3
  assert cell["dataset"]["mean_return"] == pytest.approx(mean)
  assert f"| spread-random-omar{{seed}} ({100 * (mean - 159.8) / 357:.1f}) | matd3_bc | 3 |" in out
  assert "spread-random-omar{seed}: each seed is trained on a data set of its own, 3 in all." in out
  assert "papers' is over five" not in out  # as here
  for seed in range(3):  # as if it were alone on its own
    status, _, err = table(
      tmp_path / "alone", f"--datasets={tmp_path}/spread-random-omar{seed}", f"--num_seeds={seed + 1}"
    )
    assert status == 0, err
    (path,) = (tmp_path / "alone" / "out" / "cells").glob(f"*omar{seed}-*.json")
    assert cells.load(path)["curve"][seed] == pytest.approx(cell["curve"][seed], rel=1e-5)
  assert "nothing to train" in table(tmp_path, datasets, "--num_seeds=3")[1]
  told = binaries.sentence(*table(tmp_path, datasets, "--num_seeds=4")[::2])
  assert f"stands for {tmp_path / 'spread-random-omar3'} too, which does not exist" in told
  (tmp_path / "spread-random-omar2").rename(tmp_path / "old")
  binaries.make_data("spread", "random", tmp_path, seed=7).rename(tmp_path / "spread-random-omar2")
  told = binaries.sentence(*table(tmp_path, datasets, "--num_seeds=3")[::2])
  assert "was trained on a data set spread-random-omar2 of other content" in told


def test_what_cannot_be_trained_on_is_refused_before_anything_is(tmp_path, monkeypatch):
  """Another version of a task, and actions of another kind."""
  monkeypatch.setattr(grid, "_train", None)
  fine, other = converted(tmp_path, "expert", "omar0"), converted(tmp_path, "medium", "omar0")
  card = json.loads((tmp_path / "spread-medium-omar0" / "card.json").read_text())
  binaries.hash_again(tmp_path / "spread-medium-omar0", environment=card["environment"] | {"version": "another"})
  told = binaries.sentence(*table(tmp_path, f"--datasets={fine},{other}")[::2])
  assert "was made for version 'another' where the environment spread has" in told
  monkeypatch.setattr(settings, "DISCRETE", ("matd3_bc",))
  told = binaries.sentence(*table(tmp_path, f"--datasets={fine}")[::2])
  assert "has continuous actions, and --algorithm=matd3_bc is for discrete ones" in told
  assert not (tmp_path / "runs").exists()


def test_a_folder_may_be_written_in_another_way(tmp_path, monkeypatch):
  """The run goes on, or counts, under ~ and under a slash at the end."""
  folder = converted(tmp_path, "random", "omar0")
  assert table(tmp_path, f"--datasets={folder}")[0] == 0
  monkeypatch.setattr(grid.train, "run", None)
  monkeypatch.setenv("HOME", str(tmp_path))
  for name in (f"{folder}/", "~/spread-random-omar0"):
    for path in (tmp_path / "out" / "cells").iterdir():
      path.unlink()
    status, _, err = table(tmp_path, f"--datasets={name}")
    assert status == 0, err


def test_cells_of_different_data_of_one_name_are_not_compared(tmp_path):
  def cell(algorithm, sha):
    return {"algorithm": algorithm, "task": "spread", "dataset": {"name": "spread-mine-v1", "sha256": {"obs": sha}}}

  cell_data.require_one_content([cell("bc", "a"), cell("cfcql", "a"), cell("bc", "b") | {"task": "spread_3"}])
  with pytest.raises(runs.UserError, match="bc and cfcql are of different data sets that are both called spread-mine"):
    cell_data.require_one_content([cell("bc", "a"), cell("cfcql", "b")])


@pytest.mark.parametrize(
  ("folders", "words"),
  [
    (["nowhere"], "--datasets=nowhere does not exist"),
    (["one", "more/one"], "--datasets: two folders are called one, and so would their cells be; rename one"),
    (["one", "other"], "one and other are both spread-random-v1 by their cards"),
    (["empty"], "--datasets=empty is not a data set: it has no card.json"),
  ],
)
def test_what_is_no_row_is_one_sentence(folders, words, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "empty").mkdir()
  for place in (tmp_path, tmp_path / "more"):
    binaries.make_data("spread", "random", place).rename(place / "one")
  binaries.make_data("spread", "random", tmp_path, seed=1).rename(tmp_path / "other")
  with pytest.raises(runs.UserError, match=words):
    rows.of_folders(folders)


def test_a_cards_task_is_ours_or_named(tmp_path):
  folder = str(binaries.make_data("spread", "random", tmp_path))
  mine = str(binaries.make_data("spread", "mine", tmp_path))
  assert rows.of_folders([mine, folder]) == [Row("spread", "medium-replay", mine), Row("spread", "random", folder)]
  assert rows.of_folders([mine], like=["expert"]) == [Row("spread", "expert", mine)]
  assert rows.of_folders([folder]) == [Row("spread", "random", folder)]
  assert rows.of_folders([folder], ["spread_3"], ["expert"]) == [Row("spread_3", "random", folder)]
  (tmp_path / "spread-random-v1" / "obs.npy").unlink()
  with pytest.raises(storage.DataError, match=r"obs\.npy"):
    rows.of_folders([folder])
