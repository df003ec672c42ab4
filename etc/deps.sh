#!/bin/sh
# What Postern needs of Debian's packages: etc/deps.sh build|run|check|powercut|delivery|deb|check-deb|fuzz|bench installs what is missing when
# root, else names the line to type. Nothing is downloaded, not even a package list, when all is there.

build="gcc libc6-dev make libssl-dev libsqlite3-dev libcrypt-dev libseccomp-dev libinih-dev libunbound-dev"
run="$build curl openssl"
check="$run libcmocka-dev libfuse3-dev binutils dpkg-dev e2fsprogs mandoc msmtp procps python3 sqlite3 strace swaks libnet-ssleay-perl util-linux libauthen-sasl-perl libio-socket-ssl-perl s-nail python3-dkim python3-nacl"
powercut="$check btrfs-progs xfsprogs"
short="$run python3"
bench="$short postfix dovecot-core"
clients="$check git git-email libmailtools-perl libsasl2-modules php-cli postfix"
command -v npm >/dev/null 2>&1 || clients="$clients nodejs npm"
delivery="$check postfix dovecot-core dovecot-lmtpd"
deb="$build binutils dpkg-dev"
fuzz="$run clang libclang-rt-dev python3"
check_deb="$deb curl debootstrap lintian openssl python3 systemd-container"

case "$1" in
build) wanted=$build ;;
run) wanted=$run ;;
check) wanted=$check ;;
powercut) wanted=$powercut ;;
short) wanted=$short ;;
bench) wanted=$bench ;;
clients) wanted=$clients ;;
delivery) wanted=$delivery ;;
deb) wanted=$deb ;;
fuzz) wanted=$fuzz ;;
check-deb) wanted=$check_deb ;;
list) printf '%s\n' $check; exit 0 ;;
*) echo "usage: etc/deps.sh build|run|check|powercut|short|bench|clients|delivery|deb|check-deb|fuzz|list" >&2; exit 64 ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "This is no Debian: these packages, or what corresponds to them, must be there: $wanted" >&2
	exit 0
fi

have=" $(dpkg-query -W -f '${Package}:${db:Status-Status} ' $wanted 2>/dev/null)"
missing=
for package in $wanted; do
	case "$have" in
	*" $package:installed "*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "Some packages are missing. Type this line, then try again:" >&2
	echo "    sudo apt-get install$missing" >&2
	exit 1
fi

echo "Installing$missing"
log=$(mktemp)
policy=
# Packages of daemons start them at once; this is Debian's way to say no. Who needs one here runs his own, elsewhere.
case "$wanted " in *" postfix "*) daemons=yes ;; *) daemons= ;; esac
if [ -n "$daemons" ] && [ ! -e /usr/sbin/policy-rc.d ]; then
	policy=/usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
trap 'rm -f "$log" $policy' EXIT
trap 'exit 130' INT TERM
if [ -n "$daemons" ]; then
	echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections 2>/dev/null
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >"$log" 2>&1 || echo "apt-get update failed; trying with the lists that are there" >&2
if ! apt-get install -y -q --no-install-recommends $missing >>"$log" 2>&1; then
	tail -n 30 "$log" >&2
	echo "The packages could not be installed:$missing" >&2
	exit 1
fi
