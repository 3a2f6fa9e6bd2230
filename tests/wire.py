"""A cable between two network cards, for kernels that have no network emulation.

    wire.py CARD CARD

makes both cards, says `ready`, and carries what is sent on one to the other. Commands on the standard input, each answered
by a line: `delay SECONDS` (in each direction), `loss SHARE` (of the packets; the same ones in every run), `lost` (how many
so far). It ends, and the cards with it, at the end of the standard input.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
LARGEST_FRAME = 65536


def make(name):
    card = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(card, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return card


def main():
    cards = [make(name) for name in sys.argv[1:3]]
    print("ready", flush=True)
    delay, loss, lost, count = 0.0, 0.0, 0, 0
    chance = random.Random(1)
    under_way = []
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        readable = select.select([*cards, sys.stdin], [], [], wait)[0]
        if sys.stdin in readable:
            words = sys.stdin.readline().split()
            if not words:
                return
            if words[0] == "delay":
                delay = float(words[1])
            elif words[0] == "loss":
                loss = float(words[1])
            print(lost, flush=True)
        for card in readable:
            if card not in cards:
                continue
            other = cards[1 - cards.index(card)]
            while True:
                try:
                    frame = os.read(card, LARGEST_FRAME)
                except OSError:  # No more, or the card is down.
                    break
                if chance.random() < loss:
                    lost += 1
                    continue
                count += 1
                heapq.heappush(under_way, (time.monotonic() + delay, count, other, frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, card, frame = heapq.heappop(under_way)
            try:
                os.write(card, frame)
            except OSError:  # The card is down, or its host takes no more.
                lost += 1


main()
