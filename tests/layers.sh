#!/bin/sh
# Who may include and link what (HACKING.md): scans the includes of every folder and the symbols of the programs in the
# build folder $1. Each line of `allowed` is a folder, the folders whose headers it may include, then the system libraries' headers.
# Says at its end: N passed, N failed.
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
passed=0
failed=0

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "$*"; }

# Headers of libraries, beyond libc, by the word used below.
library_of() {
	case "$1" in
	openssl/*) echo openssl ;;
	sqlite3.h) echo sqlite ;;
	crypt.h) echo crypt ;;
	seccomp.h) echo seccomp ;;
	ini.h) echo inih ;;
	unbound.h) echo unbound ;;
	cmocka.h) echo cmocka ;;
	*) echo libc ;;
	esac
}

check_folder() {
	folder=$1
	folders=$2
	libraries=$3
	before=$failed
	for file in "$folder"/*.c "$folder"/*.h; do
		[ -e "$file" ] || continue
		for header in $(sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$file"); do
			found=no
			for from in $folders; do
				[ -e "$from/$header" ] && found=yes
			done
			[ "$found" = yes ] || bad "$file includes \"$header\", which is in none of: $folders"
		done
		for header in $(sed -n 's/^[ \t]*#[ \t]*include[ \t]*<\([^>]*\)>.*/\1/p' "$file"); do
			library=$(library_of "$header")
			case " libc $libraries " in
			*" $library "*) ;;
			*) bad "$file includes <$header>: $folder may use libc $libraries" ;;
			esac
		done
	done
	[ "$failed" = "$before" ] && good
}

check_folder common "common" "inih"
check_folder ipc "common ipc" ""
check_folder sandbox "common sandbox" "seccomp"
check_folder daemon/worker "common ipc sandbox daemon/worker" "openssl"
check_folder daemon/master "common ipc sandbox daemon/worker daemon/master" ""
check_folder auth "common ipc sandbox auth" "sqlite crypt openssl"
check_folder keys "common ipc sandbox keys" "openssl"
check_folder spool "common ipc sandbox spool" "openssl"
check_folder sendmail "common sendmail" ""
check_folder relay "common ipc sandbox relay" "openssl unbound"
check_folder admin "common ipc sandbox auth spool admin" "openssl unbound"

# Includes that only some files of a folder may have: header, files that may.
only() {
	header=$1
	shift
	before=$failed
	for file in $(grep -ls "^[ 	]*#[ 	]*include[ 	]*[<\"]$header[>\"]" common/* ipc/* sandbox/* daemon/*/* auth/* keys/* spool/* relay/* admin/*); do
		case " $* " in
		*" $file "*) continue ;;
		esac
		for pattern; do
			case "$file" in
			$pattern) continue 2 ;;
			esac
		done
		bad "$file includes $header: only $* may"
	done
	[ "$failed" = "$before" ] && good
}
set -f
only sqlite3.h 'auth/registry*.c' auth/schema.c auth/schema.h auth/statements.c auth/statements.h
only crypt.h auth/password.c
only ini.h common/conf.c
only seccomp.h 'sandbox/*'
only unbound.h relay/resolver_process.c admin/dns.c
only service.h 'auth/*' 'keys/*' 'spool/*' 'relay/*' ipc/service.c
only message_control.h 'ipc/*' 'daemon/master/*' auth/control.c admin/control.h
only message_queue.h 'ipc/*' spool/control.c spool/change.h spool/change_batch.h admin/spool_control.h admin/queue_change.h
only ipc.h 'ipc/*' 'daemon/*' 'auth/*' 'keys/*' 'spool/*' 'relay/*'
only 'openssl/ssl.h' 'daemon/worker/*' 'keys/*' 'relay/*' 'admin/*'
set +f

# auth and spool take digests from libcrypto, and nothing of TLS.
before=$failed
for file in auth/*.c auth/*.h spool/*.c spool/*.h; do
	[ -e "$file" ] || continue
	for header in $(sed -n 's/^[ \t]*#[ \t]*include[ \t]*<\(openssl\/[^>]*\)>.*/\1/p' "$file"); do
		case "$header" in
		openssl/evp.h|openssl/hmac.h|openssl/sha.h|openssl/rand.h|openssl/core_names.h|openssl/params.h|openssl/crypto.h) ;;
		*) bad "$file includes <$header>: digests only" ;;
		esac
	done
done
[ "$failed" = "$before" ] && good

