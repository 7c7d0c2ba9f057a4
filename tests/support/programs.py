"""Programs as people run them: scripts that put them to work, and what they print then.

Each is a shell command for an empty folder; it prints nothing that changes from run to run.
"""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Program:
    """A program from a package of Debian."""

    script: str
    """For bash, which runs it in an empty folder."""
    works: str
    """A line that it prints if it did its work, to its end."""
    denied: tuple[str, ...] = ()
    """Calls among those that the default profile of containers denies to it."""


_PYTHON = Program(
    r"""
cat > work.py <<'END'
import asyncio, concurrent.futures, ctypes, errno, mmap, multiprocessing, os, subprocess, tempfile

async def echo():
    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"echo\n")
    print(await reader.read())
    process = await asyncio.create_subprocess_exec("cat", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print(await process.communicate(b"piped"))

asyncio.run(echo())
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda n: len(os.urandom(n)), range(200))))
with multiprocessing.Pool(2) as pool:
    print(pool.map(abs, range(-5, 0)))
with tempfile.NamedTemporaryFile() as file, mmap.mmap(-1, 1 << 20) as memory:
    memory[:5] = b"bytes"
    file.write(memory[:5])
    file.flush()
    print(os.stat(file.name).st_size, os.sendfile(1, file.fileno(), 0, 5))
print(os.fork() and os.waitstatus_to_exitcode(os.wait()[1]) or os._exit(7))

libc = ctypes.CDLL(None, use_errno=True)
for name, number, *arguments in [
    ("unshare", 272, 0x400), ("mount", 165), ("bpf", 321), ("add_key", 248), ("keyctl", 250), ("setns", 308, -1),
    ("perf_event_open", 298), ("pivot_root", 155), ("swapon", 167), ("reboot", 169), ("init_module", 175),
    ("userfaultfd", 323), ("open_by_handle_at", 304), ("ptrace", 101, 99), ("clone3", 435), ("mseal", 462, 1),
    ("statmount", 457), ("nobody's", 600), ("personality", 135, 0x20000), ("socket", 41, 16, 3, 9), ("vserver", 236),
    ("socket", 41, 40, 1, 0), ("kcmp", 312, 1, 1, 99), ("io_uring_setup", 425), ("chroot", 161), ("acct", 163),
    ("x32", 0x40000000 + 39), ("clock_settime", 227, 99), ("sethostname", 170, 0, -1),
]:
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(one) for one in [*arguments, 0, 0, 0, 0, 0, 0][:6]])
    print(name, "0" if result >= 0 else errno.errorcode[ctypes.get_errno()])
print("done")
END
python3 work.py
""",
    works="done",
    denied=("acct", "bpf", "chroot", "clock_settime", "init_module", "socket", "mseal", "x86_64:600"),
)

_BASH = Program(
    r"""
trap 'echo told' USR1
kill -USR1 $$
(sleep 0; exit 3) & wait $!; echo "ended with $?"
coproc { tr a-z A-Z; }
exec 3<&"${COPROC[0]}"  # when it has ended, bash forgets its descriptors
echo "said to it" >&"${COPROC[1]}"; eval "exec ${COPROC[1]}>&-"; cat <&3; exec 3<&-
diff <(seq 3) <(seq 2)
while read -r line; do echo "$((line * line))"; done < <(seq 4) | sort -rn | head -n 2
mkfifo pipe; (echo through > pipe &); cat pipe
ulimit -c 0; umask 027; touch file; ln -s file link; stat -c '%A %N' link file
unshare --user true; echo "unshare: $?"
{ bash -c 'kill -SEGV $$'; } 2> /dev/null; echo "by a signal: $?"
exit 5
""",
    works="by a signal: 139",
)

_CURL = Program(
    r"""
cat > serve.py <<'END'
import http.server, subprocess, threading

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_PUT(self):
        print(len(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever).start()
url = "http://127.0.0.1:%d" % server.server_address[1]
told = "%{http_code} %{size_download}\n"
for arguments in (
    [f"{url}/file", "--output", "copy", "--write-out", told],
    [f"{url}/nothing", "--output", "other", "--write-out", "%{http_code}\n", "--fail"],
    ["--parallel", *[part for n in range(8) for part in ("--output", f"copy{n}", f"{url}/file")], "--write-out", told],
    ["--upload-file", "file", f"{url}/there", "--write-out", "%{http_code}\n"],
):
    print(subprocess.run(["curl", "--silent", *arguments], stderr=subprocess.DEVNULL).returncode, flush=True)
server.shutdown()
END
seq 100000 > file
python3 serve.py
cmp file copy && cmp file copy7 && echo same
curl --silent "file://$PWD/file" | tail -n 1
curl --silent --show-error http://127.0.0.1:1/ 2>&1 | sed 's/after [0-9]* ms/after a while/'; echo "${PIPESTATUS[0]}"
""",
    works="same",
)

