#!/bin/busybox sh
# The first process of the machine: the host's files, read-only, below what is written here and lost in the end. It ends
# in the script that the host has left for it.
set -eu
for name in mkdir mount insmod cat ln chmod rm; do eval "$name() { /bin/busybox $name \"\$@\"; }"; done

mkdir -p /proc /dev /sys /lower /writes /root /exchange /repository
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do insmod "$module"; done

shares=trans=virtio,version=9p2000.L,msize=524288
# Nothing changes below, so that all of it may be kept in memory; the answers are for the host at once.
mount -t 9p -o "$shares,ro,cache=loose" host /lower
mount -t 9p -o "$shares,cache=none" exchange /exchange
mount -t tmpfs -o mode=755 tmpfs /writes
mkdir /writes/upper /writes/work
mount -t overlay -o lowerdir=/lower,upperdir=/writes/upper,workdir=/writes/work overlay /root

# Where it lies may be covered by what follows.
repository=$(cat /exchange/repository)
mount --bind "/root$repository" /repository
# A tmpfs of older kernels has no attributes of users and no mapped owners.
mount -t ext4 /dev/vda /root/tmp
chmod 1777 /root/tmp
mount -t tmpfs -o mode=755 tmpfs /root/run
mkdir -p "/root$repository" /root/run/gocker-vm
mount --move /repository "/root$repository"
mount --move /exchange /root/run/gocker-vm

mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
ln -sf /proc/self/fd /dev/fd
ln -sf fd/0 /dev/stdin
ln -sf fd/1 /dev/stdout
ln -sf fd/2 /dev/stderr
mount -t securityfs securityfs /sys/kernel/security
# As systemd mounts it.
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
for directory in proc sys dev; do mount --move /$directory /root/$directory; done

[ -e /root/run/gocker-vm/systemd ] || exec /bin/busybox switch_root /root /bin/sh /run/gocker-vm/guest.sh

# A host that is a container itself has this file, by which systemd would take the machine for one too.
rm -f /root/.dockerenv
units=/root/run/systemd/system
mkdir -p $units
cat > $units/gocker-vm.target <<UNIT
[Unit]
DefaultDependencies=no
Wants=gocker-vm.service
UNIT
cat > $units/gocker-vm.service <<UNIT
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh /run/gocker-vm/guest.sh
StandardOutput=file:/dev/ttyS0
StandardError=file:/dev/ttyS0
TimeoutStartSec=infinity
UNIT
# It would clear /tmp, in which the repository may lie.
ln -s /dev/null $units/systemd-tmpfiles-setup.service
exec /bin/busybox switch_root /root /lib/systemd/systemd
