"""print the completion script of a shell: bash, zsh or fish

examples:
  eval "$(nglab completion bash)"                                     # in ~/.bashrc
  eval "$(nglab completion zsh)"                                      # in ~/.zshrc
  nglab completion fish > ~/.config/fish/completions/nglab.fish
"""

import os
import re
from importlib import import_module

from nglab.commands import commands
from nglab.errors import InputError
from nglab.settings.dialect import read

BASH = """\
# eval "$(nglab completion bash)"
_nglab() {
  local line=${COMP_LINE:0:COMP_POINT} word
  word=${line##* }
  COMPREPLY=($(compgen -o nospace -W "$(COMP_LINE=$line nglab completion query 2>/dev/null)" -- "$word"))
  COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}") # bash splits words at =
}
complete -o nospace -o default -F _nglab nglab
"""
ZSH = """\
# eval "$(nglab completion zsh)"
_nglab() {
  local -a choices
  choices=(${(f)"$(COMP_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" nglab completion query 2>/dev/null)"})
  compadd -Q -S '' -a choices || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _nglab nglab
"""
FISH = """\
# nglab completion fish > ~/.config/fish/completions/nglab.fish
function __nglab_query
    COMP_LINE=(commandline -cp) nglab completion query 2>/dev/null
end
complete -c nglab -a '(__nglab_query)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
"""Each asks `nglab completion query` what may stand at the end of $COMP_LINE, and the shell shows what fits."""


def command(arguments: list[str]) -> None:
    given = read("completion", __doc__ or "", arguments, {}, "bash|zsh|fish", least=1)
    (shell,) = given.positions
    if shell == "query":
        show_candidates(os.environ.get("COMP_LINE", ""))
    elif shell in SCRIPTS:
        print(SCRIPTS[shell], end="")
    else:
        there = ", ".join(SCRIPTS)
        raise InputError(f"{shell}: no completion for this shell; there are {there}")


def show_candidates(line: str) -> None:
    """Print what may stand at the end of `line`, one a line: a command; of `run` what Hydra knows; another's keys."""
    name, begun, rest = re.split(r"nglab\s+", line, maxsplit=1)[-1].partition(" ")
    if not begun:
        print("\n".join(commands()))
    elif name == "run":
        of_run(rest)
    elif name == "completion":
        print("\n".join(SCRIPTS))
    elif name in commands():
        print("\n".join(f"{key}=" for key in getattr(import_module(commands()[name]), "KEYS", {})))


def of_run(words: str) -> None:
    """Groups, options and keys, those of the folder of `--config-dir` too."""
    from hydra._internal.utils import get_args  # hydra: tenths of a second

    from nglab.sweeps.application import run_command

    os.environ["COMP_LINE"] = f"nglab {words}"
    folder = get_args(words.split()).config_dir
    run_command([*(["--config-dir", folder] if folder else []), "-sc", "query=fish"])
