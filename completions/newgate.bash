# bash completion for newgate, jail, jls, jexec and pfctl. No function of bash-completion is needed.
# shellcheck shell=bash

_newgate_running() {
	jls name 2>/dev/null
}

# jail -e prints a configured jail a line, its name first.
_newgate_configured() {
	jail -e '|' 2>/dev/null | sed -n 's/^name=\([^|]*\).*/\1/p'
}

_newgate_templates() {
	newgate template list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_newgate_verbs() {
	newgate help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  *[^ ].*/\1/p'
}

# Offers those of the words that begin with what was typed.
_newgate_offer() {
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_newgate_files() {
	compopt -o filenames
	mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

_newgate_parameters='allow.connect= allow.raw_sockets command= depend= exec.start= exec.stop=
	host.hostname= interface= ip4.addr= ip6.addr= mount.devfs mount.fstab= name= path= persist
	rctl= rdr= service= snapshot.keep= template='

_newgate_checks='configuration boot kernel namespaces cgroups clock idmap disk tools path forwarding
	reverse-path filter flush ports resolver ranges mtu neighbours leftovers mail mail-address mail-dns mail-out
	mail-listed mail-certificate mail-postmaster'

_newgate_jail() {
	local word action=
	case $prev in
	-[fJ])
		_newgate_files -f
		return
		;;
	-[uU])
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	-[enps]) return ;;
	esac
	for word in "${words[@]:1}"; do
		[[ $word == -*[cmrR]* && $word != --* ]] && action+=${word#-}
	done
	if [[ $cur == -* ]]; then
		_newgate_offer '-c -m -r -rc -R -cm -e -f -d -h -i -J -l -n -p -q -s -u -U -v'
	elif [[ $action == *c*r* || $action == *r*c* || $action == *c*m* || $action == *m*c* ]]; then
		_newgate_offer "$(_newgate_configured; _newgate_running)"
	elif [[ $action == *[mrR]* ]]; then
		_newgate_offer "$(_newgate_running)"
	elif [[ $action == *c* ]]; then
		_newgate_offer "$(_newgate_configured) $_newgate_parameters"
		[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
	fi
}

_newgate_jls() {
	case $prev in
	-j) _newgate_offer "$(_newgate_running)" ;;
	--libxo) _newgate_offer 'json' ;;
	*)
		if [[ $cur == -* ]]; then
			_newgate_offer '-c -d -h -j -N -n -q -s -v --json --libxo'
		else
			_newgate_offer 'all jid name path host.hostname ip4.addr ip6.addr persist'
		fi
		;;
	esac
}

_newgate_pfctl() {
	case $prev in
	-F) _newgate_offer 'all nat rules states Tables' ;;
	-s) _newgate_offer 'all Anchors info labels nat rules states Tables' ;;
	-T) _newgate_offer 'add delete expire flush kill replace show test' ;;
	-t) _newgate_offer "$(pfctl -sT 2>/dev/null)" ;;
	-f) _newgate_files -f ;;
	*) [[ $cur != -* ]] || _newgate_offer '-a -D -d -e -F -f -k -n -o -q -s -t -T -v --json --confirm' ;;
	esac
}

_newgate_jexec() {
	local i
	case $prev in
	-[uU])
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	-d)
		_newgate_files -d
		return
		;;
	-e) return ;;
	esac
	# The first word that is no option, nor an option's value, is the jail; a command follows.
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-[uUde]) ((i++)) ;;
		-*) ;;
		*)
			mapfile -t COMPREPLY < <(compgen -c -- "$cur")
			return
			;;
		esac
	done
	if [[ $cur == -* ]]; then
		_newgate_offer '-d -e -l -u -U'
	else
		_newgate_offer "$(_newgate_running)"
	fi
}

_newgate_from() {
	_newgate_offer "busybox debian:bookworm debian:trixie"
	if [[ $cur != debian* ]]; then
		local files
		compopt -o filenames
		mapfile -t files < <(compgen -f -- "$cur")
		COMPREPLY+=("${files[@]}")
	fi
}

