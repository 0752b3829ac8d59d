"""print the completion script of a shell

examples:
  eval "$(nglab completion bash)"
"""

from nglab.commands import commands
from nglab.errors import InputError
from nglab.settings.dialect import read

SCRIPT = """\
# eval "$(nglab completion bash)"
_nglab() {
  local word=${COMP_LINE:0:COMP_POINT} choices
  word=${word##* }
  if ((COMP_CWORD == 1)); then
    choices="{commands}"
  elif [[ ${COMP_WORDS[1]} == run ]]; then
    choices=$(COMP_LINE="nglab${COMP_LINE#*run}" nglab run -sc query=bash 2>/dev/null)
  else
    return
  fi
  COMPREPLY=($(compgen -o nospace -W "$choices" -- "$word"))
  COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}") # bash splits words at =
}
complete -o nospace -o default -F _nglab nglab
"""


def command(arguments: list[str]) -> None:
    given = read("completion", __doc__ or "", arguments, {}, "bash", least=1)
    if given.positions != ["bash"]:
        raise InputError(f"{given.positions[0]}: no completion for this shell; there is bash")
    print(SCRIPT.replace("{commands}", " ".join(commands())), end="")