# smtpadm sees the registry and the spool through their libraries' doors.
before=$failed
for file in admin/*.c admin/*.h; do
	[ -e "$file" ] || continue
	for header in $(sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$file"); do
		[ -e "admin/$header" ] || [ -e "common/$header" ] && continue
		case "$header" in
		registry.h|password.h|pattern.h|spool.h|lock.h|state.h|change.h|trace_file.h|trace_read.h|sandbox.h|message_control.h|message_queue.h) ;;
		*) bad "$file includes \"$header\": only registry.h, password.h, pattern.h, spool.h, lock.h, state.h, change.h, trace_file.h, trace_read.h, message_control.h and message_queue.h" ;;
		esac
	done
done
[ "$failed" = "$before" ] && good

# All durability of the spool is in the transaction and in the journal.
before=$failed
for call in fsync fdatasync syncfs rename renameat renameat2 linkat; do
	for file in $(grep -lsE "(^|[^a-zA-Z0-9_>.])$call *\(" spool/*.c); do
		case "$file" in
		spool/transaction.c|spool/journal.c|spool/journal_file.c|spool/journal_recover.c) ;;
		*) bad "$file calls $call: that is for spool/transaction.c and spool/journal*.c" ;;
		esac
	done
done
[ "$failed" = "$before" ] && good

# Calls that no file may make.
before=$failed
for call in strcpy strcat sprintf vsprintf strtok strtok_r atoi atol atoll gets alloca system popen mktemp tmpnam; do
	hits=$(grep -nsE "(^|[^a-zA-Z0-9_])$call *\(" common/*.[ch] ipc/*.[ch] sandbox/*.[ch] daemon/*/*.[ch] auth/*.[ch] keys/*.[ch] \
	    spool/*.[ch] relay/*.[ch] sendmail/*.[ch] admin/*.[ch] tests/unit/*.[ch] tests/fuzz/*.[ch] tests/bench/*.c | grep -vE ':[0-9]+:[ 	]*(\*|/\*|//)')
	[ -z "$hits" ] || bad "$call is barred:
$hits"
done
[ "$failed" = "$before" ] && good

# No file over 500 lines.
before=$failed
for file in common/*.[ch] ipc/*.[ch] sandbox/*.[ch] daemon/*/*.[ch] auth/*.[ch] keys/*.[ch] spool/*.[ch] relay/*.[ch] sendmail/*.[ch] admin/*.[ch]; do
	[ -e "$file" ] || continue
	n=$(wc -l <"$file")
	[ "$n" -le 500 ] || bad "$file has $n lines: 500 are the limit"
done
[ "$failed" = "$before" ] && good

# What the programs must not hold, whoever linked it in. The sanitizers' runtime has interceptors named after libc's calls.
forbid() {
	program=$1
	pattern=$2
	why=$3
	if [ ! -e "$build/$program" ]; then
		bad "$build/$program is missing"
		return
	fi
	hits=$(nm "$build/$program" | awk '{ print $NF }' | grep -E "$pattern" | grep -vE '__interceptor|asan|sanitizer' | head -5 | tr '\n' ' ')
	if [ -n "$hits" ]; then
		bad "$program holds $why: $hits"
	else
		good
	fi
}
registry='^sqlite3_|^registry_|^password_'
forbid posternd "$registry|^crypt(_r|_rn|_ra|_gensalt.*)?(@|\$)" "what belongs to postern-auth"
forbid postern-keys "$registry|^crypt(_r|_rn|_ra|_gensalt.*)?(@|\$)|^spool_(open|walk|find|create)\$" "what belongs to others"
forbid postern-spool "$registry|^crypt(_r|_rn|_ra|_gensalt.*)?(@|\$)|^SSL_|PEM_read" "what belongs to others"
forbid postern-auth '^SSL_|PEM_read|^spool_(open|walk|find|create)$' "what belongs to others"
forbid postern-relay "$registry|^crypt(_r|_rn|_ra|_gensalt.*)?(@|\$)|^spool_(open|walk|find|create)\$" "what belongs to others"
forbid postern-relay 'PEM_read_(bio_)?PrivateKey|PEM_read_bio_RSAPrivateKey|use_PrivateKey_file' "a way to read private keys"
forbid posternd '^spool_(open|walk|find|create)$' "the spool's reading half"
forbid posternd 'PEM_read_(bio_)?PrivateKey|PEM_read_bio_RSAPrivateKey|use_PrivateKey_file' "a way to read private keys"

# The libraries that each program may ask the loader for.
needs() {
	program=$1
	shift
	[ -e "$build/$program" ] || return
	before=$failed
	for library in $(objdump -p "$build/$program" | awk '$1 == "NEEDED" { print $2 }'); do
		case "$library" in
		libc.so*|libm.so*|ld-linux*|libasan.so*|libubsan.so*|libgcc_s.so*|libpthread.so*) continue ;;
		esac
		ok=no
		for name; do
			case "$library" in
			$name.so*) ok=yes ;;
			esac
		done
		[ "$ok" = yes ] || bad "$program needs $library"
	done
	[ "$failed" = "$before" ] && good
}
needs posternd libssl libcrypto libinih libseccomp
needs postern-auth libsqlite3 libcrypt libcrypto libinih libseccomp
needs postern-keys libssl libcrypto libinih libseccomp
needs postern-sendmail
needs postern-spool libcrypto libinih libseccomp
needs postern-relay libssl libcrypto libunbound libinih libseccomp

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
