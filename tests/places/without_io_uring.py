# SPDX-License-Identifier: MIT
"""without_io_uring.py ERROR COMMAND...: runs the command where io_uring_setup(2) is answered with that error, EPERM as by
a container or ENOSYS as by a kernel that lacks it. Ends with 77 where filters of system calls are refused.
"""

import ctypes
import errno
import os
import struct
import sys

IO_URING_SETUP = 425  # on every processor
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def main():
    error, *command = sys.argv[1:]
    steps = [(LOAD_WORD, 0, 0, 0),  # the number of the call
             (JUMP_IF_EQUAL, 0, 1, IO_URING_SETUP),
             (RETURN, 0, 0, REFUSE | getattr(errno, error)),
             (RETURN, 0, 0, ALLOW)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = Program(len(steps), ctypes.addressof(text))
    libc = ctypes.CDLL(None)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        print("no filter of system calls can be had here")
        sys.exit(77)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
