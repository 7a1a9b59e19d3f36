# fish completion for newgate, jail, jls, jexec and pfctl; fish loads it for each of the five by name.

function __newgate_running
    jls name 2>/dev/null
end

function __newgate_configured
    jail -e '|' 2>/dev/null | string replace -rf '^name=([^|]*).*' '$1'
end

function __newgate_templates
    newgate template list 2>/dev/null | string replace -rf '^(\S+)\s.*' '$1' | tail -n +2
end

function __newgate_verbs
    newgate help 2>/dev/null | string replace -rf '^  ([a-z]+)  +(\S.*)' '$1\t$2'
end

# Whether one of the letters was given among the options.
function __newgate_option
    for word in (commandline -opc)[2..-1]
        string match -qr -- "^-[a-zA-Z]*[$argv[1]]" $word; and return 0
    end
    return 1
end

# Whether the command line is for this verb: `newgate jls …` and `jls …` alike.
function __newgate_is
    set -l words (commandline -opc | string replace -r '.*/' '')
    if test "$words[1]" = newgate
        set -e words[1]
        test "$words[1]" = -R; and set -e words[1..2]
    end
    test "$words[1]" = "$argv[1]"; or return 1
    # A second argument names the word that follows the verb.
    test (count $argv) -eq 1; or test "$words[2]" = "$argv[2]"
end

function __newgate_bare
    set -l words (commandline -opc)
    test "$words[2]" = -R; and set -e words[2..3]
    test (count $words) -eq 1
end

