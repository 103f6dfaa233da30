"""A MAVLink vehicle as a process: heartbeats, battery and position; told what to do in lines on stdin.

    python vehicle.py udpout:127.0.0.1:PORT

Lines: `mode NUMBER` (ArduCopter's: 0 stabilize, 3 auto, 4 guided), `arm`, `disarm`, `state NUMBER` (MAV_STATE),
`battery PERCENT`, `silent`, `speak`, `garbage`. Sources: MAVLink common message set.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time

BEAT_S = 0.2  # a real one beats once a second; tests need not wait for that


def main(where: str) -> None:
    """Beat until stdin ends."""
    os.environ["MAVLINK20"] = "1"
    from pymavlink import mavutil

    link = mavutil.mavlink_connection(where, source_system=1, source_component=1)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read_lines() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put("end")

    threading.Thread(target=read_lines, daemon=True).start()
    print("ready", flush=True)
    copter, ardupilot = mavutil.mavlink.MAV_TYPE_QUADROTOR, mavutil.mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA
    is_armed, is_silent, mode, state, battery = False, False, 0, 3, 100
    while True:
        while not lines.empty():
            match lines.get().split():
                case ["mode", number]:
                    mode = int(number)
                case ["arm" | "disarm" as what]:
                    is_armed = what == "arm"
                case ["state", number]:
                    state = int(number)
                case ["battery", percent]:
                    battery = int(percent)
                case ["silent" | "speak" as what]:
                    is_silent = what == "silent"
                case ["garbage"]:
                    link.write(b"\xfd\x09\x00\x00\x00\x01\x01\x00\x00\x00" + bytes(range(40)))
                case _:
                    return
        link.recv_msg()  # a listening socket accepts here; what a companion might say is nobody's command
        if not is_silent:
            link.mav.heartbeat_send(copter, ardupilot, (128 if is_armed else 0) | 1, mode, state)
            link.mav.sys_status_send(0, 0, 0, 250, 15_200, 1_250, battery, 0, 0, 0, 0, 0, 0)
            link.mav.global_position_int_send(0, 473_977_420, 85_455_940, 488_000, 10_040, 0, 0, 0, 9_000)
        time.sleep(BEAT_S)


if __name__ == "__main__":
    main(sys.argv[1])
