#!/bin/busybox sh
# The first program of the virtual machine: its root is the host's, read-only, with a layer in memory above for what is
# written. Makes two soft-RoCE devices with a cable between them, runs /job, says how that ended, and switches off.

/bin/busybox mkdir -p /bin /proc /sys /dev /host /changes /root
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/null >/dev/console 2>&1

end() {
    echo "guest: $*"
    poweroff -f
}

must() {
    "$@" || end "failed: $*"
}

for module in /modules/*; do must insmod "$module"; done

must mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host
must mount -t tmpfs -o size=75% tmpfs /changes
mkdir /changes/upper /changes/work
must mount -t overlay -o lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work overlay /root
must mount -t proc proc /root/proc
must mount -t sysfs sysfs /root/sys
must mount -t devtmpfs devtmpfs /root/dev
mkdir -p /root/dev/pts /root/dev/shm
must mount -t devpts devpts /root/dev/pts
must mount -t tmpfs tmpfs /root/dev/shm
must mount -t tmpfs tmpfs /root/run

# With the host's programs. Both ends of the cable are in one namespace, since soft-RoCE knows only the first. The kernel would
# take the way through lo from one of its addresses to the other: the rules say otherwise, and come before its own. A large
# message is a thousand packets at once, and every one that is dropped costs a second: hence the backlog.
must chroot /root /bin/sh -e <<'END'
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /proc/sys/net
ip link set lo up
ip link add roce0 type veth peer name roce1
for here in 0 1; do
    there=$((1 - here))
    card=roce$here from=10.77.0.$((here + 1)) to=10.77.0.$((there + 1))
    ip link set $card address 02:77:00:00:00:0$here mtu 4200 up
    ip addr add $from/24 dev $card
    echo 1 >ipv4/conf/$card/accept_local
    echo 0 >ipv4/conf/$card/rp_filter
    ip route add 10.77.0.0/24 dev $card src $from table 10$here
    ip rule add pref 10 iif lo from $from to $to lookup 10$here
    ip neigh replace $to lladdr 02:77:00:00:00:0$there dev $card nud permanent
done
echo 0 >ipv4/conf/all/rp_filter
ip rule add pref 100 lookup local
ip rule del pref 0
echo 100000 >core/netdev_max_backlog
for here in 0 1; do rdma link add rxe$here type rxe netdev roce$here; done
END

cp /job /root/run/job
echo "guest: up after $(cut -d' ' -f1 /proc/uptime) s"
chroot /root /bin/sh /run/job
end "the job ended with $?"