complete -c newgate -n __newgate_bare -f -a '(__newgate_verbs)'
complete -c newgate -n __newgate_bare -s R -x -a '(__fish_complete_directories)' -d 'Folder below which all files lie'
complete -c newgate -n __newgate_bare -l version -d 'Print the version'
complete -c newgate -n '__newgate_is help' -f -a '(__newgate_verbs)'
complete -c newgate -n '__newgate_is template; and not __newgate_is template create; and not __newgate_is template update; and not __newgate_is template list; and not __newgate_is template destroy' -f -a 'create update list destroy'
complete -c newgate -n '__newgate_is template create' -l from -r -a 'busybox debian:bookworm debian:trixie' -d Source
complete -c newgate -n '__newgate_is template create' -l include -x -d Packages
complete -c newgate -n '__newgate_is template create' -l run -r -F -d Script
complete -c newgate -n '__newgate_is template create' -f -l fresh -d 'Make it anew'
complete -c newgate -n '__newgate_is template update' -f -a '(__newgate_templates)'
complete -c newgate -n '__newgate_is template update' -l run -r -F -d Script
complete -c newgate -n '__newgate_is template update' -f -l fresh -d 'Make it anew'
complete -c newgate -n '__newgate_is template list' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is template destroy' -f -a '(__newgate_templates)'
complete -c newgate -n '__newgate_is clone' -f -l full -d 'Share nothing'
complete -c newgate -n '__newgate_is clone' -f -a '(__newgate_templates; __newgate_configured)'
complete -c newgate -n '__newgate_is init' -f -s n -d 'Only tell'
complete -c newgate -n '__newgate_is init' -l store -x -a 'zfs btrfs overlay dir' -d 'What keeps trees'
complete -c newgate -n '__newgate_is check' -s v -d 'Parameters in use too'
complete -c newgate -n '__newgate_is check' -l json -d 'As JSON'
complete -c newgate -n '__newgate_is check' -F
complete -c newgate -n '__newgate_is up' -f -a '(__newgate_configured; __newgate_running)'
complete -c newgate -n '__newgate_is up' -s n -d 'Only print'
complete -c newgate -n '__newgate_is up' -l confirm -x -d 'Seconds to confirm it'
complete -c newgate -n '__newgate_is explain' -f -a '(__newgate_configured) internet host'
complete -c newgate -n '__newgate_is explain' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is confirm' -f -l back -d 'Go back now'
complete -c newgate -n '__newgate_is up' -l json -d 'As JSON'
complete -c newgate -n '__newgate_is up; or __newgate_is down' -s v -d 'Tell every step'
complete -c newgate -n '__newgate_is down' -f -a '(__newgate_running)'
complete -c newgate -n '__newgate_is status' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is status' -f -a '(__newgate_configured; __newgate_running)'
complete -c newgate -n '__newgate_is metrics' -f
complete -c newgate -n '__newgate_is logs' -f -s f -d 'Go on with what is added'
complete -c newgate -n '__newgate_is logs' -s n -x -a all -d 'Lines of the end'
complete -c newgate -n '__newgate_is logs' -f -a '(__newgate_configured; __newgate_running)'
complete -c newgate -n '__newgate_is console' -s e -x -a none -d 'Escape character'
complete -c newgate -n '__newgate_is console' -s U -x -d 'User inside the jail'
complete -c newgate -n '__newgate_is console' -f -a '(__newgate_running)'
complete -c newgate -n '__newgate_is top' -f -s b -d 'Tables one after the other'
complete -c newgate -n '__newgate_is top' -s d -x -d 'Seconds between two'
complete -c newgate -n '__newgate_is top' -s n -x -d 'So many, then end'
complete -c newgate -n '__newgate_is top' -s s -x -a 'cpu memory network processes' -d 'Sort by'
complete -c newgate -n '__newgate_is top' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is doctor' -f -s v -d 'What is fine too'
complete -c newgate -n '__newgate_is doctor' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is doctor' -f -a 'configuration boot kernel namespaces cgroups clock idmap disk tools path forwarding reverse-path filter flush ports resolver ranges mtu neighbours leftovers mail mail-address mail-dns mail-out mail-listed mail-certificate mail-postmaster'
complete -c newgate -n '__newgate_is create' -f -a '(__newgate_configured)'
complete -c newgate -n '__newgate_is export' -l compress -x -a 'none zstd' -d 'How to compress it'
complete -c newgate -n '__newgate_is export' -f -l live -d 'While it runs'
complete -c newgate -n '__newgate_is export' -f -a '(__newgate_configured)'
complete -c newgate -n '__newgate_is export' -l since -x -d 'Only what changed since a snapshot'
complete -c newgate -n '__newgate_is backup; or __newgate_is restore' -x -a '(__fish_complete_directories)'
complete -c newgate -n '__newgate_is backup' -l live -d 'While they run'
complete -c newgate -n '__newgate_is backup' -l whole -d 'Not only what changed'
complete -c newgate -n '__newgate_is import' -F
complete -c newgate -n '__newgate_is import' -a '(__newgate_configured)'
complete -c newgate -n '__newgate_is snapshot' -f -a 'list destroy auto (__newgate_configured)'
complete -c newgate -n '__newgate_is snapshot' -f -s n -d 'Only tell'
complete -c newgate -n '__newgate_is snapshot' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is rebase' -f -s n -d 'Only list'
complete -c newgate -n '__newgate_is rebase' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is rebase' -x -l to -a '(__newgate_templates)' -d 'Version'
complete -c newgate -n '__newgate_is rebase' -x -l test -d 'Command'
complete -c newgate -n '__newgate_is rebase' -f -l force -d 'Keep what the jail has'
complete -c newgate -n '__newgate_is rebase' -f -l overwrite -d 'Take what the template has'
complete -c newgate -n '__newgate_is rebase' -f -a '(__newgate_configured)'
complete -c newgate -n '__newgate_is rollback' -f -s r -d 'Destroy later ones'
complete -c newgate -n '__newgate_is rollback' -f -s y -d 'Do not ask'
complete -c newgate -n '__newgate_is rollback' -f -a '(__newgate_configured)'
complete -c newgate -n '__newgate_is diff' -f -s q -d 'Do not read them'
complete -c newgate -n '__newgate_is diff' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is diff' -f -a '(__newgate_configured)'
complete -c newgate -n '__newgate_is df' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is df' -f -a '(__newgate_configured)'
complete -c newgate -n '__newgate_is host' -f -a 'init diff apply renew domain user alias site dns ban watch add remove list passwd quota status queue flush hold release backup restore upgrade'
complete -c newgate -n '__newgate_is host; and __fish_seen_subcommand_from backup restore upgrade' -F
complete -c newgate -n '__newgate_is host' -f -l force -d 'Over what is there, or before it is time'
complete -c newgate -n '__newgate_is host' -f -l mail -d 'With the mail'
complete -c newgate -n '__newgate_is host' -f -s y -d 'Do not ask'
complete -c newgate -n '__newgate_is host' -l quota -x -d 'Of the mailbox'
complete -c newgate -n '__newgate_is host' -l proxy -x -d 'To another jail: JAIL:PORT'
complete -c newgate -n '__newgate_is host' -f -l check -d 'Only compare, or try'
complete -c newgate -n '__newgate_is host' -l hostname -x -d 'Of the mail host'
complete -c newgate -n '__newgate_is host' -l address -x -d 'Public address'
complete -c newgate -n '__newgate_is host' -l spam -x -a 'opendkim rspamd' -d 'Filter'
complete -c newgate -n '__newgate_is host' -l acme -x -d 'Directory of the authority'
complete -c newgate -n '__newgate_is host' -l ca -r -F -d 'Who signed its own certificate'
complete -c newgate -n '__newgate_is host' -l contact -x -d 'Whom the authority writes to'
complete -c newgate -n '__newgate_is host' -l for -x -d 'How long a ban lasts'
complete -c newgate -n '__newgate_is host' -f -l json -d 'As JSON'
complete -c newgate -n '__newgate_is rename' -f -a '(__newgate_configured)'
complete -c newgate -n '__newgate_is destroy' -f -s y -d 'Do not ask'
complete -c newgate -n '__newgate_is destroy' -f -a '(__newgate_configured)'

