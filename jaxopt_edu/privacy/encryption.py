"""Files that only a passphrase opens: scrypt makes the key, AES-256-GCM encrypts and seals.

A file is  magic "JOEDU" | version 1 | log2 n, r, p of scrypt | salt (16) | nonce (12) | ciphertext
with the tag at its end; all that stands before the ciphertext is sealed too.
"""

import json
import math
import os
import struct
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.storage.files import write_bytes
from jaxopt_edu.values.environment import need
from jaxopt_edu.values.names import leaves_by_place

MAGIC, VERSION = b"JOEDU", 1
SALT, NONCE = 16, 12
HEADER = struct.Struct(f"5s4B{SALT}s{NONCE}s")
WORK, LEAST_WORK, MOST_WORK = 17, 10, 20  # log2 of scrypt's n
R, P = 8, 1


def encrypt(content: bytes, passphrase: str, *, work: int = WORK) -> bytes:
    """The content, readable and changeable only by who has the passphrase.

    work: log2 of scrypt's n: a guess at the passphrase costs 2^work KiB of memory, and at 17
        (128 MiB) about half a second.
    Errors: ValueError for an empty passphrase or a work that is not in 10 to 20; ImportError where
        the package cryptography is missing.
    Source: RFC 7914 (scrypt); NIST SP 800-38D (GCM); both by the package cryptography.

    >>> import jaxopt_edu as jo
    >>> secret = jo.privacy.encrypt(b"weights", "correct horse", work=10)
    >>> jo.privacy.decrypt(secret, "correct horse")
    b'weights'
    """
    if not LEAST_WORK <= work <= MOST_WORK:
        raise ValueError(f"work = {work}: wanted {LEAST_WORK} to {MOST_WORK}")
    salt, nonce = os.urandom(SALT), os.urandom(NONCE)
    header = HEADER.pack(MAGIC, VERSION, work, R, P, salt, nonce)
    return header + _cipher(passphrase, salt, work).encrypt(nonce, content, header)


def decrypt(content: bytes, passphrase: str) -> bytes:
    """What was encrypted.

    Errors: ValueError for a wrong passphrase, content that was changed or is not `encrypt`'s, or
        is of a later version; ImportError where the package cryptography is missing.
    """
    if content[: len(MAGIC)] != MAGIC or len(content) < HEADER.size:
        raise ValueError("this is nothing that jaxopt_edu encrypted: its beginning is another")
    header, sealed = content[: HEADER.size], content[HEADER.size :]
    _, version, *settings, salt, nonce = HEADER.unpack(header)
    if version != VERSION:
        raise ValueError(f"encrypted by version {version}: wanted {VERSION}, what this code reads")
    if not LEAST_WORK <= settings[0] <= MOST_WORK or settings[1:] != [R, P]:
        raise ValueError(f"scrypt's settings {settings} are none that jaxopt_edu writes")
    cipher = _cipher(passphrase, salt, settings[0])
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(nonce, sealed, header)
    except InvalidTag:
        raise ValueError("the passphrase is wrong, or the content was changed") from None


def encrypt_file(source: Any, target: Any, passphrase: str, *, work: int = WORK) -> None:
    """Encrypts one file into another, which is written whole or not at all."""
    write_bytes(Path(target), encrypt(Path(source).read_bytes(), passphrase, work=work))


def decrypt_file(source: Any, target: Any, passphrase: str) -> None:
    """Decrypts one file into another, which is written whole or not at all."""
    write_bytes(Path(target), decrypt(Path(source).read_bytes(), passphrase))


def _cipher(passphrase: str, salt: bytes, work: int) -> Any:
    """AES-256-GCM under the key that scrypt makes of the passphrase."""
    if not isinstance(passphrase, str) or not passphrase:
        raise ValueError("passphrase: wanted a string that is not empty")
    need("encryption", "cryptography")
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return AESGCM(Scrypt(salt, 32, 2**work, R, P).derive(passphrase.encode()))


# -------------------------------------------------------------------------------- parameters


def save_params(path: Any, params: Any, passphrase: str, *, work: int = WORK) -> None:
    """Writes a tree of arrays, encrypted, whole or not at all: no pickle, bits as they are.

    Inside are 8 bytes with the length of a JSON text, that text (name, dtype and shape of each
    array), and the arrays one after another.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, tempfile
    >>> path = tempfile.mkdtemp() + "/model"
    >>> params = {"w": jnp.arange(3.0), "b": jnp.zeros(())}
    >>> jo.privacy.save_params(path, params, "correct horse", work=10)
    >>> jo.privacy.load_params(path, params, "correct horse")["w"]
    array([0., 1., 2.], dtype=float32)
    """
    arrays = {name: np.asarray(x) for name, x in leaves_by_place(params).items()}
    table = json.dumps([[name, x.dtype.name, x.shape] for name, x in arrays.items()]).encode()
    parts = [len(table).to_bytes(8, "little"), table, *(x.tobytes() for x in arrays.values())]
    write_bytes(Path(path), encrypt(b"".join(parts), passphrase, work=work))


def load_params(path: Any, like: Any, passphrase: str) -> Any:
    """The arrays that `save_params` wrote, in the structure of `like`, such as a model's params.

    Errors: as `decrypt`; ValueError where names or shapes are not those of `like`.
    """
    content = decrypt(Path(path).read_bytes(), passphrase)
    size = 8 + int.from_bytes(content[:8], "little")
    table, arrays, start = json.loads(content[8:size]), {}, size
    for name, dtype, shape in table:
        flat = np.frombuffer(content, jnp.dtype(dtype), math.prod(shape), start)
        arrays[name] = flat.reshape(shape).copy()
        start += flat.nbytes
    wanted = {name: np.shape(x) for name, x in leaves_by_place(like).items()}
    found = {name: x.shape for name, x in arrays.items()}
    if wanted != found:
        raise ValueError(f"{path} holds arrays {found}: wanted {wanted}, those of `like`")
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])
