"""Rule 16: imports point one way."""

import ast
import pathlib
import re

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "marl_offline"
MAY_IMPORT = {
  "types": set(),
  "control_groups": set(),
  "execution": {"control_groups"},
  "joint_actions": {"types"},
  "losses": {"types"},
  "networks": {"types", "execution"},
  "environments": {"types", "execution"},
  "datasets": {"types"},
  "parts": {"types", "execution", "joint_actions", "losses", "networks"},
  "algorithms": {"types", "joint_actions", "losses", "networks", "parts"},  # never a sibling
  "training": {"types", "execution", "control_groups"},
  "evaluation": {"types", "environments"},  # handed a Learner; name no algorithm
  "collection": {"types", "environments", "datasets", "evaluation"},
  "theory": {"types", "joint_actions", "losses"},  # checks the shipped functions, not copies
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts != ("__init__.py",))


def imported(source):
  """Rooms of marl_offline that source imports: from marl_offline.x import, from marl_offline import x, y, import ..."""
  deep = re.findall(r"^\s*(?:from|import) marl_offline\.(\w+)", source, re.M)
  listed = re.findall(r"^\s*from marl_offline import (\([^)]*\)|[^\n]*)", source, re.M)
  names = [name.split(" as ")[0].strip() for line in listed for name in line.strip("()").split(",")]
  return set(deep) | {name for name in names if name}


def wrong_imports(source, room):
  """Rooms that source, a module of room, imports and may not. An algorithm may not import an algorithm."""
  return sorted(imported(source) - MAY_IMPORT[room] - ({room} - {"algorithms"}))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
  source = path.read_text()
  assert not wrong_imports(source, path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
  assert not re.findall(r"^\s*(?:from|import) (?:experiments|tests)\b", source, re.M)


def test_wrong_imports_are_seen():
  assert wrong_imports("from marl_offline.parts import joint_critic", "losses") == ["parts"]
  assert wrong_imports("from marl_offline import joint_actions, losses", "networks") == ["joint_actions", "losses"]
  assert wrong_imports("from marl_offline import (\n  losses,\n  parts,\n)", "theory") == ["parts"]
  assert wrong_imports("import marl_offline.networks.critics", "losses") == ["networks"]
  assert wrong_imports("from marl_offline.algorithms import bc", "algorithms") == ["algorithms"]
  assert not wrong_imports("from marl_offline.losses.targets import td_target", "losses")


@pytest.mark.parametrize("folder", ["marl_offline", "experiments", "tests"])
def test_files_and_functions_are_short(folder):
  for path in sorted((PACKAGE.parent / folder).rglob("*.py")):
    source = path.read_text()
    assert len(source.splitlines()) <= (200 if path.parent.name == "algorithms" else 300), path
    for node in ast.walk(ast.parse(source)):
      if isinstance(node, ast.FunctionDef):
        assert node.end_lineno - node.lineno < 60, (path, node.name)