for command in newgate jail
    set -l is '__newgate_is jail'
    complete -c $command -n $is -f
    complete -c $command -n $is -s c -d Create
    complete -c $command -n $is -s m -d Modify
    complete -c $command -n $is -s r -d Remove
    complete -c $command -n $is -s R -d 'Remove without the configuration'
    complete -c $command -n $is -s e -x -d 'List what is configured'
    complete -c $command -n $is -s f -r -F -d 'Configuration file'
    complete -c $command -n $is -s d -d 'Reuse a dying jail'
    complete -c $command -n $is -s h -d 'Resolve host.hostname'
    complete -c $command -n $is -s i -d 'Print the id only'
    complete -c $command -n $is -s J -r -F -d 'Write the id and parameters'
    complete -c $command -n $is -s l -d 'Clean environment'
    complete -c $command -n $is -s n -x -d Name
    complete -c $command -n $is -s p -x -d 'Commands at once'
    complete -c $command -n $is -s q -d Quiet
    complete -c $command -n $is -s s -x -d Securelevel
    complete -c $command -n $is -s u -x -a '(__fish_complete_users)' -d User
    complete -c $command -n $is -s U -x -d 'User inside the jail'
    complete -c $command -n $is -s v -d Verbose
    complete -c $command -n "$is; and __newgate_option c" -a '(__newgate_configured)'
    complete -c $command -n "$is; and __newgate_option mrR" -a '(__newgate_running)'
end

for command in newgate jls
    set -l is '__newgate_is jls'
    complete -c $command -n $is -f -a 'all jid name path host.hostname ip4.addr ip6.addr persist'
    complete -c $command -n $is -s d -d 'Dying jails too'
    complete -c $command -n $is -s h -d 'Header line'
    complete -c $command -n $is -s j -x -a '(__newgate_running)' -d 'One jail'
    complete -c $command -n $is -s N -d 'Names instead of ids'
    complete -c $command -n $is -s n -d 'name=value'
    complete -c $command -n $is -s q -d Quoted
    complete -c $command -n $is -s s -d 'As for jail -c'
    complete -c $command -n $is -s v -d Verbose
    complete -c $command -n $is -s c -d 'Only tell whether it is there'
    complete -c $command -n $is -l json -d 'As JSON'
    complete -c $command -n $is -l libxo -x -a json -d 'Output form'
end

for command in newgate pfctl
    set -l is '__newgate_is pfctl'
    complete -c $command -n $is -f
    complete -c $command -n $is -s a -x -d Anchor
    complete -c $command -n $is -s D -x -d Macro
    complete -c $command -n $is -s d -d 'Switch off'
    complete -c $command -n $is -s e -d 'Switch on'
    complete -c $command -n $is -s F -x -a 'all nat rules states Tables' -d Flush
    complete -c $command -n $is -s f -r -F -d Load
    complete -c $command -n $is -s k -x -d 'End states'
    complete -c $command -n $is -s n -d 'Only read'
    complete -c $command -n $is -s o -x -d Optimise
    complete -c $command -n $is -s q -d 'Say less'
    complete -c $command -n $is -l confirm -x -d 'Seconds to confirm it'
    complete -c $command -n $is -s s -x -a 'all Anchors info labels nat rules states Tables' -d Show
    complete -c $command -n $is -s t -x -a '(pfctl -sT 2>/dev/null)' -d Table
    complete -c $command -n $is -s T -x -a 'add delete expire flush kill replace show test' -d Command
    complete -c $command -n $is -s v -d 'Say more'
    complete -c $command -n $is -l json -d 'As JSON'
end

for command in newgate jexec
    set -l is '__newgate_is jexec'
    complete -c $command -n $is -s l -d 'Clean environment'
    complete -c $command -n $is -s d -x -a '(__fish_complete_directories)' -d Folder
    complete -c $command -n $is -s e -x -d 'Environment: name=value'
    complete -c $command -n $is -s u -x -a '(__fish_complete_users)' -d 'User of the host'
    complete -c $command -n $is -s U -x -d 'User of the jail'
    complete -c $command -n $is -f -a '(__newgate_running)'
end
