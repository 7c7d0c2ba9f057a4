"""Scripts that complete commands, in the languages of the shells.

Sources: bash(1) Programmable Completion, zshcompsys(1), complete of fish.
"""

from collections.abc import Iterable, Iterator, Sequence

from pytest_seccomp.cli.completion import Command, Option, Value

_PROGRAM = "pytest-seccomp"
_HELP = ("-h", "--help")


def bash(commands: Sequence[Command]) -> Iterator[str]:
    """Files are bash's own default, where nothing else is known and a file can stand."""
    yield "_pytest_seccomp() {"
    yield "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= index words="
    yield "    local -i operands=0"
    yield "    COMPREPLY=()"
    yield "    for ((index = 1; index < COMP_CWORD; index++)); do"
    runs = " | ".join(command.name for command in commands if command.runs)
    yield "        case $command:${COMP_WORDS[index]} in"
    yield f"            {runs}:--)"
    yield '                ((index + 1 == COMP_CWORD)) && COMPREPLY=($(compgen -c -- "$current"))'
    yield "                return ;;"
    yield "            :-*) ;;"
    yield "            :*) command=${COMP_WORDS[index]} ;;"
    yield "            *:-*) ;;"
    yield "            *) operands+=1 ;;"
    yield "        esac"
    yield "    done"
    yield "    if [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi"
    yield "    if [[ $current == = ]]; then current=; fi"
    # The @ of a group is a word of its own (COMP_WORDBREAKS), though what is completed begins with it
    yield "    if [[ $previous == @ ]]; then current=@$current previous=${COMP_WORDS[COMP_CWORD-2]}; fi"
    yield "    case $command:$previous in"
    for command in commands:
        for option in command.options:
            if option.value is not None:
                yield f"        {' | '.join(f'{command.name}:{name}' for name in option.names)})"
                yield f"            {_bash_value(option.value)}"
                yield "            return ;;"
    yield "    esac"
    yield "    case $command in"
    yield f"        '') words='{' '.join([*(command.name for command in commands), *_HELP, '--version'])}' ;;"
    for command in commands:
        names = " ".join(name for option in command.options for name in option.names)
        yield f"        {command.name})"
        yield f"            words='{names}'"
        if not (command.operand is not None and command.operand.is_file):
            choices = " ".join(command.operand.choices) if command.operand is not None else ""
            yield f"            [[ $current == -* ]] || {{ compopt +o default 2>/dev/null; words='{choices}'; }}"
        else:
            yield "            [[ $current == -* ]] || words="
        if command.first is not None:
            choices = " ".join(command.first.choices)
            yield "            if [[ $current != -* ]] && ((operands == 0)); then"
            yield f"                compopt +o default 2>/dev/null; words='{choices}'"
            yield "            fi"
        yield "            ;;"
    yield "    esac"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$current"))'
    yield "}"
    yield f"complete -o default -F _pytest_seccomp {_PROGRAM}"


def _bash_value(value: Value) -> str:
    if value.is_file:
        return ":"
    return f"compopt +o default 2>/dev/null; COMPREPLY=($(compgen -W '{' '.join(value.choices)}' -- \"$current\"))"


def zsh(commands: Sequence[Command]) -> Iterator[str]:
    """As a function that may be loaded or evaluated."""
    yield f"#compdef {_PROGRAM}"
    yield f"_{_PROGRAM}() {{"
    yield "    local context state line curcontext=$curcontext"
    yield "    typeset -A opt_args"
    runs = "|".join(command.name for command in commands if command.runs)
    yield "    local -i end=${words[(i)--]}"
    yield f"    if [[ $words[2] == ({runs}) ]] && (( end < CURRENT )); then"
    yield "        shift $end words; (( CURRENT -= end )); _normal; return"
    yield "    fi"
    yield "    local -a commands=("
    for command in commands:
        yield f"        {_quoted(f'{command.name}:{command.text}')}"
    yield "    )"
    yield "    _arguments -C '(- *)'{-h,--help}'[show what there is]' '(- *)--version[show the version]' \\"
    yield "        '1:command:->command' '*::argument:->argument'"
    yield "    case $state in"
    yield "        command) _describe command commands ;;"
    yield "        argument)"
    yield "            case $words[1] in"
    for command in commands:
        yield f"                {command.name})"
        specifications = [_zsh_option(option) for option in command.options]
        if command.first is not None:
            specifications.append(_quoted(f"1:{command.first.title}:{_zsh_action(command.first)}"))
        if command.operand is not None:
            specifications.append(_quoted(f"*:{command.operand.title}:{_zsh_action(command.operand)}"))
        yield f"                    _arguments {' '.join(specifications)} ;;"
    yield "            esac ;;"
    yield "    esac"
    yield "}"
    yield f'if [[ $funcstack[1] == _{_PROGRAM} ]]; then _{_PROGRAM} "$@"; else compdef _{_PROGRAM} {_PROGRAM}; fi'


def _zsh_option(option: Option) -> str:
    text = option.text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    value = "" if option.value is None else f":{option.value.title}:{_zsh_action(option.value)}"
    rest = _quoted(f"[{text}]{value}")
    if len(option.names) == 1:
        return f"{option.names[0]}{rest}"
    return f"'({' '.join(option.names)})'{{{','.join(option.names)}}}{rest}"


def _zsh_action(value: Value) -> str:
    if value.is_file:
        return "_files"
    return f"({' '.join(value.choices)})".replace(":", "\\:") if value.choices else " "


def fish(commands: Sequence[Command]) -> Iterator[str]:
    """As a file of completions."""
    names = " ".join(command.name for command in commands)
    complete = f"complete -c {_PROGRAM}"
    yield f"{complete} -f"
    none = _quoted(f"not __fish_seen_subcommand_from {names}")
    yield f"{complete} -n {none} -s h -l help -d 'show what there is'"
    yield f"{complete} -n {none} -l version -d 'show the version'"
    for command in commands:
        yield f"{complete} -n {none} -a {command.name} -d {_quoted(command.text)}"
    for command in commands:
        within = f"{complete} -n {_quoted(f'__fish_seen_subcommand_from {command.name}')}"
        for option in command.options:
            yield f"{within} {_fish_names(option.names)}{_fish_value(option.value)} -d {_quoted(option.text)}"
        if command.runs:
            after = _quoted(f"__fish_seen_subcommand_from {command.name}; and contains -- -- (commandline -opc)")
            yield f"{complete} -n {after} -F -a '(__fish_complete_command)'"
        elif command.operand is not None and command.operand.is_file:
            if command.first is not None:
                first = _quoted(
                    f"__fish_seen_subcommand_from {command.name}; and test (count (commandline -opc)) -eq 2"
                )
                yield f"{complete} -n {first} -a {_quoted(' '.join(command.first.choices))}"
            yield f"{within} -F"
        elif command.operand is not None and command.operand.choices:
            yield f"{within} -a {_quoted(' '.join(command.operand.choices))}"


def _fish_names(names: Iterable[str]) -> str:
    return " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in names)


def _fish_value(value: Value | None) -> str:
    if value is None:
        return ""
    if value.is_file:
        return " -r -F"
    return f" -x -a {_quoted(' '.join(value.choices))}" if value.choices else " -x"


def _quoted(text: str) -> str:
    """Within single quotes of a POSIX shell; fish would want another backslash, of which we have none."""
    return "'" + text.replace("'", "'\\''") + "'"
