"""Writes golden/phe/vectors.json with python-paillier itself: keys and numbers exactly as it serialises them.

python make_vectors.py > ../golden/phe/vectors.json        # needs phe, click
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from phe import __version__, paillier


def pheutil(*arguments):
    command = [str(pathlib.Path(sys.executable).parent / "pheutil"), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def as_list(public, numbers):
    values = [(str(x.ciphertext()), x.exponent) for x in numbers]
    return json.dumps({"public_key": {"n": public.n}, "values": values})


def key_with_numbers(bits, folder):
    private_file, public_file = folder / f"{bits}.private", folder / f"{bits}.public"
    pheutil("genpkey", "--keysize", bits, "--id", f"vectors, {bits} bits", private_file)
    pheutil("extract", private_file, public_file)
    public_json = public_file.read_text()
    n = int.from_bytes(paillier_base64(json.loads(public_json)["n"]), "big")
    public = paillier.PaillierPublicKey(n)

    utility = [(x, pheutil("encrypt", public_file, "--", x)) for x in (7, -3.25, 0.1, -1e-6, 0)]
    plain = [3.25, -1, 0, 1000, -1023.5, 0.1, -0.3, 2.0**-32, -(2.0**-32)]
    numbers = [public.encrypt(x, precision=None if x == int(x) else 2.0**-32) for x in plain]
    values = [public_value(x) for x in plain]
    computed = [numbers[0] + numbers[1], numbers[0] - numbers[4], numbers[0] * 3, numbers[4] * -2, numbers[0] + 5]
    values += [3.25 - 1, 3.25 + 1023.5, 9.75, 2047.0, 8.25]
    return {
        "bits": bits,
        "private": private_file.read_text(),
        "public": public_json,
        "utility": utility,
        "list": as_list(public, numbers + computed),
        "values": values,
        # 0.1 with as fine an exponent as its mantissa needs: 16^-14.
        "fine": as_list(public, [public.encrypt(0.1)]),
        # Beyond every range: 2^200 is a multiple of 16^50 after this.
        "coarse": as_list(public, [paillier.EncryptedNumber(public, public.encrypt(3).ciphertext(), 50)]),
    }


def public_value(x):
    """What python-paillier's fixed point at 16^-8 holds of x: the nearest multiple, which it encrypts."""
    return x if x == int(x) else round(x * 2**32) / 2**32


def paillier_base64(text):
    import base64

    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


with tempfile.TemporaryDirectory() as folder:
    keys = [key_with_numbers(bits, pathlib.Path(folder)) for bits in (512, 2048)]
json.dump({"phe": __version__, "keys": keys}, sys.stdout, indent=1)
print()
