#include "control/cli/line/completion.h"

namespace reeve {

namespace {

// Bash also splits words at "=" and ":", and passes them as typed, with their quotes. The part before the
// last such character stays on the line, so a reply must not repeat it.
constexpr const char* kBash = R"(# Completion of reeve for bash: reeve completion bash
_reeve() {
  local line=${COMP_LINE:0:COMP_POINT} words=() raw last= i
  for ((i = 0; i <= COMP_CWORD; ++i)); do
    raw=${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || raw=${line#"${line%%[![:space:]]*}"}
    if [[ $i == 0 || $line == [[:space:]]* ]]; then
      line=${line#"${line%%[![:space:]]*}"}
      words+=("$raw")
    else
      words[-1]+=$raw
    fi
    line=${line#"$raw"}
    last=$raw
  done
  # Remove quotes and backslashes; expand nothing.
  local unquoted=() word out char quote
  for word in "${words[@]:1}"; do
    out= quote=
    for ((i = 0; i < ${#word}; ++i)); do
      char=${word:i:1}
      if [[ $char == "$quote" && -n $quote ]]; then quote=
      elif [[ -z $quote && $char == [\'\"] ]]; then quote=$char
      elif [[ $char == \\ && $quote != \' ]]; then out+=${word:i+1:1}; ((++i))
      else out+=$char
      fi
    done
    unquoted+=("$out")
  done
  local kept=${words[-1]%"$last"} value about listed=()
  [[ $last != [=:]* ]] || kept=${words[-1]}
  COMPREPLY=()
  while IFS= read -r line; do
    value=${line%%$'\t'*} about=${line#*$'\t'}
    if [[ -z $value ]]; then
      compopt -o filenames
      word=${out#"$kept"}
      case $about in
        FILE) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word") ;;
        DIR) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word") ;;
        COMMAND) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "$word") ;;
      esac
      continue
    fi
    value=${value#"$kept"}
    case $quote in
      "'") value=${value//\'/\'\\\'\'} ;;
      '"') value=${value//\\/\\\\} value=${value//\"/\\\"} value=${value//\$/\\\$} value=${value//\`/\\\`} ;;
      *) printf -v value %q "$value" ;;
    esac
    COMPREPLY+=("$value")
    listed+=("$value${about:+  ($about)}")
  done < <("${1/#\~/$HOME}" complete -- "${unquoted[@]}" 2>/dev/null)
  # A list that is only shown, not inserted, includes the descriptions.
  if [[ $COMP_TYPE == 63 && ${#listed[@]} -gt 1 ]]; then COMPREPLY=("${listed[@]}"); fi
}
complete -o nosort -F _reeve reeve
)";

constexpr const char* kZsh = R"(#compdef reeve
# Completion of reeve for zsh: reeve completion zsh
_reeve() {
  local -a candidates words_before
  local line value
  words_before=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
  for line in "${(@f)$(${~words[1]} complete -- "${(@)words_before}" 2>/dev/null)}"; do
    value=${line%%$'\t'*}
    if [[ -n $value ]]; then
      candidates+=("${value//:/\\:}:${line#*$'\t'}")
      continue
    fi
    [[ $PREFIX != --*=* ]] || compset -P 1 '*='
    case ${line#$'\t'} in
      FILE) _files ;;
      DIR) _files -/ ;;
      COMMAND) _command_names -e ;;
    esac
  done
  (( ! $#candidates )) || _describe -V reeve candidates
}
if [[ $funcstack[1] == _reeve ]]; then _reeve "$@"; else compdef _reeve reeve; fi
)";

constexpr const char* kFish = R"(# Completion of reeve for fish: reeve completion fish
function __reeve_complete
    set -l words (commandline -opc)
    set -l raw (commandline -ct)
    # An open quote does not belong to the word.
    set -l word (string unescape -- $raw; or string replace -r '^[\'"]' '' -- $raw)
    for line in (command $words[1] complete -- $words[2..] "$word" 2>/dev/null)
        set -l parts (string split -m 1 \t -- $line)
        if test -n "$parts[1]"
            echo $line
            continue
        end
        set -l before (string match -r '^--[^=]*=' -- $raw; or echo)
        set -l path (string replace -- "$before" '' $raw)
        switch $parts[2]
            case FILE
                printf "$before%s\n" (__fish_complete_path $path)
            case DIR
                printf "$before%s\n" (__fish_complete_directories $path '')
            case COMMAND
                complete -C "$path"
        end
    end
end
complete -c reeve -f -k -a '(__reeve_complete)'
)";

}  // namespace

const char* CompletionScript(const std::string& shell) {
  return shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish;
}

}  // namespace reeve
