"""Roles of spread's agents: the two extremes of our own data."""

import json

import pytest

from experiments import collect, roles_report
from tests.experiments import binaries


def call(*arguments):
  return binaries.call(roles_report.main, roles_report.FLAGS, *arguments)


def test_a_script_with_roles_and_uniform_play_are_the_two_ends(tmp_path):
  for flags in (["--quality=random"], ["--quality=expert", "--fixed_roles"]):
    status, _, err = binaries.call(collect.main, collect.FLAGS, *flags, "--rows=10000", f"--data_dir={tmp_path}")
    assert status == 0, err
  folders = [f"--folder={tmp_path / f'spread-{name}-v1.rows10000'}" for name in ("random", "expert_roles")]
  status, out, err = call(*folders, f"--out={tmp_path / 'out'}")
  assert status == 0, err
  uniform, roles = json.loads((tmp_path / "out" / "roles_report.json").read_text())
  assert uniform["episodes"] == 400 and sum(uniform["shares"]) == pytest.approx(1.0, abs=1e-3)
  assert uniform["shares"][0] < 0.3 and uniform["entropy"] > 0.95
  assert roles["shares"][0] > 0.9 and roles["entropy"] < 0.3 and roles["covered"] > 0.9
  assert roles["as_at_start"] < 0.3 < uniform["as_at_start"]  # roles do not care where the landmarks are
  assert "spread-random-v1.rows10000" in out and (tmp_path / "out" / "roles_report.png").stat().st_size > 1000


def test_bad_folders_are_one_sentence(tmp_path):
  assert "--folder is needed" in binaries.sentence(*call()[::2])
  assert "nowhere" in binaries.sentence(*call("--folder=nowhere")[::2])
  other = binaries.make_data("tag", "random", tmp_path)
  assert "is of tag; the tasks here are spread" in binaries.sentence(*call(f"--folder={other}")[::2])
