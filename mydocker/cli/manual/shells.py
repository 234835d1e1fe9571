"""The scripts that make bash, zsh and fish complete command lines of mydocker.

They run `mydocker completion --words` to learn what may follow: lines of a word, a tab and its meaning, and a last line
that has a colon and the kind of files that may follow, if any. So they are never older than the program.
"""

from __future__ import annotations

BASH = r"""# bash completion for mydocker: source <(mydocker completion bash)
_mydocker() {
    local rest=$COMP_LINE bare word words=() i
    # bash ends words at : and = too, as in alpine:3.20 and --pull=always: put together what no blank separates
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        bare=${rest#"${rest%%[![:space:]]*}"}
        if ((i == 0)) || [[ $bare != "$rest" ]]; then words+=("$word"); else words[${#words[@]} - 1]+=$word; fi
        rest=${bare#"$word"}
    done
    local current=${words[${#words[@]} - 1]} breaks=${COMP_WORDBREAKS//[^:=]/} kept=
    [[ -n $breaks ]] && kept=${current%"${current##*["$breaks"]}"}
    local line kind=
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :* ]]; then kind=${line#:}; else line=${line%%$'\t'*}; COMPREPLY+=("${line#"$kept"}"); fi
    done < <("${words[0]}" completion --words -- "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    [[ -n $kind ]] || return 0
    compopt -o filenames
    current=${current#"$kept"}
    case $kind in
        directory) while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -d -- "$current") ;;
        spec)
            while IFS= read -r line; do
                if [[ -d $line || $line == *.@(yaml|yml|json|container) ]]; then COMPREPLY+=("$line"); fi
            done < <(compgen -f -- "$current")
            ;;
        *) while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current") ;;
    esac
}
complete -F _mydocker mydocker
"""

ZSH = r"""#compdef mydocker
# zsh completion for mydocker: source <(mydocker completion zsh), or as a file _mydocker in $fpath
_mydocker() {
    local line kind=
    local -a described bare
    while IFS= read -r line; do
        case $line in
            :*) kind=${line#:} ;;
            *$'\t') bare+=("${line%$'\t'}") ;;
            *) described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done < <(${words[1]} completion --words -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( ${#described} )) && _describe -V mydocker described
    (( ${#bare} )) && compadd -Q -S '' -- ${(M)bare:#*=}
    (( ${#bare} )) && compadd -- ${bare:#*=}
    [[ -n $kind && ${words[CURRENT]} == (--*|[a-z]#)=* ]] && compset -P '*='
    case $kind in
        directory) _files -/ ;;
        spec) _files -g '*.(yaml|yml|json|container)(-.)' ;;
        file) _files ;;
    esac
}
if [[ ${funcstack[1]} == _mydocker ]]; then _mydocker "$@"; else compdef _mydocker mydocker; fi
"""

FISH = r"""# fish completion for mydocker: mydocker completion fish | source
function __mydocker_complete
    set -l words (commandline -opc) (commandline -ct)
    # of --env-file=FILE and the like, what is before FILE
    set -l before (string match -r '^(?:--[^=]*|[a-z]*)=' -- $words[-1])
    set -l path (string replace -- "$before" '' $words[-1])
    for line in (command $words[1] completion --words -- $words[2..-1] 2>/dev/null)
        switch $line
            case :directory
                printf '%s\n' "$before"(__fish_complete_directories $path)
            case ':*'
                printf '%s\n' "$before"(__fish_complete_path $path)
            case '*'
                printf '%s\n' $line
        end
    end
end
complete -c mydocker -f -a '(__mydocker_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
