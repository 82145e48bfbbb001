#!/bin/sh
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Becomes one host: lays its cable, mounts its root and boots.
# Started by hosts.py in a mount and a network namespace of its own, so that neither outlives the host's processes.
# Needs: MACHINE_PID BRIDGE LINK LINK_MAC ADDRESS MAC MOUNT ROOT NAME

set -e

ip link add eth0 address "$MAC" type veth peer name "$LINK" address "$LINK_MAC" netns "$MACHINE_PID"
nsenter --net="/proc/$MACHINE_PID/ns/net" ip link set "$LINK" addrgenmode none master "$BRIDGE" up
ip link set lo up
ip link set eth0 addrgenmode none
ip address add "$ADDRESS/24" dev eth0
ip link set eth0 up

mount -t overlay overlay -o "$MOUNT" "$ROOT"
# systemd-nspawn leaves folders behind in /run/systemd.
mount -t tmpfs -o mode=0755 tmpfs /run

exec systemd-nspawn --quiet --boot --register=no --keep-unit --machine="$LINK" --hostname="$NAME" --directory="$ROOT" \
    --network-namespace-path=/proc/self/ns/net --resolv-conf=off --timezone=off --link-journal=no --console=pipe
