"""Verifies DKIM signatures by implementations that are not ours: dkimpy, and opendkim where it is installed. Debian's packages python3-dkim
and opendkim; dkimpy runs under the system's Python, whatever the tests run under."""
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile

DKIMPY = r'''
import base64, json, sys
import dkim
for line in sys.stdin:
    job = json.loads(line)
    records = {n.rstrip('.') + '.': t.encode() for n, t in job['records'].items()}
    found = []
    d = dkim.DKIM(base64.b64decode(job['message']), minkey=1024)
    count = sum(1 for n, _ in d.headers if n.lower() == b'dkim-signature')
    for i in range(count):
        try:
            ok = d.verify(idx=i, dnsfunc=lambda name, timeout=5: records.get(name.decode() if isinstance(name, bytes) else name))
            why = ''
        except Exception as e:
            ok, why = False, repr(e)
        fields = {k.decode(): v.decode() for k, v in (d.signature_fields or {}).items()} if hasattr(d, 'signature_fields') else {}
        found.append({'ok': bool(ok), 'why': why, 'a': fields.get('a'), 'd': fields.get('d'), 's': fields.get('s'), 'h': fields.get('h')})
    print(json.dumps(found), flush=True)
'''
OPENDKIM = '/usr/sbin/opendkim'


def verify_all(messages, records):
    """For each message a list of {'ok', 'why', 'a', 'd', 's', 'h'}, one for each DKIM-Signature field, from the top."""
    jobs = ''.join(json.dumps({'message': base64.b64encode(m).decode(), 'records': records}) + '\n' for m in messages)
    done = subprocess.run(['/usr/bin/python3', '-c', DKIMPY], input=jobs.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    if done.returncode != 0:
        raise AssertionError('dkimpy: %s' % done.stderr.decode(errors='replace'))
    return [json.loads(line) for line in done.stdout.splitlines()]


def verify(message, records):
    return verify_all([message], records)[0]


def has_opendkim():
    return os.path.exists(OPENDKIM)


def opendkim(message, records):
    """What opendkim says of the signatures: {'ok': bool, 'said': text}. It knows RSA only."""
    folder = tempfile.mkdtemp(prefix='postern-opendkim-')
    try:
        for name, data in (('keys', ''.join('%s %s\n' % r for r in records.items()).encode()), ('message', message)):
            with open(os.path.join(folder, name), 'wb') as f:
                f.write(data)
        with open(os.path.join(folder, 'conf'), 'w') as f:
            f.write('Mode v\nTestPublicKeys %s/keys\nMinimumKeyBits 1024\n' % folder)
        done = subprocess.run([OPENDKIM, '-t', os.path.join(folder, 'message'), '-x', os.path.join(folder, 'conf')],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        said = done.stdout.decode(errors='replace')
        return {'ok': done.returncode == 0 and bool(re.search(r'verification .*succeeded|signature OK', said)), 'said': said}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
