"""Rooms: a Debian root of one's own over another, whose changes are in memory and gone at the end.

The lower root is only read (overlayfs). A room has its own processes and its own network, with a
loopback and nothing else, so every port is free there; `outside=True` runs a command with this
machine's network, for apt. Needs root.
"""

import os
import pathlib
import signal
import subprocess
import tempfile

from checks import ROOT

BASE = ROOT / "target/install/bookworm"
ENTER = """
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /sys "$1/root/sys"
mount -t tmpfs -o mode=1777 tmpfs "$1/root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$1/root/run"
mount -t tmpfs -o mode=755 tmpfs "$1/root/dev"
for device in null zero full random urandom tty; do
    touch "$1/root/dev/$device"
    mount --bind "/dev/$device" "$1/root/dev/$device"
done
ln -s /proc/self/fd "$1/root/dev/fd"
mkdir "$1/root/dev/pts" "$1/root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$1/root/dev/pts"
ln -s pts/ptmx "$1/root/dev/ptmx"
ip link set lo up
echo ready
# As process 1 it reaps what is left to it.
while :; do sleep 3600; done
"""


def base():
    """A minimal Debian 12 by debootstrap, made once and kept."""
    mark = BASE.with_suffix(".done")
    if not mark.exists():
        subprocess.run(["rm", "-rf", str(BASE)], check=True)
        BASE.parent.mkdir(parents=True, exist_ok=True)
        # From where this machine gets its own packages.
        asked = subprocess.run("apt-get indextargets --format '$(SITE)' 'Codename: bookworm' 'Created-By: Packages' | head -1",
                               shell=True, capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run(["debootstrap", "--variant=minbase", "--include=ca-certificates,systemd", "bookworm", str(BASE), asked], check=True,
                       stdout=subprocess.DEVNULL)
        mark.touch()
    return BASE


class Room:
    def __init__(self, lower):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="room-"))
        self.holder = subprocess.Popen(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private",
                                        "bash", "-c", ENTER, "room", str(self.place), str(lower)], stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n", "the room could not be made: root, overlayfs and unshare are needed"
        children = pathlib.Path("/proc/%d/task/%d/children" % (self.holder.pid, self.holder.pid)).read_text().split()
        self.inside = children[0]
        self.root = pathlib.Path("/proc/%s/root%s/root" % (self.inside, self.place))

    def command(self, script, outside=False, shell="bash"):
        """The words that run a script in the room."""
        spaces = ["--mount", "--pid"] if outside else ["--mount", "--pid", "--net"]
        return ["nsenter", "--target", self.inside, *spaces, "--", "chroot", str(self.place / "root"), "env", "-i", "HOME=/root", "TERM=xterm",
                "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                shell, "-c", "cd /root && " + script]

    def run(self, script, outside=False, check=True, timeout=600):
        """Runs a script; what it printed, errors among the rest."""
        done = subprocess.run(self.command(script, outside), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, timeout=timeout, check=False)
        assert not check or done.returncode == 0, "%s\nexit code %d: %s" % (script, done.returncode, done.stdout[-1500:])
        return done.stdout

    def spawn(self, script, log):
        return subprocess.Popen(self.command(script), stdin=subprocess.DEVNULL, stdout=open(log, "ab"), stderr=subprocess.STDOUT)

    def put(self, file, to):
        """Copies a file into the room."""
        target = self.root / to.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(file), str(target)], check=True)

    def network_of_this_machine(self):
        """What apt needs to reach what this machine reaches; a stand-in for a network of one's own."""
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            subprocess.run(["cp", "-L", file, str(self.root / file.lstrip("/"))], check=True)
        for source in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"):
            if os.path.exists(source):
                subprocess.run(["cp", source, str(self.root / source.lstrip("/"))], check=True)
        subprocess.run("cp -a /etc/apt/apt.conf.d/*proxy* '%s/etc/apt/apt.conf.d/' 2>/dev/null || true" % self.root, shell=True, check=True)
        subprocess.run("cp -a /etc/ssl/certs/. '%s/etc/ssl/certs/'; cp -a /usr/local/share/ca-certificates '%s/usr/local/share/' 2>/dev/null || true" % (self.root, self.root),
                       shell=True, check=True)

    def close(self):
        self.holder.send_signal(signal.SIGKILL)
        self.holder.wait()
        # The mounts went with their namespace.
        self.place.rmdir()
