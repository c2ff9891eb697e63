"""The tables in results/mpe are what their commands make of the cells that lie beside them."""

import pathlib
import re
import shutil

import pytest

from experiments import ablation_table, aggregate, claims_report, main_table, uncertainty_figure, weights_figure
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
  made, kept = ((folder / f"{name}.md").read_text() for folder in (tmp_path, MPE))
  assert NUMBER.sub("#", made) == NUMBER.sub("#", kept)
  for one, other in zip(NUMBER.findall(made), NUMBER.findall(kept), strict=True):
    last_digit = 10.0 ** -len(other.partition(".")[2])  # may go either way where another NumPy sums otherwise
    assert abs(float(one) - float(other)) < 1.5 * last_digit, (one, other)
