"""Which functions of Android's C library a native library needs, as exports of the shim.

    exports.py LIBRARY OUTPUT_FOLDER

Writes `forwarded.S`, which jumps to glibc's function of the same name, and `replaced.h`, which
exports those of libc.c. Both export under the symbol version that Android's linker knows, `LIBC`.
"""

import re
import subprocess
import sys
from pathlib import Path

UNDEFINED = re.compile(r"\sUND\s+(\w+)@LIBC\b")
REPLACEMENT = re.compile(r"\bbionic_(\w+)\(")
FORWARD = """\
.globl forward_{name}
.type forward_{name}, @function
forward_{name}:
{jump}
.size forward_{name}, . - forward_{name}
.symver forward_{name}, {name}@LIBC
"""
JUMPS = {"X86-64": "    jmp {name}@PLT", "AArch64": "    b {name}"}


def readelf(option: str, library: str) -> str:
    command = ["readelf", "-W", option, library]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main(library: str, output: Path) -> None:
    machine = re.search(r"Machine:.*?(X86-64|AArch64)", readelf("--file-header", library))
    if machine is None:
        sys.exit(f"The library must be of x86_64 or arm64. Received: {library}.")
    needed = sorted(set(UNDEFINED.findall(readelf("--dyn-syms", library))))
    source = (Path(__file__).parent / "libc.c").read_text()
    replaced = {"__sF", *REPLACEMENT.findall(source)}
    forwarded = [".text\n"]
    exports = []
    for name in needed:
        if name in replaced:
            exports.append(f'__asm__(".symver bionic_{name}, {name}@LIBC");\n')
        else:
            jump = JUMPS[machine[1]].format(name=name)
            forwarded.append(FORWARD.format(name=name, jump=jump))
    forwarded.append('.section .note.GNU-stack, "", %progbits\n')
    (output / "forwarded.S").write_text("".join(forwarded))
    (output / "replaced.h").write_text("".join(exports))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
