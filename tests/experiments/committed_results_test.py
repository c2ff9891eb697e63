"""The tables in results/mpe are what their commands make of the cells that lie beside them."""

import pathlib
import re
import shutil

import pytest

from experiments import (
  ablation_table,
  agents_study,
  aggregate,
  claims_report,
  coupling_study,
  main_table,
  studies,
  study_view,
  table_view,
  uncertainty_figure,
  weights_figure,
)
from tests.experiments import binaries

MPE = pathlib.Path(__file__).parents[2] / "results" / "mpe"
ALGORITHMS = "spacql,icql_qs,cfcql,macql,icql,omar,matd3_bc,iql,awac,maicq,bc"
GRID = (f"--cells={MPE / 'cells'}", "--tasks=spread", "--qualities=random,medium-replay,medium,expert")
NUMBER = re.compile(r"-?\d+\.\d+")


@pytest.mark.parametrize(
  ("binary", "flags", "name"),
  [
    (main_table, ("--show", f"--algorithms={ALGORITHMS}", "--tasks=spread,tag,world", "--num_seeds=3"), "table"),
    (ablation_table, ("--show", "--study=control", "--num_seeds=5"), "control"),
    (ablation_table, ("--show", "--study=control", "--task=world", "--num_seeds=2"), "control_world"),
    (weights_figure, ("--show", "--num_seeds=2"), "weights"),
    (uncertainty_figure, ("--show", "--num_seeds=1"), "uncertainty"),
    (aggregate, (*GRID, "--algorithms=spacql,icql_qs,cfcql,macql,matd3_bc,iql,bc", "--num_seeds=2"), "aggregate"),
    (claims_report, GRID[:1], "claims"),
    (aggregate, (*GRID, "--of=spacql (ensemble_size=2)", "--num_seeds=5"), "five_seeds/aggregate"),
  ],
)
def test_a_table_is_what_its_command_makes(tmp_path, binary, flags, name):
  shutil.copytree(MPE / "cells", tmp_path / "cells")
  status, _, err = binaries.call(binary.main, binary.FLAGS, *flags, f"--out={(tmp_path / name).parent}")
  assert status == 0, err
  for kind in ("md", "csv", "json"):
    if (MPE / f"{name}.{kind}").exists():
      same_numbers(*((folder / f"{name}.{kind}").read_text() for folder in (tmp_path, MPE)))


def same_numbers(made, kept):
  """Alike but for the last digits, which may go either way where another NumPy sums otherwise."""
  assert NUMBER.sub("#", made) == NUMBER.sub("#", kept)
  for one, other in zip(NUMBER.findall(made), NUMBER.findall(kept), strict=True):
    last_digit = 10.0 ** -len(other.partition(".")[2])
    assert abs(float(one) - float(other)) < 1.5 * last_digit + 1e-9 * abs(float(other)), (one, other)


MOVED = {"control_tag": ("control", "tag")}  # studies of spread that were run on another task
TABLES = sorted(path.stem for path in MPE.glob("*.csv") if path.stem in {*studies.STUDIES, *MOVED} - {"control"})


@pytest.mark.parametrize("name", TABLES)
def test_a_study_is_of_all_the_seeds_that_lie_beside_it(tmp_path, monkeypatch, name):
  """A cell that got more seeds since would make a table differ from the others of the same cells."""
  monkeypatch.setattr(table_view, "draw", lambda path, found: None)
  (tmp_path / "cells").symlink_to(MPE / "cells")
  study, *task = MOVED.get(name, (name,))
  flags = ("--show", f"--study={study}", *(f"--task={each}" for each in task), f"--out={tmp_path}")
  status, _, err = binaries.call(ablation_table.main, ablation_table.FLAGS, *flags)
  assert status == 0, err
  for kind in ("md", "csv"):
    same_numbers(*((folder / f"{name}.{kind}").read_text() for folder in (tmp_path, MPE)))


UNCOORDINATED = ("--quality=medium", "--algorithms=spacql,icql_qs,cfcql,macql,matd3_bc,iql,bc")


@pytest.mark.parametrize(
  ("module", "flags", "name"),
  [
    (coupling_study, ("--kappas=0,0.5,1",), "coupling"),
    (agents_study, ("--agents=4,6",), "agents"),
    (agents_study, ("--agents=3,4,6", *UNCOORDINATED), "agents_uncoordinated"),
    (agents_study, ("--agents=6", "--gradient_steps=30015", *UNCOORDINATED), "agents_uncoordinated_longer"),
  ],
)
def test_the_studies_over_something_that_varies(tmp_path, monkeypatch, module, flags, name):
  monkeypatch.setattr(study_view, "draw", lambda path, label, panels: None)
  (tmp_path / "cells").symlink_to(MPE.parent / name / "cells")
  given = ("--show", "--ensemble_size=2", *flags, f"--out={tmp_path}")
  status, _, err = binaries.call(module.main, module.FLAGS, *given)
  assert status == 0, err
  for kind in ("md", "csv"):
    same_numbers(*((folder / f"study.{kind}").read_text() for folder in (tmp_path, MPE.parent / name)))
