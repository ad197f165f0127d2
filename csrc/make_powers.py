"""Writes pg_powers.h: 10**k as 128-bit (for double) and 64-bit (for float) significands, rounded up.

python csrc/make_powers.py > csrc/pg_powers.h
"""

from __future__ import annotations


def significand(k: int, bits: int) -> int:
    """ceil(10**k * 2**s) for the s that makes it exactly `bits` long."""
    numerator, denominator = (10**k, 1) if k >= 0 else (1, 10**-k)
    shift = bits - (numerator.bit_length() - denominator.bit_length())
    while True:
        up, down = (shift, 0) if shift >= 0 else (0, -shift)
        value = -(-(numerator << up) // (denominator << down))
        # Rounding up may add a bit only where 10**k is no power of two times something short: never here.
        if value.bit_length() == bits:
            return value
        shift += bits - value.bit_length()


def main() -> None:
    print("/* Made by make_powers.py: ceil(10**k * 2**s), s so that the top bit is set. */")
    print("#ifndef PG_POWERS_H\n#define PG_POWERS_H\n\n#include <stdint.h>\n")
    print("#define PG_POWER128_FIRST (-292)\n#define PG_POWER64_FIRST (-31)\n")
    print("static const uint64_t PG_POWERS128[617][2] = {")
    for k in range(-292, 325):
        value = significand(k, 128)
        print(f"    {{0x{value >> 64:016x}u, 0x{value & (2**64 - 1):016x}u}},")
    print("};\n")
    print("static const uint64_t PG_POWERS64[77] = {")
    for k in range(-31, 46):
        print(f"    0x{significand(k, 64):016x}u,")
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