_GIT = Program(
    r"""
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE=@1700000000+0000 GIT_COMMITTER_DATE=@1700000000+0000 GIT_CONFIG_NOSYSTEM=1
git init --quiet --initial-branch=main one && cd one || exit
for n in $(seq 6); do echo "$n" > "file$n"; git add . && git commit --quiet --message "$n"; done
git switch --quiet --create other HEAD~3 && echo more > more && git add . && git commit --quiet --message more
git merge --no-edit main | tail -n 1
git clone --quiet "file://$PWD" ../two && cd ../two && git log --oneline | head -n 3
git -c gc.autoDetach=false gc --quiet && git fsck --strict && git grep --count --threads=4 more
GIT_PAGER=cat git blame file3
echo "$?"
""",
    works="0",
)

_SQLITE = Program(
    r"""
sqlite3 base.db <<'END'
pragma journal_mode = wal;
pragma mmap_size = 10000000;
create table words (n integer primary key, word text);
with recursive count(n) as (select 1 union all select n + 1 from count where n < 20000)
  insert into words select n, hex(n * 7) from count;
create index by_word on words (word);
.backup copy.db
END
sqlite3 copy.db 'select count(*), sum(n), max(word) from words; pragma integrity_check'
for n in 1 2 3; do sqlite3 -cmd '.timeout 60000' base.db "update words set word = word || 'x' where n = 1" & done; wait
ls base.db* && sqlite3 base.db 'vacuum' 'select word from words order by word limit 2' 'pragma wal_checkpoint'
""",
    works="ok",
)

_GO = Program(
    r"""
runc --root . list --format json; runc --root . state nothing 2> errors; echo "$?"; cut -d ' ' -f 2- errors
export CNI_COMMAND=ADD CNI_CONTAINERID=one CNI_NETNS=/none CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni
made='{"cniVersion":"1.0.0","name":"net","ipam":{"type":"host-local","subnet":"10.9.0.0/24","dataDir":"'$PWD'/data"}}'
echo "$made" | /usr/lib/cni/host-local
for CNI_CONTAINERID in $(seq 8); do (echo "$made" | /usr/lib/cni/host-local > /dev/null) & done; wait
ls data/net && CNI_COMMAND=DEL CNI_CONTAINERID=one /usr/lib/cni/host-local <<< "$made"; ls data/net | wc -l
""",
    works='    "cniVersion": "1.0.0",',
)

_RUST = Program(
    r"""
mkdir -p folder/{a,b,c}/{1,2,3}
for path in folder/*/*; do seq 20000 > "$path/numbers"; echo "needle $path" > "$path/words"; done
rg --sort path --count '99$' folder
rg --threads 4 needle folder | sort
rg --mmap --multiline '19998\n19999' folder/a/1/numbers
rg nothing folder; echo "$?"
cat folder/a/1/words | rg --pcre2 '(?<=needle )\S+' --only-matching
""",
    works="folder/a/1",
)

_SERVER = Program(
    r"""
cat > ask.py <<'END'
import concurrent.futures, signal, socket, subprocess, sys, time

server = subprocess.Popen(["memcached", "--threads=4", "--unix-socket=socket", "--unix-mask=700"])

def connect():
    while True:
        try:
            client = socket.socket(socket.AF_UNIX)
            client.connect("socket")
            return client
        except OSError:
            client.close()
            if server.poll() is not None:
                sys.exit("it has ended")
            time.sleep(0.01)

def work(number):
    with connect() as client, client.makefile("rwb") as file:
        for n in range(20):
            file.write(b"set %d-%d 0 0 5\r\nvalue\r\nget %d-%d\r\n" % (number, n, number, n))
            file.flush()
            answer = [file.readline() for _ in range(4)]
        return answer

with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(*pool.map(work, range(8)), sep="\n")
with connect() as client, client.makefile("rwb") as file:
    file.write(b"stats\r\n")
    file.flush()
    told = dict(line.split()[1:] for line in iter(file.readline, b"END\r\n"))
    print(told[b"threads"], told[b"curr_items"])
server.send_signal(signal.SIGTERM)
print("ended with", server.wait())
END
python3 ask.py
""",
    works="b'4' b'160'",
)

COMMANDS = ("python3", "bash", "curl", "git", "sqlite3", "runc", "/usr/lib/cni/host-local", "rg", "memcached")
"""What the scripts run."""

PROGRAMS = {
    "python": _PYTHON,
    "bash": _BASH,
    "curl": _CURL,
    "git": _GIT,
    "sqlite3": _SQLITE,
    "go": _GO,
    "rust": _RUST,
    "server": _SERVER,
}
