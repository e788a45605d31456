"""The other side of the test `python_paillier_itself`: reads what we wrote, answers with what python-paillier writes.

python exchange.py FOLDER      # private.json, number.json, list.json in FOLDER; one JSON object on standard output
"""

import base64
import json
import pathlib
import subprocess
import sys

from phe import paillier

folder = pathlib.Path(sys.argv[1])
pheutil = pathlib.Path(sys.executable).parent / "pheutil"


def run(*arguments):
    command = [str(pheutil), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


# Its command line reads our private key and our number.
decrypted = float(run("decrypt", folder / "private.json", folder / "number.json"))
run("extract", folder / "private.json", folder / "public.json")
encrypted = run("encrypt", folder / "public.json", "--", "-12.0625").strip()

# Its library decrypts our list, computes on it, and encrypts.
key = json.loads((folder / "private.json").read_text())
public = paillier.PaillierPublicKey(number(key["pub"]["n"]))
private = paillier.PaillierPrivateKey(public, number(key["p"]), number(key["q"]))
listed = json.loads((folder / "list.json").read_text())
assert listed["public_key"]["n"] == public.n
numbers = [paillier.EncryptedNumber(public, int(c), e) for c, e in listed["values"]]
values = [private.decrypt(x) for x in numbers]
answers = [numbers[0] + numbers[1], numbers[0] * -3, numbers[1] * 0.5, public.encrypt(1.5), numbers[0] - numbers[1] + 2]

print(
    json.dumps(
        {
            "decrypted": decrypted,
            "encrypted": encrypted,
            "values": values,
            "answers": json.dumps(
                {"public_key": {"n": public.n}, "values": [(str(x.ciphertext()), x.exponent) for x in answers]}
            ),
        }
    )
)
