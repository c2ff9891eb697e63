"""The studies name cells that exist; one tiny study runs; its comparisons by hand."""

import pytest

from experiments import ablation_table, cells, runs, settings, studies, train_request
from tests.experiments import binaries


@pytest.mark.parametrize("name", studies.STUDIES)
def test_every_cell_of_a_study_can_be_trained_and_has_a_file_of_its_own(name):
  study = studies.STUDIES[name]
  wanted = studies.cells(study, "paper", studies.own_data(study, "data"))
  assert len({cell.name for cell in wanted}) == len(wanted)
  for cell in wanted:
    train_request.checked_run(cell.flags(0, 1))


def test_the_control_compares_at_equal_ensemble_size():
  rows = studies.STUDIES["control"].rows
  sizes = [settings.override(settings.load(name).Config(), changes).ensemble_size for name, changes in rows]
  assert sizes == [2] * 5 + [10] * 5
  assert [name for name, _ in rows] == ["cfcql", "icql_qs", "spacql", "spacql", "spacql"] * 2
  assert rows[0] == ("cfcql", ()) and rows[7] == ("spacql", ())  # the table's own cells
  assert sum("sharpness=0.0" in changes for _, changes in rows) == 2


def test_a_tiny_study_runs_to_its_table(tmp_path, monkeypatch):
  monkeypatch.setitem(
    studies.STUDIES, "tiny", studies.Study("Why?", (("bc", ("batch_size=8",)), ("bc", ("batch_size=9",)), ("iql", ())))
  )
  binaries.make_data("spread", "random", tmp_path / "data")
  places = (f"--out={tmp_path / 'out'}", f"--runs_dir={tmp_path / 'runs'}", f"--data_dir={tmp_path / 'data'}")
  short = ("--gradient_steps=20", "--evaluations=2", "--episodes=3", "--num_seeds=2", "--qualities=random")
  status, out, err = binaries.call(
    ablation_table.main, ablation_table.FLAGS, "--study=tiny", "--algorithms=bc", *short, *places
  )
  assert status == 0, err
  text = (tmp_path / "out" / "tiny.md").read_text()
  assert (
    text.startswith("Why?") and "| spread-random-v1 | bc (batch_size=8) | bc (batch_size=9) |" in text and text in out
  )
  assert (tmp_path / "out" / "tiny.png").stat().st_size > 5000
  assert len(cells.load_all(tmp_path / "out" / "cells")) == 2


def test_a_study_of_data_sets_makes_them_and_compares_between_them(tmp_path, monkeypatch):
  data = ({"version": "v1", "rows": 250}, {"version": "v1", "rows": 250, "rename": "by_landmark"}, {"rows": 250})
  monkeypatch.setitem(
    studies.STUDIES, "tiny", studies.Study("Why?", (("bc", ("batch_size=8",)),), qualities=("expert",), data=data)
  )
  places = (f"--out={tmp_path / 'out'}", f"--runs_dir={tmp_path / 'runs'}", f"--data_dir={tmp_path / 'data'}")
  short = ("--gradient_steps=20", "--evaluations=2", "--episodes=3", "--num_seeds=1")
  status, _, err = binaries.call(ablation_table.main, ablation_table.FLAGS, "--study=tiny", *short, *places)
  assert status == 0, err
  names = [f"spread-expert{name}.rows250" for name in ("-v1", "_named_by_landmark-v1", "-v2")]
  assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(names)
  found = cells.load_all(tmp_path / "out" / "cells")
  assert sorted(cell["dataset"]["name"] for cell in found) == sorted(names)
  text = (tmp_path / "out" / "tiny.md").read_text().split("Against the first data set:")[1]
  told = [line.split(" | ")[:3] for line in text.splitlines() if line.startswith("| bc (batch_size=8)")]
  assert told == [["| bc (batch_size=8)", names[0], other] for other in names[1:]]


def test_the_newest_of_several_data_sets_is_made_whatever_else_is_there():
  made = [recipe.folder("data").name for recipe in studies.recipes(studies.STUDIES["names"])]
  assert made == [f"spread-expert{n}" for n in ("-v1", "_named_by_landmark-v1", "-v2", "_named_by_landmark-v2",
                                                "_named_at_random-v2")]  # fmt: skip
  assert studies.recipes(studies.STUDIES["control"]) == []
  with pytest.raises(runs.UserError, match="only spread's medium-replay"):
    studies.recipes(studies.STUDIES["names"], ["random"])


@pytest.mark.parametrize(
  ("flags", "words"),
  [
    (["--study=controll"], "did you mean control?"),
    (["--algorithms=cfcqll"], "--algorithms=cfcqll is not known (did you mean cfcql?); known: cfcql, icql_qs, spacql"),
    (["--task=spred"], "--task=spred is not known (did you mean spread?)"),
    (["--task=my_package.my_task"], "a module of your own needs --datasets"),
    (["--study=alpha", "--task=tag"], "--study=alpha is about world or certain data of it"),
    (["--study=names", "--task=tag"], "--study=names is about spread or certain data of it"),
  ],
)
def test_unknown_names_are_one_sentence(flags, words):
  status, _, err = binaries.call(ablation_table.main, ablation_table.FLAGS, *flags)
  assert words in binaries.sentence(status, err)


@pytest.mark.parametrize("study", ["control", "names", "roles"])
def test_an_unknown_quality_is_named_with_its_flag(tmp_path, study):
  flags = (f"--study={study}", "--qualities=good", f"--out={tmp_path}", f"--data_dir={tmp_path / 'data'}")
  refused = binaries.sentence(*binaries.call(ablation_table.main, ablation_table.FLAGS, *flags)[::2])
  assert refused.startswith("error: --qualities=good is not known")