_newgate_verb() {
	case $1 in
	jail | jls | jexec | pfctl) "_newgate_$1" ;;
	help) _newgate_offer "$(_newgate_verbs)" ;;
	template)
		if ((cword == 1)); then
			_newgate_offer 'create update list destroy'
		elif [[ $prev == --from ]]; then
			_newgate_from
		elif [[ $prev == --run ]]; then
			_newgate_files -f
		elif [[ ${words[1]} == create ]]; then
			_newgate_offer '--from --include --run --fresh'
		elif [[ ${words[1]} == update ]]; then
			_newgate_offer "--run --fresh $(_newgate_templates)"
		elif [[ ${words[1]} == list ]]; then
			_newgate_offer '--json'
		elif [[ ${words[1]} == destroy ]]; then
			_newgate_offer "$(_newgate_templates)"
		fi
		;;
	clone)
		if [[ $cur == -* ]]; then
			_newgate_offer '--full'
		elif ((cword == 1)); then
			_newgate_offer "$(_newgate_templates; _newgate_configured)"
		else
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	init)
		if [[ $prev == --store ]]; then
			_newgate_offer 'zfs btrfs overlay dir'
		else
			_newgate_offer '-n --store'
		fi
		;;
	check)
		if [[ $cur == -* ]]; then
			_newgate_offer '-v --json'
		else
			_newgate_files -f
		fi
		;;
	up)
		if [[ $cur == -* ]]; then
			_newgate_offer '-n -v --json --confirm'
		elif [[ $prev != --confirm ]]; then
			_newgate_offer "$(_newgate_configured; _newgate_running)"
		fi
		;;
	confirm) _newgate_offer '--back' ;;
	metrics) ;;
	explain)
		if [[ $cur == -* ]]; then
			_newgate_offer '--json'
		else
			_newgate_offer "$(_newgate_configured) internet host"
		fi
		;;
	down)
		if [[ $cur == -* ]]; then
			_newgate_offer '-v'
		else
			_newgate_offer "$(_newgate_running)"
		fi
		;;
	status)
		if [[ $cur == -* ]]; then
			_newgate_offer '--json'
		else
			_newgate_offer "$(_newgate_configured; _newgate_running)"
		fi
		;;
	logs)
		if [[ $prev == -n ]]; then
			_newgate_offer 'all'
		elif [[ $cur == -* ]]; then
			_newgate_offer '-f -n'
		else
			_newgate_offer "$(_newgate_configured; _newgate_running)"
		fi
		;;
	console)
		if [[ $prev == -[eU] ]]; then
			return
		elif [[ $cur == -* ]]; then
			_newgate_offer '-e -U'
		else
			_newgate_offer "$(_newgate_running)"
		fi
		;;
	top)
		if [[ $cur == -* ]]; then
			_newgate_offer '-b -d -n -s --json'
		elif [[ $prev == -s ]]; then
			_newgate_offer 'cpu memory network processes'
		fi
		;;
	doctor)
		if [[ $cur == -* ]]; then
			_newgate_offer '-v --json'
		else
			_newgate_offer "$_newgate_checks"
		fi
		;;
	create) _newgate_offer "$(_newgate_configured)" ;;
	export)
		if [[ $prev == --compress ]]; then
			_newgate_offer 'none zstd'
		elif [[ $cur == -* ]]; then
			_newgate_offer '--compress --live --since'
		else
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	backup | restore)
		if [[ $cur == -* && $1 == backup ]]; then
			_newgate_offer '--live --whole'
		elif ((cword == 1)) || [[ $1 == backup ]]; then
			_newgate_files -d
		fi
		;;
	import)
		if ((cword == 1)); then
			_newgate_files -f
		else
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	snapshot)
		if [[ $cur == -* ]]; then
			_newgate_offer '--json -n'
		elif ((cword == 1)); then
			_newgate_offer "list destroy auto $(_newgate_configured)"
		else
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	rebase)
		if [[ $prev == --to ]]; then
			_newgate_offer "$(_newgate_templates)"
		elif [[ $cur == -* ]]; then
			_newgate_offer '-n --json --to --test --force --overwrite'
		else
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	rollback)
		if [[ $cur == -* ]]; then
			_newgate_offer '-r -y'
		else
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	diff)
		if [[ $cur == -* ]]; then
			_newgate_offer '-q --json'
		elif ((cword == 1)); then
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	df)
		if [[ $cur == -* ]]; then
			_newgate_offer '--json'
		else
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	host)
		if [[ $prev == --ca ]]; then
			_newgate_files -f
		elif [[ $cur == -* ]]; then
			_newgate_offer '--mail -y --quota --proxy --check --json --hostname --address --spam --acme --ca --contact --for --force'
		elif ((cword == 1)); then
			_newgate_offer 'init diff apply renew domain user alias site dns ban watch status queue backup restore upgrade'
		elif [[ ${words[1]} == @(backup|restore) ]]; then
			_newgate_files -f
		elif ((cword == 2)) && [[ $prev == user ]]; then
			_newgate_offer 'add passwd quota remove list'
		elif ((cword == 2)) && [[ $prev == queue ]]; then
			_newgate_offer 'flush hold release remove'
		elif ((cword == 2)) && [[ $prev == @(domain|alias|site|ban) ]]; then
			_newgate_offer 'add remove list'
		fi
		;;
	rename)
		if ((cword == 1)); then
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	destroy)
		if [[ $cur == -* ]]; then
			_newgate_offer '-y'
		else
			_newgate_offer "$(_newgate_configured)"
		fi
		;;
	esac
}

_newgate() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cword=$COMP_CWORD
	local words=("${COMP_WORDS[@]}") program=${COMP_WORDS[0]##*/}
	COMPREPLY=()
	if [[ $program == newgate ]]; then
		if [[ ${words[1]-} == -R ]] && ((cword > 2)); then
			words=("${words[0]}" "${words[@]:3}")
			((cword -= 2))
		fi
		if ((cword == 1)); then
			case $cur in
			-*) _newgate_offer '-R --help --version' ;;
			*) _newgate_offer "$(_newgate_verbs)" ;;
			esac
			return
		fi
		if [[ $prev == -R ]] && ((cword == 2)); then
			_newgate_files -d
			return
		fi
		# From here on as if the verb were the program.
		words=("${words[@]:1}")
		((cword--))
		program=${words[0]}
	fi
	_newgate_verb "$program"
}

complete -F _newgate newgate jail jls jexec pfctl
