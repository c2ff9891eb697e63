"""Words of --help, and paths from a command line. No accelerator library is imported, so light binaries can use it."""

import os
import re
import textwrap
from collections.abc import Iterator, Sequence

from absl import flags

HELP = ("--help", "-help", "-h", "--helpfull", "--helpshort")
WIDTH, INDENT = 100, 20


def help_text(doc: str | None, flag_values: flags.FlagValues) -> str:
  """A binary's docstring and its own flags in the order of their definition, each with its default."""
  return "\n".join([(doc or "").strip(), "", "Flags:", *_flag_lines(flag_values)])


def at_home(arguments: Sequence[str]) -> list[str]:
  """~ of --flag=~/folder and --flag=a,~/b, which a shell leaves as it is, is the user's home."""
  return [re.sub(r"(?<=[=,])~(?=/|,|$)", lambda _: os.path.expanduser("~"), each) for each in arguments]


def shown(default: object) -> object:
  """A default as one would type it."""
  return ",".join(default) if isinstance(default, list) else default


def _flag_lines(flag_values: flags.FlagValues) -> Iterator[str]:
  for module, its_flags in flag_values.flags_by_module_dict().items():
    if module.startswith("absl."):
      continue  # flagfile and the like
    for flag in its_flags:
      name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
      words = " ".join(flag.help.split()).removesuffix("; repeat this option to specify a list of values")
      silent = flag.boolean or flag.default is None or flag.default in ([], "")
      default = "" if silent else f" (default {shown(flag.default)})"
      lines = textwrap.wrap(words + default, WIDTH - INDENT, break_on_hyphens=False)
      first, *rest = lines if len(name) < INDENT - 3 else ["", *lines]
      yield f"  {name:<{INDENT - 2}}{first}".rstrip()
      yield from (" " * INDENT + line for line in rest)
